"""Golden values of Poisson blending: OpenCV's seamlessClone on small images made by formula.

Made with opencv-python-headless 4.11.0 and numpy 1.26. Run from any directory: `python poisson.py`. The test
makes the two images and the masks by the same formulas (integers only). Stored are the results, one below
the other: for each mask first with normal, then with mixed guidance.
"""

import pathlib

import cv2
import numpy as np
from PIL import Image

WIDTH, HEIGHT = 48, 40
y, x = np.mgrid[0:HEIGHT, 0:WIDTH]


def stack(*channels):
    return np.stack(channels, -1).astype(np.uint8)


destination = stack(60 + 3 * x, 200 - 2 * y - x, 90 + (x * y) // 12)
destination[(x // 6 + y // 5) % 3 == 0] += 25
source = stack(230 - 4 * y, 40 + 3 * x + (x * x) // 30, 128 + (x * 7 + y * 11) % 23)
source[(x - 20) ** 2 + (y - 18) ** 2 < 60] //= 3

masks = {
    "full": np.ones((HEIGHT, WIDTH), bool),
    "rectangle": (x >= 8) & (x < 33) & (y >= 5) & (y < 30),
    "disk": (x - 22) ** 2 + (y - 19) ** 2 < 170,
    "two": ((x >= 4) & (x < 16) & (y >= 4) & (y < 18)) | ((x >= 14) & (x < 30) & (y >= 15) & (y < 27)),
}
places = {"full": (24, 20), "rectangle": (30, 22), "disk": (20, 19), "two": (25, 20)}

results = []
for name, mask in masks.items():
    for flag in (cv2.NORMAL_CLONE, cv2.MIXED_CLONE):
        white = mask.astype(np.uint8) * 255
        results.append(cv2.seamlessClone(source, destination, white, places[name], flag))
path = pathlib.Path(__file__).with_suffix(".png")
Image.fromarray(np.concatenate(results)).save(path, optimize=True)
