"""anomalib's DRAEM, trained on anomalies that flawforge simulates.

    pip install flawforge anomalib
    python anomalib_draem.py FOLDER [--steps 2000] [--side 256]

FOLDER holds images of good parts in `normal/`. anomalib's model draws its anomalies with a module that it calls on each batch;
`Anomalies` takes the place of that module, with the kinds that suit the product.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from anomalib.data import Folder
from anomalib.engine import Engine
from anomalib.models import Draem

import flawforge


class Anomalies(torch.nn.Module):
    """From images (N, 3, H, W) with values in [0, 1] to images with anomalies and their masks (N, 1, H, W)."""

    def __init__(self, selection: flawforge.Selection | None = None, seed: int = 0) -> None:
        super().__init__()
        selection = selection or flawforge.Selection()
        if selection.rotate_normals:
            # The loss compares with the images as they came.
            selection = flawforge.Selection(selection.kinds)
        self.simulation, self.seed, self.batches = flawforge.Simulation(selection), seed, 0

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        given = (images.detach() * 255).round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()
        samples = self.simulation.draw(given, self.seed, step=self.batches, dtype=np.float32)
        self.batches += 1
        changed = torch.from_numpy(samples.images).permute(0, 3, 1, 2).to(images)
        return changed, torch.from_numpy(samples.masks)[:, None].to(images)


def model(selection: flawforge.Selection | None = None, side: int = 256, seed: int = 0) -> Draem:
    """anomalib's model with these anomalies."""
    with tempfile.TemporaryDirectory() as empty:
        # A folder that is there keeps it from downloading textures, which are not wanted.
        draem = Draem(dtd_dir=empty, pre_processor=Draem.configure_pre_processor((side, side)))
    draem.augmenter = Anomalies(selection, seed)
    return draem


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--side", type=int, default=256)
    asked = parser.parse_args()
    data = Folder(
        name="parts", root=asked.folder, normal_dir="normal", train_batch_size=8, num_workers=0,
        test_split_mode="synthetic",
    )  # fmt: skip
    Engine(max_steps=asked.steps, logger=False).fit(model(side=asked.side), datamodule=data)


if __name__ == "__main__":
    main()
