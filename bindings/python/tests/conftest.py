"""What several tests need."""

from __future__ import annotations

import os
from pathlib import Path

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


# Skipped tests are counted with those in Rust (crates/testing): a line each in the file that FLAWFORGE_SKIPS names, and a failure for
# what FLAWFORGE_REQUIRE lists. Reasons have the form `needs NEED: WHAT`.
_skipped: list[str] = []


def _note(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and isinstance(report.longrepr, tuple):
        name = report.nodeid.split("[")[0].rsplit("::")[-1].rsplit("/")[-1]
        _skipped.append(f"skipped: {name} {report.longrepr[2].removeprefix('Skipped: ')}")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _note(report)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    _note(report)


def pytest_sessionfinish(session: pytest.Session) -> None:
    counted = os.environ.get("FLAWFORGE_SKIPS")
    if counted and _skipped:
        with Path(counted).open("a") as file:
            file.writelines(line + "\n" for line in _skipped)
    required = os.environ.get("FLAWFORGE_REQUIRE", "").split(",")
    if any(f" needs {need}: " in line for need in required if need for line in _skipped):
        session.exitstatus = 1
