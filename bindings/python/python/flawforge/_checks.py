"""What functions take, checked and brought to one form."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

#: uint8, (N, height, width, 3), or a sequence of (height, width, 3).
Images: TypeAlias = "NDArray[np.uint8] | Sequence[NDArray[np.uint8]]"

_LARGEST = 2**64 - 1


def images(given: Any, name: str = "images") -> list[NDArray[np.uint8]]:
    """Images one by one, C-contiguous.

    Raises
    ------
    ValueError
        Another dtype or shape; the message names both.
    """
    if isinstance(given, np.ndarray):
        if given.dtype != np.uint8 or given.ndim != 4 or given.shape[3] != 3:
            raise ValueError(
                f"{name}: needs uint8 of shape (N, height, width, 3), or a sequence of (height, width, 3), "
                f"not {_described(given)}"
            )
        return list(np.ascontiguousarray(given))
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise ValueError(f"{name}: needs arrays, not {type(given).__name__}")
    return [image(one, f"{name}[{place}]") for place, one in enumerate(given)]


def image(given: Any, name: str) -> NDArray[np.uint8]:
    """One image, C-contiguous.

    Raises
    ------
    ValueError
        Another dtype or shape; the message names both.
    """
    array = np.asarray(given)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        raise ValueError(f"{name}: needs uint8 of shape (height, width, 3), not {_described(array)}")
    return np.ascontiguousarray(array)


def shape(given: Any) -> tuple[int, int]:
    """Height and width, at least 1."""
    try:
        height, width = (operator.index(side) for side in given)
    except (TypeError, ValueError):
        raise ValueError(f"shape: needs (height, width), not {given!r}") from None
    if not (0 < height < 2**32 and 0 < width < 2**32):
        raise ValueError(f"shape: needs sides of at least 1, not {(height, width)}")
    return height, width


def whole(given: Any, name: str, largest: int = _LARGEST) -> int:
    """A whole number from 0 to ``largest``.

    Raises
    ------
    ValueError
        Anything else.
    """
    try:
        number = operator.index(given)
    except TypeError:
        raise ValueError(f"{name}: needs a whole number, not {given!r}") from None
    if not 0 <= number <= largest:
        raise ValueError(f"{name}: needs a whole number from 0 to {largest}, not {number}")
    return number


def indices(given: Iterable[int] | None, count: int) -> list[int]:
    """The indices of ``count`` samples; without any, 0, 1, ..."""
    if given is None:
        return list(range(count))
    numbers = [whole(one, f"indices[{place}]") for place, one in enumerate(given)]
    if len(numbers) != count:
        raise ValueError(f"indices: {count} are needed, not {len(numbers)}")
    return numbers


def _described(array: NDArray[Any]) -> str:
    return f"{array.dtype} of shape {array.shape}"
