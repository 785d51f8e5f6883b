"""The Python side of `cargo xtask compare augment`: the described steps with numpy, OpenCV, imgaug, scikit-image, Pillow.

    python peer.py WORK SAMPLES FOLDER

One iteration makes SAMPLES samples on one thread, each drawn anew. Nothing is taken from the published code; the steps are
those of the papers, written the way that code for numpy is written.
"""
import math
import pathlib
import sys

import cv2
import imgaug
import imgaug.augmenters as iaa
import numpy as np
from PIL import Image, ImageEnhance
from skimage.measure import block_reduce

from serve import serve

cv2.setNumThreads(1)
imgaug.seed(1)
rng = np.random.RandomState(1)
work, samples, folder = sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3])
normal, other = (cv2.imread(str(folder / f"{name}.png")) for name in ("normal", "other"))
textures = [cv2.imread(str(path)) for path in sorted(folder.glob("texture-*.png"))]
SIDE = normal.shape[0]


# --- Perlin masks (DRAEM) ---

def fade(t):
    return t * t * t * (t * (6 * t - 15) + 10)


def perlin(cells, angles):
    """One octave of noise on a lattice of cells[0] x cells[1], gradients at the given angles."""
    gradients = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    side = (SIDE // cells[0], SIDE // cells[1])
    place = [np.arange(SIDE) * c / SIDE % 1 for c in cells]
    u, v = np.meshgrid(*place, indexing="ij")

    def corner(i, j):
        g = gradients[i : i + cells[0], j : j + cells[1]]
        g = g.repeat(side[0], axis=0).repeat(side[1], axis=1)
        return g[..., 0] * (u - i) + g[..., 1] * (v - j)

    a, b = fade(u), fade(v)
    left = corner(0, 0) * (1 - a) + corner(1, 0) * a
    right = corner(0, 1) * (1 - a) + corner(1, 1) * a
    return math.sqrt(2) * (left * (1 - b) + right * b)


turn_noise = iaa.Sequential([iaa.Affine(rotate=(-90, 90))])


def mask():
    cells = (2 ** rng.randint(6), 2 ** rng.randint(6))
    noise = perlin(cells, 2 * np.pi * rng.rand(cells[0] + 1, cells[1] + 1))
    return (turn_noise(image=noise) > 0.5).astype(np.float32)


def check_mask():
    noise = perlin((8, 16), 0.7 * np.arange(9 * 17).reshape(9, 17))
    return np.abs(noise).mean(), (noise > 0.5).mean()


# --- a sample of DRAEM ---

operations = [
    iaa.GammaContrast((0.5, 2.0), per_channel=True),
    iaa.MultiplyAndAddToBrightness(mul=(0.8, 1.2), add=(-30, 30)),
    iaa.pillike.EnhanceSharpness(),
    iaa.AddToHueAndSaturation((-50, 50), per_channel=True),
    iaa.Solarize(0.5, threshold=(32, 128)),
    iaa.Posterize(),
    iaa.Invert(),
    iaa.pillike.Autocontrast(),
    iaa.pillike.Equalize(),
    iaa.Affine(rotate=(-45, 45)),
]
turn_normal = iaa.Sequential([iaa.Affine(rotate=(-90, 90))])


def draem():
    image = normal
    if rng.rand() > 0.7:
        image = turn_normal(image=image)
    image = image.astype(np.float32) / 255
    chosen = rng.choice(len(operations), 3, replace=False)
    texture = cv2.resize(textures[rng.randint(len(textures))], (SIDE, SIDE))
    texture = iaa.Sequential([operations[k] for k in chosen])(image=texture)
    where = mask()[..., None]
    beta = rng.rand() * 0.8
    texture = texture.astype(np.float32) / 255
    mixed = image * (1 - where) + (1 - beta) * texture * where + beta * image * where
    return image, mixed.astype(np.float32), where


def check_draem():
    chain = iaa.Sequential([
        iaa.GammaContrast(1.4),
        iaa.Affine(rotate=20),
        iaa.pillike.EnhanceSharpness(factor=1.7),
        iaa.Solarize(1.0, threshold=100),
        iaa.pillike.Equalize(),
    ])
    return [chain(image=textures[0]).mean()]


# --- near-distribution anomalies ---

def distort(image, x0, y0, w, h, horizontal, amplitude, wavelength, phase):
    y, x = np.mgrid[y0 : y0 + h, x0 : x0 + w].astype(np.float32)
    hump = np.sin(np.pi * (y - y0 + 0.5) / h) * np.sin(np.pi * (x - x0 + 0.5) / w)
    envelope = np.minimum(1, 2 * hump)
    along = (y - y0) if horizontal else (x - x0)
    shift = envelope * amplitude * np.sin(2 * np.pi * along / wavelength + phase)
    if horizontal:
        x = np.clip(x + shift, 0, SIDE - 1)
    else:
        y = np.clip(y + shift, 0, SIDE - 1)
    result = image.copy()
    result[y0 : y0 + h, x0 : x0 + w] = cv2.remap(
        image, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return result


def changed(image, distorted):
    difference = np.abs(image.astype(np.float32) - distorted.astype(np.float32)).mean(axis=2)
    return difference > 15


def dense(where):
    share = block_reduce(where.astype(np.float32), (8, 8), np.mean)
    return where & (cv2.resize(share, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR) > 0.2)


def ndaa():
    for _ in range(4):
        h, w = (int(round(rng.uniform(0.2, 0.5) * SIDE)) for _ in range(2))
        distorted = distort(
            normal, rng.randint(SIDE - w + 1), rng.randint(SIDE - h + 1), w, h, rng.rand() < 0.5,
            rng.uniform(4, 12), rng.uniform(24, 96), rng.uniform(0, 2 * np.pi),
        )
        where = dense(changed(normal, distorted))
        if where.mean() >= 0.001:
            mixed = np.where(where[..., None], distorted, normal)
            return mixed.astype(np.float32) / 255, where
    return None


def check_ndaa():
    distorted = distort(normal, 60, 50, 120, 110, True, 9, 50, 1)
    where = changed(normal, distorted)
    return distorted.mean(), 1000 * where.mean(), 1000 * dense(where).mean()


# --- CutPaste ---

picture = Image.fromarray(cv2.cvtColor(normal, cv2.COLOR_BGR2RGB))


def shift_hue(piece, turns):
    hsv = np.array(piece.convert("HSV"))
    hsv[..., 0] += np.uint8(int(turns * 255) % 256)
    return Image.fromarray(hsv, "HSV").convert("RGB")


CHANGES = [
    lambda piece, f: ImageEnhance.Brightness(piece).enhance(1 + f),
    lambda piece, f: ImageEnhance.Contrast(piece).enhance(1 + f),
    lambda piece, f: ImageEnhance.Color(piece).enhance(1 + f),
    shift_hue,
]


def cutpaste():
    scar = rng.rand() < 0.5
    if scar:
        w, h = int(round(rng.uniform(2, 16))), int(round(rng.uniform(10, 25)))
    else:
        area = rng.uniform(0.02, 0.15) * SIDE * SIDE
        ratio = rng.uniform(0.3, 1) if rng.rand() < 0.5 else rng.uniform(1, 3.3)
        w, h = (min(SIDE, max(1, int(round(side)))) for side in (math.sqrt(area / ratio), math.sqrt(area * ratio)))
    x, y = rng.randint(SIDE - w + 1), rng.randint(SIDE - h + 1)
    piece = picture.crop((x, y, x + w, y + h))
    for k in rng.permutation(4):
        piece = CHANGES[k](piece, rng.uniform(-0.1, 0.1))
    where = Image.new("L", piece.size, 255)
    if scar:
        degrees = rng.uniform(-45, 45)
        piece, where = piece.rotate(degrees, expand=True), where.rotate(degrees, expand=True)
    w, h = piece.size
    to = (rng.randint(SIDE - w + 1), rng.randint(SIDE - h + 1))
    result, label = picture.copy(), Image.new("L", (SIDE, SIDE), 0)
    result.paste(piece, to, where)
    label.paste(where, to)
    return np.asarray(result, np.float32) / 255, np.asarray(label) > 0


def check_cutpaste():
    piece = picture
    for change, amount in zip(CHANGES, (0.08, -0.07, 0.1, 12.2 / 255)):
        piece = change(piece, amount)
    return np.asarray(piece, np.float64).mean(axis=(0, 1))


# --- NSA ---

def nsa():
    """One patch with the constants of a texture: halves 0.03 to 0.4, factors 0.5 to 2, mixed gradients, binary label."""
    low, high = max(1, round(0.03 * SIDE)), max(1, round(0.4 * SIDE))
    half_h, half_w = (int(np.clip((0.03 + rng.gamma(2, 0.05)) * SIDE, low, high)) for _ in range(2))
    cy, cx = rng.randint(low, SIDE - low), rng.randint(low, SIDE - low)
    top, bottom = max(0, cy - half_h), min(SIDE, cy + half_h)
    left, right = max(0, cx - half_w), min(SIDE, cx + half_w)
    patch = other[top:bottom, left:right]
    factor = np.clip(rng.normal(1, 0.5), 0.5, 2)
    cut_h, cut_w = patch.shape[:2]
    w = int(np.clip(np.clip(factor * cut_h, low, high) / cut_h * cut_w, low, high))
    h = int(np.clip(w / cut_w * cut_h, low, high))
    if (w - 2) * (h - 2) < 50:
        return None
    patch = cv2.resize(patch, (w, h))
    cx, cy = rng.randint(w // 2 + 1, SIDE - w // 2 - 1), rng.randint(h // 2 + 1, SIDE - h // 2 - 1)
    where = np.full((h, w), 255, np.uint8)
    where[[0, -1]] = 0
    where[:, [0, -1]] = 0
    blended = cv2.seamlessClone(patch, normal, where, (cx, cy), cv2.MIXED_CLONE)
    touched = np.zeros((SIDE, SIDE), bool)
    touched[cy - h // 2 : cy - h // 2 + h, cx - w // 2 : cx - w // 2 + w] = True
    difference = np.abs(blended.astype(np.float32) - normal.astype(np.float32)).mean(axis=2)
    label = cv2.medianBlur(((difference > 1) & touched).astype(np.uint8), 5)
    return blended, label


quarter = SIDE // 4
square = np.zeros((SIDE, SIDE), np.uint8)
square[quarter : 2 * quarter, quarter : 2 * quarter] = 255


def clone():
    return cv2.seamlessClone(other, normal, square.copy(), (2 * quarter + 12, 2 * quarter - 9), cv2.MIXED_CLONE)


def check_clone():
    cloned = clone()
    return cloned.mean(), (cloned != normal).any(axis=2).sum() / 100


def check_pictures():
    """What our side through Python can be compared by: the same pictures. `draem` compares the arithmetic."""
    return [normal.mean(), *(texture.mean() for texture in textures)]


make = {"mask": mask, "draem": draem, "draem-python": draem, "draem-python-batch": draem, "ndaa": ndaa, "cutpaste": cutpaste, "nsa": nsa, "clone": clone}[work]
check = {
    "mask": check_mask, "draem": check_draem, "ndaa": check_ndaa, "cutpaste": check_cutpaste, "nsa": check_clone,
    "clone": check_clone, "draem-python": check_pictures, "draem-python-batch": check_pictures,
}[work]


def run():
    for _ in range(samples):
        make()


serve(run, check)
