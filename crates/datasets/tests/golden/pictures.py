"""Small pictures of kinds that the tests cannot write themselves. Run in this folder; made with Pillow 13.0 and numpy 2.4.

`expected.txt` holds the mean red, green and blue of what each shows, as Pillow reads it.
"""

import io
import os

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 45, 29
y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
colors = np.stack([128 + 100 * np.sin(x / 9), 128 + 100 * np.cos(y / 7), (3 * x + 2 * y) % 160], -1).astype(np.uint8)
picture = Image.fromarray(colors)
flat = Image.new("RGB", (WIDTH, HEIGHT), (120, 130, 140))
means = []


def write(name, data):
    with open(os.path.join("pictures", name), "wb") as file:
        file.write(data)
    shown = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).reshape(-1, 3).mean(0)
    means.append(name + " " + " ".join(f"{value:.2f}" for value in shown))


def save(name, image, **options):
    buffer = io.BytesIO()
    image.save(buffer, **options)
    write(name, buffer.getvalue())
    return buffer.getvalue()


def jpeg(name, image=picture, **options):
    return save(name, image, format="JPEG", quality=88, **options)


jpeg("baseline.jpg")
jpeg("halved.jpg", subsampling="4:2:2", optimize=True)
jpeg("restart.jpg", restart_marker_blocks=2)
jpeg("progressive.jpg", progressive=True)
jpeg("progressive-restart.jpg", progressive=True, restart_marker_rows=1)
jpeg("gray-progressive.jpg", picture.convert("L"), progressive=True)
jpeg("flat.jpg", flat, optimize=True)
jpeg("cmyk.jpg", Image.fromarray(np.concatenate([255 - colors, np.zeros_like(colors[..., :1])], -1), "CMYK"))

# Adobe's YCCK: YCbCr of the inks, stored inverted, with transform 2.
inks = np.asarray(Image.fromarray(255 - colors).convert("YCbCr"))
stored = 255 - np.concatenate([inks, np.full_like(inks[..., :1], 255)], -1)
buffer = io.BytesIO()
Image.fromarray(stored, "CMYK").save(buffer, "JPEG", quality=88, progressive=True)
data = bytearray(buffer.getvalue())
data[data.index(b"Adobe") + 11] = 2
write("ycck.jpg", bytes(data))

turned = picture.rotate(180)
save("lossy.webp", picture, format="WEBP", quality=80)
save("frames.webp", picture, format="WEBP", save_all=True, append_images=[turned], lossless=True)
save("frames.png", picture, format="PNG", save_all=True, append_images=[turned])
save("pages.tif", picture, format="TIFF", save_all=True, append_images=[turned], compression="tiff_adobe_deflate")
save("palette.tif", picture.quantize(32), format="TIFF")
save("ycbcr.tif", picture.convert("YCbCr"), format="TIFF", compression="jpeg")
save("rgb-jpeg.tif", picture, format="TIFF", compression="jpeg")
save("group4.tif", picture.convert("L").point(lambda v: 255 * (v > 120)).convert("1"), format="TIFF", compression="group4")

with open(os.path.join("pictures", "expected.txt"), "w") as file:
    file.write("\n".join(means) + "\n")
