"""Which kinds of anomaly suit a product."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from . import _checks, _flawforge
from ._checks import Images

#: The kinds of Lin & Yan.
_PAPER = ("transparent", "opaque", "near-distribution")


class Selection:
    """Which kinds of anomaly are simulated, how often each, and whether normal images may be rotated.

    ``Selection()`` has the three kinds of Lin & Yan: transparent, opaque, near-distribution. Beside them there are ``cut-paste``,
    ``nsa``, ``cut-out``, ``foreign-patch`` and ``relocated``.
    """

    def __init__(
        self, kinds: Iterable[str] | Mapping[str, float] | None = None, *, rotate_normals: bool = False
    ) -> None:
        """Kinds by name, or with weights relative to each other.

        Raises
        ------
        ValueError
            An unknown kind, a weight that is not a number of at least 0, no kind at all.
        """
        if kinds is None:
            kinds = _PAPER
        if isinstance(kinds, str):
            kinds = [kinds]
        weights = dict(kinds) if isinstance(kinds, Mapping) else dict.fromkeys(kinds, 1.0)
        self._inner = _flawforge.Selection(weights, bool(rotate_normals))

    @classmethod
    def draem(cls) -> Selection:
        """DRAEM's: transparent anomalies, and normal images are rotated."""
        return cls(["transparent"], rotate_normals=True)

    @classmethod
    def mvtec(cls, category: str) -> Selection:
        """The built-in one for a category of MVTec AD, such as ``"bottle"``."""
        return cls._around(_flawforge.Selection.mvtec(category))

    @classmethod
    def read(cls, path: str | os.PathLike[str], category: str = "default") -> Selection:
        """The table of a category in a file that ``flawforge select`` wrote, or the file's table ``default``.

        Raises
        ------
        flawforge.Error
            A file that cannot be read, or holds no valid selection, or none for the category.
        """
        return cls._around(_flawforge.Selection.read(os.fspath(path), category))

    @classmethod
    def _around(cls, inner: _flawforge.Selection) -> Selection:
        made = cls.__new__(cls)
        made._inner = inner
        return made

    @property
    def kinds(self) -> dict[str, float]:
        """The enabled kinds with their weights."""
        return dict(self._inner.kinds)

    @property
    def rotate_normals(self) -> bool:
        """Whether normal images are rotated, as normal images."""
        return self._inner.rotate_normals

    @property
    def reason(self) -> str:
        """Why, for people."""
        return self._inner.reason

    def to_toml(self, category: str) -> str:
        """The form of a file for ``flawforge train --selection``."""
        return self._inner.to_toml(category)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Selection) and self._inner == other._inner

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Selection({self.kinds}, rotate_normals={self.rotate_normals})"


class Proposal(NamedTuple):
    """A selection with what speaks for it."""

    #: The selection; its reason quotes the numbers.
    selection: Selection
    #: The same as the text of a file.
    toml: str
    #: Whether a change of global orientation would be an anomaly; None: the numbers do not decide.
    orientation_fixed: bool | None
    #: Whether a change of relative position would be one; None: the numbers do not decide.
    positions_fixed: bool | None
    #: What was measured, by name.
    measures: dict[str, float]


def select(images: Images, category: str = "part") -> Proposal:
    """Measures normal images and proposes which kinds of anomaly to simulate. A person should look at it.

    Parameters
    ----------
    images
        At least four: uint8, (N, height, width, 3), or a sequence of (height, width, 3) of any sizes. 24 of them are measured.
    category
        The name of the table in ``toml``.

    Raises
    ------
    ValueError
        Fewer than four images, another dtype or shape.
    """
    selection, toml, orientation, positions, measures = _flawforge.propose(_checks.images(images), category)
    return Proposal(Selection._around(selection), toml, orientation, positions, dict(measures))
