"""Samples: images of good parts, with and without simulated anomalies."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from . import _checks, _flawforge
from ._checks import Images
from .selection import Selection
from .textures import Textures


class _Four(NamedTuple):
    images: Any
    masks: Any
    kinds: list[str | None]
    parameters: list[list[tuple[str, float | str]]]


class Samples(_Four):
    """Samples, in the order of the images: ``images, masks, kinds, parameters = samples``.

    Attributes
    ----------
    images
        (N, height, width, 3), of the dtype asked for. Of a sequence of images it is a list of (height, width, 3).
    masks
        uint8, (N, height, width): 1 where the anomaly is, else 0. Of a sequence it is a list of (height, width).
    kinds
        The kind of each anomaly, None for a clean sample.
    parameters
        With what each anomaly was made: pairs of key and number or name, in the order in which they were used. A key may occur several
        times.
    normals
        Like ``images``: what they would be without anomalies, maybe rotated. None unless it was asked for.
    """

    normals: Any

    def __new__(cls, images: Any, masks: Any, kinds: Any, parameters: Any, normals: Any = None) -> Samples:
        made = super().__new__(cls, images, masks, kinds, parameters)
        made.normals = normals
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return (Samples, (*self, self.normals))


class Simulation:
    """Draws samples. Prepared once, it can be used by many threads.

    Parameters
    ----------
    selection
        Which kinds: a :class:`Selection`, names of kinds, or None for the paper's three. Half of the samples are clean.
    textures
        Of what covering anomalies are made: :class:`Textures`, or images. None: noise.
    normals
        Normal images, from which the kinds ``nsa`` and ``foreign-patch`` cut their patches: uint8, (N, height, width, 3) or a sequence.
        None: patches are cut from the image itself.
    clean_probability
        How often no anomaly is attempted, from 0 to 1; by default 0.5.
    settings
        Instead of a selection, all constants as TOML: the table ``[simulation]`` of a settings file, for example
        ``'[kinds.near-distribution]\\nweight = 1\\ndensity = 0.3'``.

    Raises
    ------
    ValueError
        An argument that cannot be used, in the words of the library.
    """

    def __init__(
        self,
        selection: Selection | Iterable[str] | None = None,
        *,
        textures: Textures | Images | None = None,
        normals: Images | None = None,
        clean_probability: float | None = None,
        settings: str | None = None,
    ) -> None:
        if settings is not None and selection is not None:
            raise ValueError("settings: cannot be given together with a selection")
        if not isinstance(selection, Selection):
            selection = Selection(selection)
        if textures is None:
            textures = _noise()
        elif not isinstance(textures, Textures):
            textures = Textures.of(textures)
        patches = None if normals is None else Textures.of(normals)
        self._inner = _flawforge.Simulation(
            selection._inner,
            textures._inner,
            None if patches is None else patches._inner,
            None if clean_probability is None else float(clean_probability),
            settings,
        )

    def draw(
        self,
        images: Images,
        seed: int = 0,
        *,
        step: int = 0,
        indices: Iterable[int] | None = None,
        dtype: DTypeLike = np.uint8,
        normals: bool = False,
    ) -> Samples:
        """A sample of each image, on all cores. Repeat an image to draw more of it.

        Parameters
        ----------
        images
            Normal images: uint8, (N, height, width, 3), or a sequence of (height, width, 3); sides of at least 32.
        seed, step, indices
            What is drawn: a sample is a function of its image and of (seed, step, index). ``indices`` has one for each image, by
            default 0 to N - 1. Give ``step`` another number every time, or ``indices``.
        dtype
            Of the resulting images: uint8, or float32 with values from 0 to 1.
        normals
            Whether the images without anomalies are wanted too (they differ from ``images`` where these are rotated).

        Raises
        ------
        ValueError
            Another dtype or shape (the message names both), an image that is too small.
        """
        given = _checks.images(images)
        wanted = np.dtype(dtype)
        if wanted not in (np.uint8, np.float32):
            raise ValueError(f"dtype: needs uint8 or float32, not {wanted}")
        floats = bool(wanted == np.float32)
        places = _checks.indices(indices, len(given))
        seed, step = _checks.whole(seed, "seed"), _checks.whole(step, "step")
        if isinstance(images, np.ndarray):
            if not len(images):  # which have a size all the same
                none = np.empty(images.shape, wanted)
                return Samples(none, np.empty(images.shape[:3], np.uint8), [], [], none.copy() if normals else None)
            return self._drawn(given, seed, step, places, floats, normals)
        return self._of_any_sizes(given, seed, step, places, floats, normals)

    def _drawn(
        self, given: list[NDArray[np.uint8]], seed: int, step: int, places: list[int], floats: bool, normals: bool
    ) -> Samples:
        """Of images of one size."""
        blocks, masks, kinds, parameters = self._inner.draw(given, seed, step, places, floats, normals)
        return Samples(blocks[0], masks, kinds, parameters, blocks[1] if normals else None)

    def _of_any_sizes(
        self, given: list[NDArray[np.uint8]], seed: int, step: int, places: list[int], floats: bool, normals: bool
    ) -> Samples:
        """Those of one size at a time."""
        sizes: dict[tuple[int, ...], list[int]] = {}
        for number, image in enumerate(given):
            sizes.setdefault(image.shape, []).append(number)
        count = len(given)
        samples = Samples([None] * count, [None] * count, [None] * count, [[]] * count, [None] * count)
        for numbers in sizes.values():
            of_size = [given[number] for number in numbers], [places[number] for number in numbers]
            drawn = self._drawn(of_size[0], seed, step, of_size[1], floats, normals)
            for place, number in enumerate(numbers):
                for into, values in zip((*samples, samples.normals), (*drawn, drawn.normals)):
                    if values is not None:
                        into[number] = values[place]
        return samples if normals else Samples(*samples)


def simulate(
    images: Images,
    selection: Selection | Iterable[str] | None = None,
    seed: int = 0,
    *,
    step: int = 0,
    indices: Iterable[int] | None = None,
    textures: Textures | Images | None = None,
    source: Images | None = None,
    clean_probability: float | None = None,
    settings: str | None = None,
    dtype: DTypeLike = np.uint8,
    normals: bool = False,
) -> Samples:
    """Simulates anomalies on images of good parts: ``images, masks, kinds, parameters = simulate(images)``.

    For many calls with the same arguments prepare a :class:`Simulation`; ``source`` is its ``normals``. The other parameters are those of
    :class:`Simulation` and :meth:`Simulation.draw`.

    Examples
    --------
    >>> import numpy as np, flawforge
    >>> parts = np.full((8, 64, 64, 3), 128, np.uint8)
    >>> images, masks, kinds, parameters = flawforge.simulate(parts, seed=1)
    >>> images.shape, masks.shape, len(kinds)
    ((8, 64, 64, 3), (8, 64, 64), 8)
    """
    simulation = Simulation(
        selection, textures=textures, normals=source, clean_probability=clean_probability, settings=settings
    )
    return simulation.draw(images, seed, step=step, indices=indices, dtype=dtype, normals=normals)


@lru_cache(maxsize=1)
def _noise() -> Textures:
    """The textures where none are named, with their patterns computed once a process."""
    return Textures()
