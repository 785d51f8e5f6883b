"""Rotated images by OpenCV with three kinds of border, for the tests of `src/rotate.rs`.

    python rotate.py > rotate.json

Made with opencv-python 4.11.0 and numpy 1.23.5. Angles are clockwise on screen, about the centre of the pixels.
"""

import json

import cv2
import numpy as np

WIDTH, HEIGHT = 23, 17
y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
image = np.stack([x * 10 % 256, (y * 13 + x * 3) % 256, (x * y * 7) % 256], axis=2).astype(np.uint8)
FILLS = {"black": cv2.BORDER_CONSTANT, "edge": cv2.BORDER_REPLICATE, "reflect": cv2.BORDER_REFLECT_101}
cases = []
for degrees in (0.0, 12.5, -33.0, 61.0, 90.0):
    matrix = cv2.getRotationMatrix2D(((WIDTH - 1) / 2, (HEIGHT - 1) / 2), -degrees, 1)
    for name, border in FILLS.items():
        result = cv2.warpAffine(image, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR, borderMode=border)
        cases.append({"degrees": degrees, "fill": name, "result": result.tobytes().hex()})
print(json.dumps({"width": WIDTH, "height": HEIGHT, "image": image.tobytes().hex(), "cases": cases}))
