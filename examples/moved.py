"""How much the map of an image changes where the image is moved: joined windows beside one window. Needs numpy and Pillow.

    cargo xtask demo-data --category sheet --out out/demo
    flawforge train --demo sheet --view tiles --out RUN
    python examples/moved.py RUN 384 out/demo/sheet/test/good/*.png

RUN sees windows of 384 px. Of each image a part of one window is cut out, and a part of two by two windows around it; both again, moved by
48 px and by 7 px. Prints the mean difference of two maps, one moved back, in percent of the full scale of `_map.png` files, over the
middle half of the window.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

MOVES = [48, 7]


def main(run, side, files):
    side = int(side)
    # The part of one window begins in the middle of the image, the larger one half a window before.
    parts = {"one window": (0, side), "joined windows": (side // 2, 2 * side)}
    with tempfile.TemporaryDirectory() as folder:
        shown, out = Path(folder, "shown"), Path(folder, "out")
        shown.mkdir()
        for number, file in enumerate(files):
            image = Image.open(file)
            left, top = image.width // 2 - side // 2, image.height // 2 - side // 2
            for name, (before, length) in parts.items():
                for move in [0, *MOVES]:
                    x, y = left - before + move, top - before + move
                    part = image.crop((x, y, x + length, y + length))
                    part.save(shown / f"{number} {name} {move}.png")
        subprocess.run(["flawforge", "predict", shown, "--run", run, "--out", out], check=True, stdout=subprocess.DEVNULL)

        def middle(number, name, move, shift):
            """The map's middle, in shares of the full scale, as far to the left and above as the image was moved."""
            (file,) = out.rglob(f"{number} {name} {move}_map.png")
            start, length = parts[name][0] + side // 4 - shift, side // 2
            return np.asarray(Image.open(file), float)[start : start + length, start : start + length] / 65535

        for move in MOVES:
            for name in parts:
                pairs = [
                    (middle(number, name, 0, 0), middle(number, name, move, move)) for number in range(len(files))
                ]
                mean = np.mean([np.abs(first - second).mean() for first, second in pairs])
                print(f"moved by {move} px, {name}: {100 * mean:.2f} %")


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
