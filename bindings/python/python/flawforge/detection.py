"""From a run to scores."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _checks, _flawforge
from ._checks import Images


class Region(NamedTuple):
    """A region of an anomaly map above the pixel threshold, in pixels of the image."""

    left: int
    top: int
    width: int
    height: int
    #: Its pixels.
    area: int
    #: Its highest score.
    peak: float
    #: The mean of its scores.
    mean: float


class Scores(NamedTuple):
    """What a detector says of images, in their order."""

    #: float32, (N,): the image scores that verdicts are made on; larger is more anomalous.
    scores: NDArray[np.float32]
    #: ``"normal"``, ``"look"`` or ``"anomalous"``; None without a threshold.
    verdicts: list[str | None]
    #: Anomaly maps: float32, (N, height, width); of a sequence of images a list of (height, width). None unless asked for.
    maps: Any
    #: The regions that reach the pixel threshold, at most 200 an image, that with the highest score first.
    regions: list[list[Region]]
    #: float32, (N,): the image scores of the method's published protocol.
    protocol_scores: NDArray[np.float32]
    #: In what each image is unlike the normal images of the training (darker, of another shape, ...); empty where it is not. Of an
    #: image that is, the verdict means little: a black one can be normal.
    unlike: list[list[str]]


class Detector:
    """A trained run, ready to score images. It can be used by many threads."""

    def __init__(self, inner: _flawforge.Detector) -> None:
        """Use :meth:`load`."""
        self._inner = inner

    @classmethod
    def load(
        cls,
        run: str | os.PathLike[str],
        *,
        threshold: float | None = None,
        pixel_threshold: float | None = None,
        min_area: int = 1,
    ) -> Detector:
        """Opens a run.

        Parameters
        ----------
        run
            The folder of a run, its checkpoint, or its model alone.
        threshold, pixel_threshold
            Override those of the run, also where it has none.
        min_area
            Regions with fewer pixels are passed over.

        Raises
        ------
        flawforge.Error
            No run, or one that is not there or damaged.
        """
        area = _checks.whole(min_area, "min_area")
        return cls(_flawforge.Detector.load(os.fspath(run), threshold, pixel_threshold, area))

    @property
    def threshold(self) -> float | None:
        """An image whose score reaches it is anomalous."""
        return self._inner.threshold

    @property
    def pixel_threshold(self) -> float | None:
        """A pixel whose score reaches it belongs to a region."""
        return self._inner.pixel_threshold

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of what the network sees; images of other sizes are resized, or seen in windows."""
        return self._inner.input_size

    @property
    def category(self) -> str:
        """What was trained on."""
        return self._inner.category

    @property
    def method(self) -> str:
        """How."""
        return self._inner.method

    @property
    def file(self) -> Path:
        """The file of the run."""
        return Path(self._inner.file)

    @property
    def warnings(self) -> list[str]:
        """What a person should know before relying on the thresholds."""
        return self._inner.warnings

    def read(self, path: str | os.PathLike[str]) -> NDArray[np.uint8]:
        """Decodes a file as ``flawforge predict`` does: uint8, (height, width, 3). Files with more than 8 bits are read by the scale
        of the training images.

        Raises
        ------
        flawforge.Error
            A file that cannot be read or decoded.
        """
        return self._inner.read(os.fspath(path))

    def score(self, images: Images, *, maps: bool = True) -> Scores:
        """Scores images: the same numbers as those of ``flawforge predict``, alone and in any batch.

        Where images are unlike the normal ones of the training, one ``UserWarning`` a call says how many and why the first is.

        Parameters
        ----------
        images
            uint8, (N, height, width, 3), or a sequence of (height, width, 3) of any sizes.
        maps
            Whether anomaly maps are wanted.

        Raises
        ------
        ValueError
            Another dtype or shape; the message names both.
        flawforge.Error
            An image whose score is not a number.
        """
        scores, protocol, verdicts, found, regions, unlike = self._inner.score(_checks.images(images), maps)
        drawn: Any = found
        if maps and isinstance(images, np.ndarray):
            drawn = np.stack(found) if found else np.empty(images.shape[:3], np.float32)
        named = [[Region(*one) for one in of_image] for of_image in regions]
        said = _said(unlike)
        if said is not None:
            warnings.warn(said, stacklevel=2)
        return Scores(scores, verdicts, drawn, named, protocol, unlike)

    def __repr__(self) -> str:
        return f"<Detector {self.method} {self.category}, {self.file}>"


def _said(unlike: list[list[str]]) -> str | None:
    """What is to be said of images that are unlike the normal ones, if there are any."""
    numbers = [number for number, reasons in enumerate(unlike) if reasons]
    if not numbers:
        return None
    one = len(numbers) == 1
    images, verdicts = ("1 image is", "its verdict means") if one else (f"{len(numbers)} images are", "their verdicts mean")
    first = f"{'' if one else 'first '}images[{numbers[0]}]: {'; '.join(unlike[numbers[0]])}"
    return f"{images} unlike the normal images that were trained on, so that {verdicts} little: {first}"
