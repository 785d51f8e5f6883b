"""How well anomalies were found: exact, on all cores.

Scores are arrays of floats, larger is more anomalous. Truths have the same shape: bool, or numbers that are 0 (normal) or 1 (anomalous).
Masks of :func:`aupro` may also be bytes of a file: whole numbers of at least 0, of which 0 is normal and all others are anomalous. All
scores of one call are ranked together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _flawforge

__all__ = ["auroc", "aupro", "average_precision"]


def auroc(scores: ArrayLike, truths: ArrayLike) -> float:
    """Area under the receiver operating characteristic, from 0 to 1. A tie counts one half.

    Parameters
    ----------
    scores
        Floats of any shape: one for each image or pixel.
    truths
        The same shape: bool, or 0 (normal) and 1 (anomalous). Of the bytes of a mask give ``mask > 0``.

    Raises
    ------
    ValueError
        Shapes that differ, other types, other truths than 0 and 1, NaN, truths of one class only.
    """
    return _flawforge.auroc(*_pair(scores, truths))


def average_precision(scores: ArrayLike, truths: ArrayLike) -> float:
    """Average precision, from 0 to 1: the sum over thresholds of the gain in recall times the precision, without interpolation.

    Parameters
    ----------
    scores
        Floats of any shape: one for each image or pixel.
    truths
        The same shape: bool, or 0 (normal) and 1 (anomalous). Of the bytes of a mask give ``mask > 0``.

    Raises
    ------
    ValueError
        Shapes that differ, other types, other truths than 0 and 1, NaN, truths of one class only.
    """
    return _flawforge.average_precision(*_pair(scores, truths))


def aupro(
    maps: NDArray[Any] | Sequence[NDArray[Any]],
    masks: NDArray[Any] | Sequence[NDArray[Any]],
    limit: float = 0.3,
) -> float:
    """Area under the per-region overlap over the false positive rate from 0 to ``limit``, divided by ``limit``; from 0 to 1.

    The overlap at a threshold is the mean, over all 8-connected regions of all masks, of the part of the region that scores at or above
    it. The curve has a point for every distinct score.

    Parameters
    ----------
    maps
        Anomaly maps: floats (N, height, width), or a sequence of (height, width).
    masks
        Their masks, of the same shapes: bool, whole numbers of at least 0, or floats that are 0 or 1; 0 is normal, all others are
        anomalous.
    limit
        Above 0, at most 1.

    Raises
    ------
    ValueError
        Shapes that differ, other types, NaN, masks of one class only, another limit.
    """
    if len(maps) != len(masks):
        raise ValueError(f"masks: there are {len(masks)} for {len(maps)} maps")
    scores = [_scores(one, f"maps[{place}]") for place, one in enumerate(maps)]
    truths = [_mask(one, f"masks[{place}]") for place, one in enumerate(masks)]
    for place, (score, truth) in enumerate(zip(scores, truths)):
        if score.ndim != 2 or score.shape != truth.shape:
            raise ValueError(
                f"maps[{place}]: needs shape (height, width) like its mask, not {score.shape} and {truth.shape}"
            )
    if any(score.dtype == np.float64 for score in scores):
        # One order for all of them.
        together = np.concatenate([score.astype(np.float64).ravel() for score in scores])
        ends = np.cumsum([score.size for score in scores])[:-1]
        parts = np.split(_flawforge.ranks(together), ends)
        scores = [part.reshape(score.shape) for part, score in zip(parts, scores)]
    return _flawforge.aupro(
        [np.ascontiguousarray(score) for score in scores],
        [np.ascontiguousarray(truth) for truth in truths],
        float(limit),
    )


def _pair(scores: ArrayLike, truths: ArrayLike) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    found, truth = _scores(scores, "scores"), _truths(truths, "truths")
    if found.shape != truth.shape:
        raise ValueError(f"truths: needs the shape of the scores, {found.shape}, not {truth.shape}")
    flat = np.ascontiguousarray(found).ravel()
    ranked = _flawforge.ranks(flat) if flat.dtype == np.float64 else flat
    return ranked, np.ascontiguousarray(truth).ravel()


def _scores(given: ArrayLike, name: str) -> NDArray[Any]:
    """Scores of 32 or 64 bits."""
    array = np.asarray(given)
    if array.dtype.kind != "f" or array.dtype.itemsize > 8:
        raise ValueError(f"{name}: needs floats of at most 64 bits, not {array.dtype} of shape {array.shape}")
    # Also another order of bytes is brought to the machine's.
    return array.astype(np.float64 if array.dtype.itemsize == 8 else np.float32, copy=False)


def _truths(given: ArrayLike, name: str) -> NDArray[np.uint8]:
    """Truths as bytes, 0 or 1."""
    array = np.asarray(given)
    if array.dtype.kind not in "biuf" or not ((array == 0) | (array == 1)).all():
        raise ValueError(f"{name}: needs bool, or numbers that are 0 or 1, not {_described(array)}")
    return array.astype(np.uint8, copy=False)


def _mask(given: ArrayLike, name: str) -> NDArray[np.uint8]:
    """A mask as bytes, 0 or not."""
    array = np.asarray(given)
    if array.dtype == np.uint8:
        return array
    kind = array.dtype.kind
    known = kind in "bu" or (kind == "i" and not (array < 0).any())
    if kind == "f":
        known = bool(((array == 0) | (array == 1)).all())
    if not known:
        raise ValueError(
            f"{name}: needs bool, whole numbers of at least 0, or floats that are 0 or 1, not {_described(array)}"
        )
    anomalous: NDArray[np.bool_] = array != 0
    return anomalous.view(np.uint8)


def _described(array: NDArray[Any]) -> str:
    """Type and shape, and of numbers one that is in the way."""
    said = f"{array.dtype} of shape {array.shape}"
    if array.dtype.kind in "iuf" and array.size:
        other = array[(array != 0) & (array != 1)]
        if other.size:
            said += f" with {other.min()}"
    return said
