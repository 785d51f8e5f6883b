"""What covers a surface: textures of noise, of images, of a folder."""

from __future__ import annotations

import os
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from . import _checks, _flawforge
from ._checks import Images

__all__ = ["Textures", "change"]


class Textures:
    """A source of textures. Without arguments it is that of noise which is used where nothing else is named.

    It is made once, and can be used by many simulations: noise computes a pattern when it is first drawn.
    """

    def __init__(self, seed: int = 0, patterns: int = 48) -> None:
        """Noise: so many patterns (1 to 4096) of a seed, each drawn in other colours and places every time."""
        self._inner = _flawforge.Textures.procedural(
            _checks.whole(seed, "seed"), _checks.whole(patterns, "patterns")
        )

    @classmethod
    def of(cls, images: Images) -> Textures:
        """Images: uint8, (N, height, width, 3) or a sequence of (height, width, 3). They are copied, drawn uniformly, and resized.

        Raises
        ------
        ValueError
            No image, or one of another dtype or shape.
        """
        return cls._around(_flawforge.Textures.bank(_checks.images(images)))

    @classmethod
    def read(cls, folder: str | os.PathLike[str], side: int = 256) -> Textures:
        """The images of a folder and its subfolders, such as DTD's, decoded at ``side`` x ``side`` pixels.

        Raises
        ------
        flawforge.Error
            A folder that is not there or without images, an image that cannot be decoded.
        """
        return cls._around(_flawforge.Textures.read(os.fspath(folder), _checks.whole(side, "side", 16384)))

    @classmethod
    def _around(cls, inner: _flawforge.Textures) -> Textures:
        made = cls.__new__(cls)
        made._inner = inner
        return made

    def draw(
        self,
        count: int,
        shape: tuple[int, int],
        seed: int = 0,
        *,
        step: int = 0,
        indices: Iterable[int] | None = None,
    ) -> NDArray[np.uint8]:
        """Textures of (height, width), drawn by (seed, step, index): uint8, (count, height, width, 3)."""
        number = _checks.whole(count, "count")
        return self._inner.draw(
            _checks.shape(shape),
            _checks.whole(seed, "seed"),
            _checks.whole(step, "step"),
            _checks.indices(indices, number),
        )

    @property
    def identity(self) -> str:
        """What tells this source from others: two with the same identity give the same textures."""
        return self._inner.identity()


def change(images: Images, seed: int = 0, *, step: int = 0, indices: Iterable[int] | None = None) -> NDArray[np.uint8]:
    """Three of DRAEM's ten operations on each image: gamma, sharpness, hue, solarize, equalize, rotation, ...

    Parameters
    ----------
    images
        uint8, (N, height, width, 3), or a sequence of (height, width, 3) of one size; sides of at least 32.
    seed, step, indices
        What is drawn; ``indices`` has one for each image, by default 0 to N - 1.

    Returns
    -------
    uint8, (N, height, width, 3)
    """
    given = _checks.images(images)
    return _flawforge.changed(
        given, _checks.whole(seed, "seed"), _checks.whole(step, "step"), _checks.indices(indices, len(given))
    )
