"""Golden values of colour changes: torchvision's functions on a tiny image of floats.

Versions are written into the file. Run from any directory: `python color_jitter.py`.
"""

import json
import pathlib

import torch
import torchvision
from torchvision.transforms import functional

pixels = [[0.1, 0.5, 0.9], [1, 0, 0], [0.4, 0.4, 0.4], [0.95, 0.9, 0.2], [0, 0, 0], [0.3, 0.8, 0.35], [0.6, 0.1, 0.7], [1, 1, 1]]
image = torch.tensor(pixels).T.reshape(3, 2, 4)
changes = {
    "brightness": (functional.adjust_brightness, [0.9, 1.1]),
    "contrast": (functional.adjust_contrast, [0.9, 1.1]),
    "saturation": (functional.adjust_saturation, [0.9, 1.1]),
    "hue": (functional.adjust_hue, [-0.1, 0.04, 0.5]),
}
cases = []
for change, (function, amounts) in changes.items():
    for amount in amounts:
        result = function(image, amount).reshape(3, 8).T
        cases.append({"change": change, "amount": amount, "result": [[round(v, 7) for v in p] for p in result.tolist()]})
versions = {"torch": torch.__version__, "torchvision": torchvision.__version__}
path = pathlib.Path(__file__).with_suffix(".json")
path.write_text(json.dumps({"versions": versions, "pixels": pixels, "cases": cases}) + "\n")
