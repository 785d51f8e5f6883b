"""Long images of one shape: bands out of the middle of the images of a category in MVTec AD's form. Needs Pillow.

    cargo xtask demo-data --out out/demo
    python examples/bands.py out/demo/gear out/bands/gear [lying]

A band stands, or lies on its left side. It has two fifths of the width. A test image whose band shows less than three tenths of its defect is left out.
"""

import sys
from pathlib import Path

from PIL import Image

WIDTH, SHOWN = 0.4, 0.3


def upright(image):
    width = int(image.width * WIDTH)
    left = (image.width - width) // 2
    return image.crop((left, 0, left + width, image.height))


def lying(image):
    return upright(image).transpose(Image.Transpose.ROTATE_90)


def defective_pixels(mask):
    return sum(mask.histogram()[1:])


def main(category, out, band):
    def save(image, name):
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)

    for path in sorted([*category.glob("train/*/*"), *category.glob("test/*/*")]):
        defect = path.parent.name
        if defect != "good":
            name = f"ground_truth/{defect}/{path.stem}_mask.png"
            mask = Image.open(category / name).convert("L")
            if defective_pixels(band(mask)) < SHOWN * defective_pixels(mask):
                continue
            save(band(mask), name)
        save(band(Image.open(path)), path.relative_to(category))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), lying if sys.argv[3:] == ["lying"] else upright)
