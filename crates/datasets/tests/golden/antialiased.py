"""Golden values of Pillow's bilinear resize, for crates/datasets/tests/antialiased.rs.

Made with Pillow 13.0 and numpy 2.4:

    python antialiased.py > antialiased.json
"""

import json

import numpy as np
from PIL import Image

SIZES = [((7, 5), (16, 12)), ((23, 19), (8, 8)), ((37, 40), (16, 16)), ((12, 30), (12, 9)), ((40, 33), (35, 31))]

rng = np.random.default_rng(20240102)
cases = []
for (w, h), (tw, th) in SIZES:
    image = rng.integers(0, 256, (h, w, 3), dtype=np.uint8)
    resized = np.asarray(Image.fromarray(image).resize((tw, th), Image.Resampling.BILINEAR))
    cases.append(dict(source=[w, h], target=[tw, th], input=image.ravel().tolist(), output=resized.ravel().tolist()))
print(json.dumps(cases, separators=(",", ":")))
