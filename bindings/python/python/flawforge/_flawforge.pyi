"""The compiled part. The modules beside it check what it is given."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__version__: str

class Error(RuntimeError):
    """What went wrong in files, images and runs, or the work on them, in one line with the file: one that is not there as well as one
    that is damaged. What is wrong with the value of an argument is a ValueError."""

_Bytes = NDArray[np.uint8]
_Shape = tuple[int, int]

class Selection:
    def __new__(cls, kinds: dict[str, float], rotate_normals: bool) -> Selection: ...
    @staticmethod
    def paper() -> Selection: ...
    @staticmethod
    def mvtec(category: str) -> Selection: ...
    @staticmethod
    def read(path: str, category: str) -> Selection: ...
    @property
    def kinds(self) -> list[tuple[str, float]]: ...
    @property
    def rotate_normals(self) -> bool: ...
    @property
    def reason(self) -> str: ...
    def to_toml(self, category: str) -> str: ...

class Textures:
    @staticmethod
    def procedural(seed: int, patterns: int) -> Textures: ...
    @staticmethod
    def bank(images: Sequence[_Bytes]) -> Textures: ...
    @staticmethod
    def read(folder: str, side: int) -> Textures: ...
    def draw(self, shape: _Shape, seed: int, step: int, indices: Sequence[int]) -> _Bytes:
        """uint8, (indices, height, width, 3)."""
    def identity(self) -> str: ...

class Simulation:
    def __new__(
        cls,
        selection: Selection,
        textures: Textures,
        normals: Textures | None,
        clean_probability: float | None,
        settings: str | None,
    ) -> Simulation: ...
    def draw(
        self,
        images: Sequence[_Bytes],
        seed: int,
        step: int,
        indices: Sequence[int],
        floats: bool,
        normals: bool,
    ) -> tuple[NDArray[Any], _Bytes, list[str | None], list[list[tuple[str, float | str]]]]:
        """Images (1, N, height, width, 3), or (2, ...) with normal images; masks (N, height, width), kinds, parameters."""

class Detector:
    @staticmethod
    def load(run: str, threshold: float | None, pixel_threshold: float | None, min_area: int) -> Detector: ...
    @property
    def threshold(self) -> float | None: ...
    @property
    def pixel_threshold(self) -> float | None: ...
    @property
    def input_size(self) -> _Shape: ...
    @property
    def category(self) -> str: ...
    @property
    def method(self) -> str: ...
    @property
    def file(self) -> Any: ...
    @property
    def warnings(self) -> list[str]: ...
    def read(self, path: str) -> _Bytes:
        """uint8, (height, width, 3)."""
    def score(
        self, images: Sequence[_Bytes], maps: bool
    ) -> tuple[
        NDArray[np.float32],
        NDArray[np.float32],
        list[str | None],
        list[NDArray[np.float32]] | None,
        list[list[tuple[int, int, int, int, int, float, float]]],
        list[list[str]],
    ]:
        """Scores (N), protocol scores (N), verdicts, maps (height, width), regions, in what each is unlike the normal images."""

def propose(
    images: Sequence[_Bytes], category: str
) -> tuple[Selection, str, bool | None, bool | None, list[tuple[str, float]]]: ...
def perlin(
    shape: _Shape,
    seed: int,
    step: int,
    indices: Sequence[int],
    max_exponent: int,
    threshold: float,
    max_rotation_degrees: float,
) -> _Bytes: ...
def rectangle(shape: _Shape, seed: int, step: int, indices: Sequence[int]) -> _Bytes: ...
def scar(shape: _Shape, seed: int, step: int, indices: Sequence[int]) -> _Bytes: ...
def changed(images: Sequence[_Bytes], seed: int, step: int, indices: Sequence[int]) -> _Bytes: ...
def auroc(scores: NDArray[np.float32], truths: _Bytes) -> float: ...
def average_precision(scores: NDArray[np.float32], truths: _Bytes) -> float: ...
def aupro(maps: Sequence[NDArray[np.float32]], masks: Sequence[_Bytes], limit: float) -> float: ...
def ranks(scores: NDArray[np.float64]) -> NDArray[np.float32]: ...
def keep_freed_memory() -> None: ...
def train(
    dir: str | None,
    demo: str | None,
    out: str,
    method: str | None,
    profile: str | None,
    config: str | None,
    view: str | None,
    roi: str | None,
    selection: Selection | None,
    textures: str | None,
    backbone: str | None,
    seed: int,
    steps: int | None,
    resume: bool,
    skip_bad: bool,
    progress: Callable[[str, int, int, dict[str, float], float | None], object] | None,
) -> tuple[int, int, float, float | None, list[str]]: ...
