"""Golden values of OpenCV's 8-bit bilinear resize, for crates/resample/tests/resize_golden.rs.

Made with opencv-python-headless 4.10/4.11 and numpy 1.26:

    python resize.py > resize.json

Sizes: up, down, both mixed, odd, a single pixel, exact halving of both sides (OpenCV then averages 2x2 blocks) and of one.
"""

import json

import cv2
import numpy as np

CASES = [
    # channels, (width, height) from, (width, height) to
    (1, (7, 5), (16, 12)),
    (3, (7, 5), (16, 12)),
    (1, (23, 19), (8, 8)),
    (3, (13, 17), (8, 8)),
    (3, (10, 22), (16, 16)),
    (1, (16, 16), (8, 8)),
    (3, (12, 8), (6, 4)),
    (1, (16, 9), (8, 9)),
    (1, (32, 32), (8, 8)),
    (1, (9, 3), (8, 8)),
    (3, (1, 4), (3, 3)),
    (1, (1, 1), (2, 3)),
    (1, (25, 30), (7, 30)),
    (1, (31, 2), (30, 1)),
]

rng = np.random.default_rng(20240101)
cases = []
for channels, (w, h), (tw, th) in CASES:
    shape = (h, w) if channels == 1 else (h, w, 3)
    image = rng.integers(0, 256, shape, dtype=np.uint8)
    # Half of the values at the ends of the range, as in masks.
    image = np.where(rng.random(shape) < 0.25, 255, image).astype(np.uint8)
    image = np.where(rng.random(shape) < 0.25, 0, image).astype(np.uint8)
    out = cv2.resize(image, (tw, th))
    cases.append(
        dict(
            channels=channels,
            source=[w, h],
            target=[tw, th],
            input=image.ravel().tolist(),
            output=out.ravel().tolist(),
        )
    )
print("[")
print(",\n".join(json.dumps(c, separators=(",", ":")) for c in cases))
print("]")
