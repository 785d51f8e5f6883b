"""Golden masks: Perlin noise in float64, rotated by imgaug 0.4.0 (OpenCV's warpAffine), thresholded at 0.5.

Needs numpy 1.26, OpenCV and imgaug. `python perlin.py` writes perlin.json: rows of '0' and '1'.
The noise follows the formulas of Perlin (2002) with one random unit gradient a vertex, as DRAEM uses them.
"""

import json
import pathlib

import numpy as np

np.bool = bool  # imgaug 0.4.0 predates numpy 1.24

import imgaug.augmenters as iaa


def noise(size, rows, columns, step):
    angle = (np.arange((rows + 1) * (columns + 1)) * step).reshape(rows + 1, columns + 1)
    gradient = np.stack([np.cos(angle), np.sin(angle)], -1)
    out = np.zeros((size, size))
    for i in range(size):
        for j in range(size):
            r, c = i * rows / size, j * columns / size
            a, b = int(r), int(c)
            u, v = r - a, c - b

            def dot(p, q):
                return gradient[a + p, b + q] @ np.array([u - p, v - q])

            def fade(t):
                return 6 * t**5 - 15 * t**4 + 10 * t**3

            def lerp(x, y, w):
                return x + (y - x) * w

            left = lerp(dot(0, 0), dot(1, 0), fade(u))
            right = lerp(dot(0, 1), dot(1, 1), fade(u))
            out[i, j] = np.sqrt(2) * lerp(left, right, fade(v))
    return out


cases = []
for size, row_exponent, column_exponent, step, degrees in ((64, 2, 3, 1.3, 33.3), (32, 1, 1, 3.7, -71.25), (32, 4, 3, 2.3, 0.0)):
    field = noise(size, 2**row_exponent, 2**column_exponent, step)
    rotated = iaa.Affine(rotate=degrees)(image=field)
    mask = rotated > 0.5
    cases.append(
        {
            "size": size,
            "row_exponent": row_exponent,
            "column_exponent": column_exponent,
            "angle_step": step,
            "degrees": degrees,
            "mask": ["".join("01"[int(v)] for v in row) for row in mask],
        }
    )
    print(size, mask.mean())
out = pathlib.Path(__file__).with_suffix(".json")
out.write_text(json.dumps(cases, indent=0) + "\n")
