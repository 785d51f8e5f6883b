"""Where anomalies go: binary masks.

A mask is a function of its shape and of (seed, step, index): the Rust library draws the same by ``Stream { seed, step, index }.rng("mask")``.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from . import _checks, _flawforge

__all__ = ["perlin", "rectangle", "scar"]


def perlin(
    count: int,
    shape: tuple[int, int],
    seed: int = 0,
    *,
    step: int = 0,
    indices: Iterable[int] | None = None,
    max_exponent: int = 5,
    threshold: float = 0.5,
    max_rotation_degrees: float = 90.0,
) -> NDArray[np.uint8]:
    """DRAEM's masks: Perlin noise on a random lattice, rotated, thresholded. Some are empty (4.5 % at 256 px).

    Parameters
    ----------
    count
        How many.
    shape
        Height and width in pixels.
    seed, step, indices
        What is drawn; ``indices`` has one for each mask, by default 0 to ``count`` - 1.
    max_exponent
        The lattice has 2**e cells along each axis, e uniform from 0 to this.
    threshold
        A pixel is set where the noise, from -1 to 1, is greater.
    max_rotation_degrees
        The noise is rotated by an angle uniform in both directions up to this, from 0 to 180.

    Returns
    -------
    uint8, (count, height, width): 1 where a pixel is anomalous, else 0.
    """
    if not -1.0 <= threshold <= 1.0:
        raise ValueError(f"threshold: needs a number from -1 to 1, not {threshold!r}")
    if not 0.0 <= max_rotation_degrees <= 180.0:
        raise ValueError(f"max_rotation_degrees: needs a number from 0 to 180, not {max_rotation_degrees!r}")
    return _flawforge.perlin(
        *_asked(count, shape, seed, step, indices),
        _checks.whole(max_exponent, "max_exponent", 31),
        float(threshold),
        float(max_rotation_degrees),
    )


def rectangle(
    count: int, shape: tuple[int, int], seed: int = 0, *, step: int = 0, indices: Iterable[int] | None = None
) -> NDArray[np.uint8]:
    """CutPaste's patches: one upright rectangle each, inside the image.

    Parameters and result are those of :func:`perlin`.
    """
    return _flawforge.rectangle(*_asked(count, shape, seed, step, indices))


def scar(
    count: int, shape: tuple[int, int], seed: int = 0, *, step: int = 0, indices: Iterable[int] | None = None
) -> NDArray[np.uint8]:
    """CutPaste's scars: one thin rotated rectangle each.

    Parameters and result are those of :func:`perlin`.
    """
    return _flawforge.scar(*_asked(count, shape, seed, step, indices))


def _asked(
    count: int, shape: tuple[int, int], seed: int, step: int, indices: Iterable[int] | None
) -> tuple[tuple[int, int], int, int, list[int]]:
    number = _checks.whole(count, "count")
    return (
        _checks.shape(shape),
        _checks.whole(seed, "seed"),
        _checks.whole(step, "step"),
        _checks.indices(indices, number),
    )
