"""Golden values of the steps of near-distribution augmentation, from scikit-image and scipy.

Steps (Lin & Yan, fig. 2): sine distortion of a rectangle, difference > 15, 8x8 block mean, bilinear resize > 0.2, product.
Writes near_distribution.json; images are RGB, row-major, as hexadecimal bytes.
"""

import json
import pathlib

import numpy as np
import scipy
import skimage
from scipy.ndimage import map_coordinates
from skimage.measure import block_reduce
from skimage.transform import resize

HEIGHT, WIDTH = 32, 40
y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
rng = np.random.RandomState(5)
# Waves on the right; a plain surface with lone bright pixels on the left.
wave = np.where(x > 19, 1.0, 0.0)
image = np.stack([128 + 110 * wave * np.sin(x * 0.9), 120 + 90 * wave * np.cos(0.7 * y + 0.2 * x), 90 + wave * x], -1)
image += rng.uniform(-4, 4, image.shape)
image[(x * 7 + y * 11) % 29 == 0] += 90
image = np.clip(image, 0, 255).astype(np.uint8)


def distort(x0, y0, w, h, axis, amplitude, wavelength, phase, envelope):
    inside = (x >= x0) & (x < x0 + w) & (y >= y0) & (y < y0 + h)
    e = np.ones(inside.shape)
    if envelope:
        e = np.minimum(1, 2 * np.sin(np.pi * (y - y0 + 0.5) / h) * np.sin(np.pi * (x - x0 + 0.5) / w))
    along = (y - y0) if axis == "horizontal" else (x - x0)
    shift = e * amplitude * np.sin(2 * np.pi * along / wavelength + phase)
    at = [y + 0.0, x + shift] if axis == "horizontal" else [y + shift, x + 0.0]
    planes = [map_coordinates(image[..., c].astype(np.float64), at, order=1, mode="nearest") for c in range(3)]
    return np.where(inside[..., None], np.floor(np.stack(planes, -1) + 0.5), image).astype(np.uint8)


cases = []
for parameters in (
    dict(x0=6, y0=4, w=24, h=20, axis="horizontal", amplitude=4.3, wavelength=11.0, phase=0.4, envelope=True),
    dict(x0=0, y0=9, w=40, h=23, axis="vertical", amplitude=6.1, wavelength=17.5, phase=2.9, envelope=False),
):
    distorted = distort(**parameters)
    changed = np.abs(image.astype(int) - distorted).mean(-1) > 15
    shares = block_reduce(changed.astype(np.float64), (8, 8), np.mean)
    local = resize(shares, (HEIGHT, WIDTH), order=1, mode="edge", anti_aliasing=False)
    mask = changed & (local > 0.2)
    print(changed.sum(), mask.sum(), (np.abs(local - 0.2) < 1e-9).sum())
    rows = lambda m: ["".join("01"[int(v)] for v in row) for row in m]
    cases.append({**parameters, "distorted": distorted.tobytes().hex(), "changed": rows(changed), "mask": rows(mask)})

golden = {
    "versions": {"skimage": skimage.__version__, "scipy": scipy.__version__, "numpy": np.__version__},
    "width": WIDTH,
    "height": HEIGHT,
    "image": image.tobytes().hex(),
    "cases": cases,
}
out = pathlib.Path(__file__).with_suffix(".json")
out.write_text(json.dumps(golden, indent=0) + "\n")
print(out.name, out.stat().st_size)
