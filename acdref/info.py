"""What is installed, what runs, and what the network is made of."""

import os
import platform
import sys

import numpy as np

from acdref import __version__, backend, checkpoint
from acdref.nets import ACDNET_2024
from acdref.nets.table import MACS_CONVENTION, TEN_SECONDS, count_macs, layer_table
from acdref.ops import kernel
from acdref.ops.threads import get_threads
from acdref.resources import resource

SCHEMA = "acdref.info/1"


def collect(weights=None):
    """Everything that `acdref info` shows.

    Parameters
    ----------
    weights : str or path-like, optional
        By default the shipped weights; where there are none, the default network is described.

    Returns
    -------
    dict
        For JSON: ``schema, version, system, backend, weights, parameters, macs, macs_of, macs_convention,
        layers``.  ``parameters`` counts what training changes, ``macs`` multiply-adds for 10 s of sound.

    Raises
    ------
    CheckpointError
        If the weights cannot be used.
    """
    if weights is None and os.path.exists(resource("weights", "acdnet.npz")):
        weights = resource("weights", "acdnet.npz")
    if weights is None:
        config, file = ACDNET_2024, None
    else:
        net, meta = checkpoint.load_weights(weights, backend="numpy")
        config = net.config
        facts = {name: value for name, value in meta.items() if name not in ("config", "classes", "rows")}
        file = {"path": os.fspath(weights), "classes": meta["classes"], "meta": facts}
    layers = layer_table(config, TEN_SECONDS)
    macs = count_macs(config, TEN_SECONDS)
    return {
        "schema": SCHEMA,
        "version": __version__,
        "system": _system(),
        "backend": _backend(config),
        "weights": file,
        "parameters": sum(layer.parameters for layer in layers),
        "macs": macs.pop("total"),
        "macs_of": macs,
        "macs_convention": MACS_CONVENTION,
        "layers": [layer._asdict() for layer in layers],
    }


def _system():
    from importlib.metadata import PackageNotFoundError, version

    versions = {"python": platform.python_version(), "numpy": np.__version__}
    for name in ("numba", "soundfile"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    return versions | {"platform": f"{sys.platform} {platform.machine()}"}


def _backend(config):
    name, reason = backend.describe(config)
    found = {"name": name, "reason": reason, "threads": get_threads() if name == "numba" else 1}
    if name == "numpy":
        return found
    from acdref.ops.microkernel import LANES, ROWS
    from acdref.ops.vectors import host_has

    instructions = [f for f in ("avx512f", "avx2", "fma", "neon") if host_has(f)]
    folder = kernel.cache_directory()
    return found | {
        "simd": {"tile": [ROWS, LANES], "instructions": instructions},
        "cache": None if folder is None else str(folder),
        "compiled": backend.compiled(config),
    }
