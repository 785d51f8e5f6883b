"""From a folder of good parts to a run."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from . import _checks, _flawforge
from .selection import Selection


class Progress(NamedTuple):
    """How far a training is."""

    #: What is being done: method and category, or which of several short trainings that calibrate the threshold.
    label: str
    #: Steps done.
    step: int
    #: All steps.
    total: int
    #: Means of the losses over the last interval, by name; empty at first, and for methods without losses.
    losses: dict[str, float]
    #: Seconds that the other steps will take, once that is known.
    seconds_left: float | None


class Report(NamedTuple):
    """What a training was."""

    #: The folder of the run, for :meth:`flawforge.Detector.load`.
    run: Path
    #: Steps done.
    steps: int
    #: Steps of the whole training.
    total_steps: int
    #: Seconds of training, over all sessions.
    seconds: float
    #: An image whose score reaches it is called anomalous; None where the run is not calibrated.
    threshold: float | None
    #: What a person should know before relying on it.
    warnings: list[str]


def train(
    dir: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    *,
    demo: str | None = None,
    method: str | None = None,
    profile: str | None = None,
    config: str | os.PathLike[str] | None = None,
    view: str | None = None,
    roi: str | os.PathLike[str] | None = None,
    selection: Selection | None = None,
    textures: str | os.PathLike[str] | None = None,
    backbone: str | os.PathLike[str] | None = None,
    seed: int = 0,
    steps: int | None = None,
    resume: bool = False,
    skip_bad: bool = False,
    progress: Callable[[Progress], object] | None = None,
) -> Report:
    """Trains a detector on images of good parts, as ``flawforge train`` does, and writes the run to ``out``.

    A program that does nothing else should call :func:`keep_freed_memory` first.

    An exception of ``progress`` and Ctrl-C end the training after the step in hand, with a checkpoint, and are raised then; the same
    call with ``resume=True`` goes on.

    Parameters
    ----------
    dir
        Folder of one category: images alone, ``normal/``, or a published layout such as MVTec AD's. Test images are not opened.
    out
        Folder of the run.
    demo
        Instead of a folder a generated category: ``"connector"``, ``"gear"``, ``"weave"``, ``"leather"`` or ``"sheet"``.
    method
        By default ``"forge"`` where its weights are (``flawforge download efficientnet-lite0``), else ``"lin-yan"``.
    profile
        What it may cost: ``"smoke"``, ``"demo"``, ``"quick"``, ``"gpu"`` or ``"paper"``.
    config
        Settings file (TOML), whose values replace those of method and profile.
    view
        How images are seen: ``"stretch"``, ``"fit"``, ``"tiles"``, ``"tiles:SCALE"``, ``"two-scales"`` or ``"two-scales:SCALE"``; by
        default as ``config`` says, else ``"stretch"``, or ``"fit"`` for forge where the images are long and of one shape.
    roi
        Region of interest: a mask, polygons, or a folder with a mask for each image; by default ``roi.png`` among the images, where
        there is one.
    selection
        Which kinds are simulated; by default what is known of the images, else the paper's three.
    textures
        Folder of texture images; by default noise.
    backbone
        Weights of the network of patchcore or forge; by default what was downloaded, else random.
    seed
        Of initial weights, order of images and simulation.
    steps
        Length; by default the profile's.
    resume
        Whether to go on with the run in ``out``, if there is one. The other arguments must be those that it was begun with.
    skip_bad
        Whether to leave out images that cannot be read; the logger ``flawforge`` says which.
    progress
        Is called after each step, and again when losses are known, on the calling thread.

    Raises
    ------
    ValueError
        A setting that cannot be used.
    flawforge.Error
        A file or folder that is not there, cannot be used or cannot be written to; images that cannot be used; a run that is there
        already.
    """
    if out is None:
        raise ValueError("out: needs the folder of the run")

    def told(label: str, step: int, total: int, losses: dict[str, float], left: float | None) -> None:
        if progress is not None:
            progress(Progress(label, step, total, losses, left))

    path = os.fspath(out)
    report = _flawforge.train(
        _path(dir),
        demo,
        path,
        method,
        profile,
        _path(config),
        view,
        _path(roi),
        None if selection is None else selection._inner,
        _path(textures),
        _path(backbone),
        _checks.whole(seed, "seed"),
        None if steps is None else _checks.whole(steps, "steps"),
        bool(resume),
        bool(skip_bad),
        told,
    )
    return Report(Path(path), *report)


def keep_freed_memory() -> None:
    """Tells the system's allocator to keep freed memory; a training is faster then.

    A training step frees and allocates the same large blocks again and again, which the GNU C library gives back to the system each time.
    The setting is the process's, for all that runs in it, and the process keeps its peak memory until it ends. So it is the program's
    choice: call it once, at the start. The command ``flawforge`` does. Elsewhere than on Linux it does nothing.
    """
    _flawforge.keep_freed_memory()


def _path(given: str | os.PathLike[str] | None) -> str | None:
    return None if given is None else os.fspath(given)
