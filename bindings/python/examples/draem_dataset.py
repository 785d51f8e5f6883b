"""A plain PyTorch DRAEM, trained on anomalies that flawforge simulates.

    pip install flawforge torch pillow
    python draem_dataset.py FOLDER [--steps 2000] [--side 256] [--width 32] [--out draem.pt]

FOLDER holds images of good parts. Without it the parts are generated plates, to see that it runs. What is flawforge's here is
`SimulatedAnomalies`, a data set like any other; the networks and losses are those of DRAEM (ICCV-21), in a few lines.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset

import flawforge


class SimulatedAnomalies(Dataset):
    """Normal images, each with an anomaly or without: (normal, image, mask), floats (3, H, W), (3, H, W), (1, H, W).

    A sample is a function of the seed, the epoch and its index, so that any number of workers gives the same ones. A loader without workers
    draws a whole batch at once, on all cores; with workers each draws its own, and they share the cores.
    """

    def __init__(self, images: np.ndarray, selection: flawforge.Selection | None = None, seed: int = 0) -> None:
        """Images: uint8, (N, H, W, 3)."""
        self.images, self.seed, self.epoch = images, seed, 0
        self.simulation = flawforge.Simulation(selection)

    def __len__(self) -> int:
        return len(self.images)

    def __getitems__(self, indices: list[int]) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """What a loader asks for: a batch."""
        samples = self.simulation.draw(
            self.images[indices], self.seed, step=self.epoch, indices=indices, dtype=np.float32, normals=True
        )
        # Views in the order of PyTorch: nothing is copied.
        normals, images = (torch.from_numpy(one).permute(0, 3, 1, 2) for one in (samples.normals, samples.images))
        masks = torch.from_numpy(samples.masks)[:, None].float()
        return list(zip(normals, images, masks))

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return self.__getitems__([index])[0]


def double(inside: int, outside: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, padding=1), nn.BatchNorm2d(outside), nn.ReLU(inplace=True),
        nn.Conv2d(outside, outside, 3, padding=1), nn.BatchNorm2d(outside), nn.ReLU(inplace=True),
    )  # fmt: skip


class UNet(nn.Module):
    """Four halvings, and back; with connections across, or without for the network that repairs."""

    def __init__(self, inside: int, outside: int, width: int, across: bool) -> None:
        super().__init__()
        widths = [width, 2 * width, 4 * width, 8 * width, 8 * width]
        self.across = across
        self.down = nn.ModuleList(double(a, b) for a, b in zip([inside, *widths], widths))
        ups = list(zip(widths[:0:-1], widths[-2::-1]))
        self.up = nn.ModuleList(double(a + b if across else a, b) for a, b in ups)
        self.last = nn.Conv2d(width, outside, 3, padding=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        passed = []
        for number, block in enumerate(self.down):
            images = block(images if number == 0 else F.max_pool2d(images, 2))
            passed.append(images)
        for block, left in zip(self.up, passed[-2::-1]):
            images = F.interpolate(images, scale_factor=2.0, mode="bilinear", align_corners=True)
            images = block(torch.cat([images, left], 1) if self.across else images)
        return self.last(images)


class Draem(nn.Module):
    """One network repairs, the other compares: repaired images (N, 3, H, W), and logits of normal and anomalous (N, 2, H, W)."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.repair, self.compare = UNet(3, 3, width, False), UNet(6, 2, width, True)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        repaired = self.repair(images)
        return repaired, self.compare(torch.cat([repaired, images], 1))


def ssim_loss(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """1 - SSIM with a window of 11 x 11."""
    mean = lambda x: F.avg_pool2d(x, 11, 1)  # noqa: E731
    ma, mb = mean(a), mean(b)
    va, vb, ab = mean(a * a) - ma * ma, mean(b * b) - mb * mb, mean(a * b) - ma * mb
    likeness = (2 * ma * mb + 1e-4) * (2 * ab + 9e-4) / ((ma * ma + mb * mb + 1e-4) * (va + vb + 9e-4))
    return 1 - likeness.mean()


def focal_loss(logits: torch.Tensor, masks: torch.Tensor, gamma: float = 2.0) -> torch.Tensor:
    """Cross-entropy, with less weight on what is sure already."""
    entropy = F.cross_entropy(logits, masks[:, 0].long(), reduction="none")
    return ((1 - torch.exp(-entropy)) ** gamma * entropy).mean()


def train(images: np.ndarray, steps: int, width: int = 32, batch: int = 8, seed: int = 0) -> tuple[Draem, list[float]]:
    """A detector after so many steps, and the loss of each."""
    torch.manual_seed(seed)
    data, model = SimulatedAnomalies(images, seed=seed), Draem(width)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model.to(device).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4 * 8 / batch)
    losses: list[float] = []
    while len(losses) < steps:
        for normals, samples, masks in DataLoader(data, batch, shuffle=True):
            normals, samples, masks = normals.to(device), samples.to(device), masks.to(device)
            repaired, logits = model(samples)
            loss = F.mse_loss(repaired, normals) + ssim_loss(repaired, normals) + focal_loss(logits, masks)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            if len(losses) % 50 == 0:
                print(f"step {len(losses)}: loss {np.mean(losses[-50:]):.3f}")
            if len(losses) == steps:
                break
        data.epoch += 1
    return model.cpu().eval(), losses


def anomaly_maps(model: Draem, images: np.ndarray) -> np.ndarray:
    """Of uint8 (N, H, W, 3): float32 (N, H, W), the probability of each pixel to be anomalous, smoothed as DRAEM does for scores."""
    with torch.no_grad():
        given = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
        maps = model(given)[1].softmax(1)[:, 1:]
        return F.avg_pool2d(maps, 21, 1, padding=10)[:, 0].numpy()


def read(folder: Path, side: int) -> np.ndarray:
    """The images of a folder: uint8, (N, side, side, 3)."""
    from PIL import Image

    paths = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in (".png", ".jpg", ".jpeg", ".bmp")]
    if not paths:
        raise SystemExit(f"{folder}: no images")
    return np.stack([np.asarray(Image.open(path).convert("RGB").resize((side, side))) for path in paths])


def plates(count: int, side: int, seed: int = 0) -> np.ndarray:
    """Generated parts: uint8, (count, side, side, 3)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    plate = 120 + 50 * np.sin(40 * x) * np.sin(40 * y) + 20 * x
    noisy = plate[None, :, :, None] + rng.normal(0, 4, (count, side, side, 3)) + rng.normal(0, 5, (count, 1, 1, 1))
    return noisy.clip(0, 255).astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    images = read(asked.folder, asked.side) if asked.folder else plates(64, asked.side)
    model, _ = train(images, asked.steps, asked.width)
    # Other samples than those of the training say how well it has learnt.
    test = flawforge.simulate(images[:32], seed=2**32)
    maps = anomaly_maps(model, test.images)
    if test.masks.any():
        print(f"on fresh samples: pixel AUROC {flawforge.metrics.auroc(maps, test.masks):.3f}", end=", ")
        print(f"AUPRO {flawforge.metrics.aupro(maps, test.masks):.3f}")
    if asked.out:
        torch.save(model.state_dict(), asked.out)


if __name__ == "__main__":
    main()
