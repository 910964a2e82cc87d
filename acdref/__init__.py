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
    "clap",
    "data",
    "evaluate",
    "features",
    "files",
    "labels",
    "losses",
    "metrics",
    "nets",
    "ops",
    "optim",
    "predict",
    "recipes",
    "relabel",
    "synth",
    "tables",
    "teacher",
    "testing",
    "train",
)

# Where modules live that used to stand at the top.
_MOVED = {
    "front_ends": "features.front_ends",
    "manifest": "tables.manifest",
    "resources": "files",
    "scoring": "predict.scoring",
}


# What stands at the top and is no module.
_OBJECTS = {"Tagger": "predict.tagger"}


def __getattr__(name):
    if name in _OBJECTS:
        return getattr(importlib.import_module(f"{__name__}.{_OBJECTS[name]}"), name)
    if name in _SUBMODULES or name in _MOVED:
        return importlib.import_module(f"{__name__}.{_MOVED.get(name, name)}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_SUBMODULES, *_OBJECTS])
