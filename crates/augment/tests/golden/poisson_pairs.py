"""Poisson blending of real pairs of images by OpenCV, for the test `poisson_pairs`.

    python poisson_pairs.py FOLDER_OF_IMAGES OUT [PAIRS]
    FLAWFORGE_POISSON_PAIRS=OUT cargo test --release -p flawforge-augment --test poisson_pairs -- --nocapture

Patches are rectangles and ellipses of 12 px up to the whole image. Made for opencv-python-headless 4.11.0. Prints
the time of OpenCV. Nothing that it writes is committed.
"""

import pathlib
import sys
import time

import cv2
import numpy as np

folder, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
pairs = int(sys.argv[3]) if len(sys.argv) > 3 else 60
cv2.setNumThreads(1)
out.mkdir(parents=True, exist_ok=True)
files = sorted(p for p in folder.rglob("*") if p.suffix in (".png", ".jpg"))
rng = np.random.RandomState(1)
lines, spent = [], 0.0
for pair in range(pairs):
    source, destination = (cv2.imread(str(files[rng.randint(len(files))])) for _ in range(2))
    destination = cv2.resize(destination, source.shape[1::-1])
    height, width = source.shape[:2]
    if pair % 10 == 0:
        w, h = width, height
    else:
        w, h = (int(rng.randint(12, side)) for side in (width // 2, height // 2))
    left, top = rng.randint(width - w + 1), rng.randint(height - h + 1)
    mask = np.zeros((height, width), np.uint8)
    if pair % 3:
        mask[top : top + h, left : left + w] = 255
    else:
        cv2.ellipse(mask, (left + w // 2, top + h // 2), (w // 2 - 1, h // 2 - 1), 0, 0, 360, 255, -1)
    center = (width // 2, height // 2)
    cv2.imwrite(str(out / f"{pair:03}_source.png"), source)
    cv2.imwrite(str(out / f"{pair:03}_destination.png"), destination)
    cv2.imwrite(str(out / f"{pair:03}_mask.png"), mask)
    for name, flag in (("normal", cv2.NORMAL_CLONE), ("mixed", cv2.MIXED_CLONE)):
        start = time.perf_counter()
        result = cv2.seamlessClone(source, destination, mask.copy(), center, flag)
        spent += time.perf_counter() - start
        cv2.imwrite(str(out / f"{pair:03}_{name}.png"), result)
print(f"OpenCV {cv2.__version__}: {1000 * spent / (2 * pairs):.2f} ms per blend")
