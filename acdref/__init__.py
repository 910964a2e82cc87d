"""acdref: audio content detection with noisy labels, in NumPy and Numba.

Submodules load at first use, so that ``import acdref`` costs nothing:

>>> import acdref
>>> acdref.features.FRAME
512
"""

import importlib

__version__ = "0.1.0"

_SUBMODULES = (
    "audio",
    "augment",
    "checkpoint",
    "data",
    "evaluate",
    "features",
    "front_ends",
    "labels",
    "losses",
    "manifest",
    "metrics",
    "nets",
    "ops",
    "optim",
    "predict",
    "relabel",
    "resources",
    "scoring",
    "synth",
    "teacher",
    "testing",
    "train",
)


def __getattr__(name):
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_SUBMODULES])
