"""Weights and checkpoints: npz files without pickle, written atomically, checked when read.

A file holds arrays and one JSON text, ``meta``, with the format's name and version, the network's
configuration and the class names; ``sha256`` covers all of it.  A weights file has the arrays
``params/NAME`` and ``state/NAME``; a checkpoint of a training run has more beside them.
"""

import dataclasses
import hashlib
import json

import numpy as np

from acdref.errors import CheckpointError
from acdref.files import replacing

FORMAT = "acdref-weights"
VERSION = 1


def save(path, arrays, meta):
    """Write arrays and JSON-able `meta` to an npz file; the old file stays until the new one is complete.

    Parameters
    ----------
    path : str or path-like
    arrays : dict of str to ndarray
        Numbers only; names must not be "meta" or "sha256".
    meta : dict

    Raises
    ------
    CheckpointError
        If the file cannot be written.
    """
    text = json.dumps(meta, sort_keys=True).encode()
    entries = dict(arrays) | {"meta": np.frombuffer(text, np.uint8)}
    digest = np.frombuffer(_digest(entries), np.uint8)
    with replacing(path, CheckpointError) as temporary, open(temporary, "wb") as file:
        np.savez(file, **entries, sha256=digest)


def load(path):
    """Read what :func:`save` wrote.

    Returns
    -------
    arrays : dict of str to ndarray
    meta : dict

    Raises
    ------
    CheckpointError
        If the file is missing, not of this format, cut short, or was changed since it was written.
    """
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            entries = {name: np.asarray(archive[name]) for name in archive.files}
    except OSError as error:
        raise CheckpointError(path, error.strerror or error) from None
    except Exception:  # what zipfile and NumPy raise for damaged bytes has no common type
        raise CheckpointError(path, "not a weights file of acdref, or a damaged one") from None
    digest = entries.pop("sha256", None)
    if digest is None or "meta" not in entries:
        raise CheckpointError(path, "not a weights file of acdref")
    if digest.tobytes() != _digest(entries):
        raise CheckpointError(path, "damaged: its contents do not match its sha256")
    try:
        meta = json.loads(entries.pop("meta").tobytes())
    except ValueError:
        meta = None
    if not isinstance(meta, dict):
        raise CheckpointError(path, "not a weights file of acdref: its meta is no JSON object")
    if meta.get("format") != FORMAT:
        raise CheckpointError(path, f"not a weights file of acdref (format {meta.get('format')!r})")
    if meta.get("version") != VERSION:
        raise CheckpointError(path, f"format version {meta.get('version')}: this acdref reads {VERSION}")
    return entries, meta


def network_meta(net, classes):
    """The `meta` that every file with this network starts from."""
    from acdref.nets import registry

    return {
        "format": FORMAT,
        "version": VERSION,
        "network": registry.name_of(net),
        "config": dataclasses.asdict(net.config),
        "classes": list(classes),
    }


def network_arrays(net):
    """The network's arrays under their names in a file."""
    return {f"params/{name}": a for name, a in net.params.items()} | {
        f"state/{name}": a for name, a in net.state.items()
    }


def save_weights(path, net, classes, **extra):
    """Write a network with its class names; `extra` (JSON-able) goes into the file's meta."""
    save(path, network_arrays(net), network_meta(net, classes) | extra)


def load_weights(path, backend="auto"):
    """Read a network from a weights file or a training checkpoint.

    Parameters
    ----------
    path : str or path-like
    backend : {"auto", "numpy", "numba"}

    Returns
    -------
    net : network
        Of the kind that the file names.
    meta : dict
        ``classes`` among other things.

    Raises
    ------
    CheckpointError
        As :func:`load`, or if the file's network does not fit its configuration.
    """
    arrays, meta = load(path)
    net = build_network(path, meta, backend)
    restore_network(path, net, arrays)
    return net, meta


def build_network(path, meta, backend="auto"):
    """A network of the configuration in `meta`, with fresh weights."""
    from acdref.nets import registry

    try:
        name = meta["network"]
        config = registry.config_from(name, dict(meta["config"]))
        if config.classes != len(meta["classes"]):
            raise ValueError(f"{config.classes} outputs for {len(meta['classes'])} class names")
        return registry.NETWORKS[name](config, backend=backend)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(path, f"its network's configuration makes no sense: {error}") from None


def restore_network(path, net, arrays):
    """Fill a network's parameters and state from a file's arrays, in place."""
    for kind, own in (("params", net.params), ("state", net.state)):
        for name, a in own.items():
            stored = arrays.get(f"{kind}/{name}")
            if stored is None or stored.shape != a.shape:
                found = "missing" if stored is None else f"of shape {stored.shape} instead of {a.shape}"
                raise CheckpointError(path, f"{kind}/{name} is {found}")
            if stored.dtype.kind not in "fiu":
                raise CheckpointError(path, f"{kind}/{name} is not an array of numbers")
            if not np.isfinite(stored).all():
                raise CheckpointError(path, f"{kind}/{name} has values that are not finite")
            own[name] = stored.astype(a.dtype)


def _digest(entries):
    """sha256 over names, dtypes, shapes and contents, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(entries):
        a = np.ascontiguousarray(entries[name])
        digest.update(f"{name} {a.dtype.str} {a.shape}\n".encode())
        digest.update(a.tobytes())
    return digest.digest()
