"""Golden values of the texture operations and of texture resizing.

Made with imgaug 0.4.0, Pillow, OpenCV and numpy 1.26 (versions are written into the file). Run from any
directory: `python operations.py`. As in DRAEM, imgaug receives BGR data as if it were RGB; images in the
file are RGB, row-major, as hexadecimal bytes.
"""

import json
import pathlib
import sys

import numpy as np

np.bool = bool  # imgaug 0.4.0 predates numpy 1.24

import cv2
import imgaug
import imgaug.augmenters as iaa
import PIL

HEIGHT, WIDTH = (int(v) for v in sys.argv[1:3]) if len(sys.argv) > 2 else (8, 32)  # OpenCV's vector code needs whole vectors
rng = np.random.RandomState(3)
image = rng.randint(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
# A smooth part, a dark part, grey and pure colours.
y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
image[:, : WIDTH // 3] = np.stack([90 + 6 * y + x, 120 - 3 * y, 60 + 9 * x + 0 * y], -1)[:, : WIDTH // 3] % 256
image[: HEIGHT // 4] //= 6
image[-1] = (np.arange(WIDTH) * 255 // (WIDTH - 1))[:, None]
image[-2, :6] = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [0, 255, 255], [255, 0, 255]]
image[-2, 6:8] = [[0, 0, 0], [255, 255, 255]]

cases = []


def case(function, **parameters):
    bgr = np.ascontiguousarray(image[..., ::-1])
    result = np.ascontiguousarray(function(bgr))
    assert result.dtype == np.uint8 and result.shape == image.shape
    cases.append({**parameters, "result": np.ascontiguousarray(result[..., ::-1]).tobytes().hex()})


def gamma(gammas):
    # Parameters are in RGB order, the data is BGR.
    def apply(bgr):
        planes = [iaa.contrast.adjust_contrast_gamma(bgr[..., c : c + 1].copy(), g) for c, g in enumerate(gammas[::-1])]
        return np.concatenate(planes, -1)

    return apply


for gammas in ([0.5, 1.37, 1.99], [1.0, 0.73, 1.61]):
    case(gamma(gammas), operation="gamma", gammas=gammas)

SPACES = {
    "YCrCb": iaa.CSPACE_YCrCb,
    "Hsv": iaa.CSPACE_HSV,
    "Hls": iaa.CSPACE_HLS,
    "Lab": iaa.CSPACE_Lab,
    "Luv": iaa.CSPACE_Luv,
    "Yuv": iaa.CSPACE_YUV,
}
for name, space in SPACES.items():
    for multiply, add, first in ((1.17, -21.4, True), (0.83, 28.6, False)):

        def brightness(bgr):
            children = [iaa.Multiply(multiply), iaa.Add(int(np.round(add)))]
            augmenter = iaa.WithBrightnessChannels(children if first else children[::-1], to_colorspace=space)
            return augmenter(image=bgr)

        case(brightness, operation="brightness", space=name, multiply=multiply, add=add, multiply_first=first)

for factor in (0.0, 0.4, 1.3, 1.97):
    case(lambda b: iaa.pillike.enhance_sharpness(b, factor), operation="sharpness", factor=factor)
for hue, saturation in ((-50, 17), (37, -50), (3, 50)):
    case(
        lambda b: iaa.AddToHueAndSaturation(value_hue=hue, value_saturation=saturation)(image=b),
        operation="hue_saturation",
        hue=hue,
        saturation=saturation,
    )
for threshold in (32, 101):
    case(lambda b: iaa.solarize(b, threshold), operation="solarize", threshold=threshold)
for bits in (1, 3, 7, 8):
    case(lambda b: iaa.color.posterize(b, bits), operation="posterize", bits=bits)
case(lambda b: iaa.Invert(1.0)(image=b), operation="invert")
for cutoff in (0, 7, 20):
    case(lambda b: iaa.pillike.autocontrast(b, cutoff), operation="auto_contrast", cutoff=cutoff)
case(iaa.pillike.equalize, operation="equalize")
for degrees in (-45.0, 12.25, 37.5):
    case(lambda b: iaa.Affine(rotate=degrees)(image=b), operation="rotate", degrees=degrees)

resized = [
    {"width": w, "height": h, "result": cv2.resize(image, (w, h)).tobytes().hex()}
    for w, h in ((9, 7), (23, 12), (5, 20), (8, 6))
]
versions = {"imgaug": imgaug.__version__, "pillow": PIL.__version__, "opencv": cv2.__version__, "numpy": np.__version__}
golden = {
    "versions": versions,
    "width": WIDTH,
    "height": HEIGHT,
    "image": image.tobytes().hex(),
    "cases": cases,
    "resized": resized,
}
out = pathlib.Path(__file__).with_suffix(".json")
out.write_text(json.dumps(golden, indent=0) + "\n")
print(out.name, out.stat().st_size, "bytes", versions)
