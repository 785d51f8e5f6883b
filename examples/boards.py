"""Large aligned images: boards of four plugs, each turned a quarter further than the one before. Needs Pillow.

    cargo xtask demo-data --category connector --size 384 --out out/plugs
    python examples/boards.py out/plugs/connector out/boards

Writes 40 normal boards to train on, and to test on 12 normal ones, 24 with one of the demo's defects on one plug, and 6 on which two
plugs lie in each other's place.
"""

import sys
from pathlib import Path

from PIL import Image

TURNS = [None, Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270]
EXCHANGED = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]


def board(plugs, order=(0, 1, 2, 3)):
    """Two by two; the plug with number n is turned n times wherever it lies."""
    side, mode = plugs[0].width, plugs[0].mode
    whole = Image.new(mode, (2 * side, 2 * side))
    for place, number in enumerate(order):
        plug = plugs[number]
        turned = plug if TURNS[number] is None else plug.transpose(TURNS[number])
        whole.paste(turned, (side * (place % 2), side * (place // 2)))
    return whole


def four(images, first):
    return [images[(first + 7 * turn) % len(images)] for turn in range(4)]


def main(plugs, out):
    def save(image, name):
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)

    normal, good = (
        [Image.open(path).convert("RGB") for path in sorted(plugs.glob(f"{part}/good/*"))]
        for part in ["train", "test"]
    )
    empty = Image.new("L", good[0].size)
    for number in range(40):
        save(board(four(normal, number)), f"train/good/{number:03}.png")
    for number in range(12):
        save(board(four(good, number)), f"test/good/{number:03}.png")
    defective = [path for path in sorted(plugs.glob("test/*/*")) if path.parent.name != "good"]
    for number, path in enumerate(defective):
        defect, at = path.parent.name, number % 4
        parts, masks = four(good, number), [empty] * 4
        parts[at] = Image.open(path).convert("RGB")
        masks[at] = Image.open(plugs / "ground_truth" / defect / f"{path.stem}_mask.png").convert("L")
        save(board(parts), f"test/{defect}/{path.name}")
        save(board(masks), f"ground_truth/{defect}/{path.stem}_mask.png")
    for number, (a, b) in enumerate(EXCHANGED):
        order = [0, 1, 2, 3]
        order[a], order[b] = b, a
        save(board(four(good, number + 3), order), f"test/exchanged/{number:03}.png")
        full = Image.new("L", empty.size, 255)
        masks = [full if place in (a, b) else empty for place in range(4)]
        save(board(masks), f"ground_truth/exchanged/{number:03}_mask.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
