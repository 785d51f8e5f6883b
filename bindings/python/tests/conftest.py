"""What several tests need."""

from __future__ import annotations

import numpy as np
import pytest

import flawforge


def surface(width: int, height: int, seed: int) -> np.ndarray:
    """The surface of crates/augment/tests/simulation.rs: uint8, (height, width, 3)."""
    y, x = np.mgrid[:height, :width].astype(np.uint32)
    with np.errstate(over="ignore"):
        grain = (x * np.uint32(73_856_093) ^ y * np.uint32(19_349_663) ^ np.uint32(seed * 83_492_791 % 2**32)) >> np.uint32(7)
    weave = np.where((x // 5 + y // 7) % 2 == 0, 70, 150).astype(np.uint32)
    channels = [weave + grain % 13, weave, 200 - weave // 2 + grain % 5]
    return np.stack(channels, axis=-1).astype(np.uint8)


@pytest.fixture
def parts() -> np.ndarray:
    """Normal images: uint8, (6, 40, 48, 3)."""
    return np.stack([surface(48, 40, seed) for seed in range(6)])


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> flawforge.Report:
    """A small run on generated images."""
    out = tmp_path_factory.mktemp("runs") / "gear"
    return flawforge.train(demo="gear", out=out, method="lin-yan", profile="smoke", steps=4)
