"""The examples run, and learn."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import flawforge

sys.path.append(str(Path(__file__).parent.parent / "examples"))
torch = pytest.importorskip("torch", reason="needs peer: torch")
# Libraries of other people warn of each other.
pytestmark = pytest.mark.filterwarnings("ignore")


def test_a_data_set_gives_the_samples_of_the_library() -> None:
    from draem_dataset import SimulatedAnomalies, plates
    from torch.utils.data import DataLoader

    images = plates(5, 64)
    data = SimulatedAnomalies(images, seed=4)
    data.epoch = 2
    expected = flawforge.simulate(images, seed=4, step=2, dtype=np.float32, normals=True)
    for workers in (0, 2):
        loaded = list(DataLoader(data, 2, num_workers=workers))
        normals, samples, masks = (torch.cat(parts).numpy() for parts in zip(*loaded))
        assert np.array_equal(samples.transpose(0, 2, 3, 1), expected.images)
        assert np.array_equal(normals.transpose(0, 2, 3, 1), expected.normals)
        assert np.array_equal(masks[:, 0], expected.masks)


def test_a_plain_draem_learns() -> None:
    from draem_dataset import anomaly_maps, plates, train

    images = plates(8, 64)
    torch.set_num_threads(1)
    model, losses = train(images, steps=30, width=4)
    assert len(losses) == 30 and np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5])
    maps = anomaly_maps(model, images)
    assert maps.shape == (8, 64, 64) and maps.dtype == np.float32
    assert np.isfinite(maps).all() and 0 <= maps.min() and maps.max() <= 1


def test_anomalib_trains_on_these_anomalies() -> None:
    pytest.importorskip("anomalib", reason="needs peer: anomalib")
    from anomalib_draem import Anomalies, model
    from draem_dataset import plates

    images = plates(4, 64)
    given = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    changed, masks = Anomalies(flawforge.Selection.draem(), seed=7)(given)
    expected = flawforge.simulate(images, ["transparent"], 7, dtype=np.float32)
    assert np.array_equal(changed.permute(0, 2, 3, 1).numpy(), expected.images)
    assert np.array_equal(masks[:, 0].numpy(), expected.masks) and masks.any()

    draem = model(side=64)
    draem.log = lambda *_, **__: None  # there is no trainer
    from anomalib.data import ImageBatch

    loss = draem.training_step(ImageBatch(image=given))["loss"]
    loss.backward()
    assert torch.isfinite(loss) and draem.augmenter.batches == 1
