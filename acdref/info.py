"""What is installed, what runs, and what the network is made of."""

import os
import platform
import sys
from os import PathLike

import numpy as np

from acdref import __version__, checkpoint
from acdref.errors import AcdrefError
from acdref.files import weights_file
from acdref.nets import registry
from acdref.ops import kernel
from acdref.ops.threads import get_threads
from acdref.predict import backend

SCHEMA = "acdref.info/1"


def collect(weights: str | PathLike | None = None, net: str | None = None, width: float = 1.0) -> dict:
    """Everything that `acdref info` shows.

    Parameters
    ----------
    weights : str or path-like, optional
        By default the shipped weights; where there are none, the default network is described.
    net : str, optional
        A key of :data:`acdref.nets.NETWORKS`: describe this network rather than weights.
    width : float
        Of `net`.

    Returns
    -------
    dict
        For JSON: ``schema, version, system, network, backend, weights, parameters, macs, macs_of,
        macs_convention, layers``.  ``parameters`` counts what training changes, ``macs`` multiply-adds for
        10 s of sound.

    Raises
    ------
    CheckpointError
        If the weights cannot be used.
    AcdrefError
        If both weights and a network are given, or there is no such network.
    """
    if weights is not None and net is not None:
        raise AcdrefError("weights name their network themselves: give either weights or a network")
    if net is None and weights is None and os.path.exists(weights_file()):
        weights = weights_file()
    if weights is None:
        return _facts(_fresh(net or "acdnet", width), None)
    network, meta = checkpoint.load_weights(weights, backend="numpy")
    path = os.fspath(weights_file(weights))
    facts = {name: value for name, value in meta.items() if name not in ("config", "classes", "rows")}
    return _facts(network, {"path": path, "classes": meta["classes"], "meta": facts})


def _fresh(name, width=1.0):
    """A network with the paper's number of classes."""
    try:
        return registry.build(name, registry.default_config(name).classes, width, backend="numpy")
    except ValueError as error:
        raise AcdrefError(str(error)) from None


def _facts(net, file):
    layers = registry.layer_table(net)
    macs, convention = registry.count_macs(net)
    return {
        "schema": SCHEMA,
        "version": __version__,
        "system": _system(),
        "network": registry.name_of(net),
        "backend": _backend(net.config),
        "weights": file,
        "parameters": sum(layer.parameters for layer in layers),
        "macs": macs.pop("total"),
        "macs_of": macs,
        "macs_convention": convention,
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
    from acdref.ops.layout import LANES
    from acdref.ops.microkernel import ROWS
    from acdref.ops.vectors import target_has

    instructions = [f for f in ("avx512f", "avx2", "fma", "neon") if target_has(f)]
    folder = kernel.cache_directory()
    return found | {
        "simd": {"tile": [ROWS, LANES], "instructions": instructions},
        "cache": None if folder is None else str(folder),
        "compiled": backend.compiled(config),
    }
