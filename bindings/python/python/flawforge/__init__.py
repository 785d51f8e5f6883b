"""Forge flaws on good parts, and train a detector that finds the real ones.

=====================  ==========================================================================
``simulate``           images of good parts -> images with flaws, their masks, kinds and parameters
``Simulation``         the same, prepared once for many calls
``select``             normal images -> which kinds of anomaly suit them
``Selection``          which kinds are simulated, and how often
``masks``              masks alone: where anomalies go
``textures``           textures alone: what covers a surface
``train``              a folder of good parts -> a run
``Detector``           a run -> scores, verdicts and anomaly maps of images
``metrics``            AUROC, average precision, AUPRO
=====================  ==========================================================================

Images are RGB: arrays of uint8 with shape (N, height, width, 3), or a sequence of arrays (height, width, 3). Everything random is a
function of (seed, step, index), whatever the number of threads: the Rust library gives the same bytes. Work is done on all cores (as
many as ``RAYON_NUM_THREADS`` says) with the GIL released. What the library has to say goes to the logger ``flawforge``.
"""

import os as _os

# candle, the tensor library, would start threads of its own for additions, which wait by spinning and take the cores from the others.
# It looks when it first adds.
_os.environ.setdefault("CANDLE_NUM_THREADS", "1")

from . import masks, metrics, textures
from ._flawforge import Error, __version__
from .detection import Detector, Region, Scores
from .selection import Proposal, Selection, select
from .simulation import Samples, Simulation, simulate
from .textures import Textures
from .training import Progress, Report, keep_freed_memory, train

__all__ = [
    "Detector",
    "Error",
    "Progress",
    "Proposal",
    "Region",
    "Report",
    "Samples",
    "Scores",
    "Selection",
    "Simulation",
    "Textures",
    "__version__",
    "keep_freed_memory",
    "masks",
    "metrics",
    "select",
    "simulate",
    "textures",
    "train",
]
