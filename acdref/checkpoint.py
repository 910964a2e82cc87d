"""Npz files without pickle: the one reader of them all; and weights and checkpoints, checked when read.

A file of weights holds arrays and one JSON text, ``meta``, with the format's name and version, the network's
configuration and the class names; ``sha256`` covers all of it.  A weights file has the arrays
``params/NAME`` and ``state/NAME``; a checkpoint of a training run has more beside them.
"""

import contextlib
import dataclasses
import hashlib
import json
import math
import re
import zipfile
from collections.abc import Iterable, Iterator
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from acdref.errors import CheckpointError, FileError
from acdref.files import replacing

if TYPE_CHECKING:
    from acdref.nets.network import Network

FORMAT = "acdref-weights"
VERSION = 1
_RECONSTRUCTED = (
    "weights of the 1-D network (conv1d) of before, whose layer table was a reconstruction: train again"
)


def save(path: str | PathLike, arrays: dict[str, NDArray], meta: dict) -> None:
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
    entries: dict[str, Any] = dict(arrays) | {"meta": np.frombuffer(text, np.uint8)}
    digest = np.frombuffer(_digest(entries), np.uint8)
    with replacing(path, CheckpointError) as temporary, open(temporary, "wb") as file:
        np.savez(file, **entries, sha256=digest)


class Arrays:
    """The arrays of an npz file, open in a ``with`` statement: no pickles, and one error for all damage.

    Parameters
    ----------
    path : str or path-like
    damaged : str
        How the message begins if the file is damaged or something else.
    error : type
        Subclass of FileError.

    Attributes
    ----------
    names : list of str
        The arrays in the file.

    Raises
    ------
    FileError
        If the file cannot be opened; while it is read, for an array that is missing or damaged.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/x.npz", a=[1.5, 2.0])
    ...     with Arrays(f"{folder}/x.npz") as arrays:
    ...         arrays.names, arrays.read("a"), arrays.header("a")
    (['a'], array([1.5, 2. ]), ((2,), dtype('float64')))
    """

    def __init__(self, path: str | PathLike, damaged: str = "damaged", error: type[FileError] = FileError):
        self.path, self._damaged, self._error = str(path), damaged, error

    def __enter__(self):
        try:
            self._zip = zipfile.ZipFile(self.path)
        except OSError as error:
            raise self._error(self.path, error.strerror or str(error)) from None
        except Exception:
            raise self.bad("not an npz file") from None
        self.names = [name.removesuffix(".npy") for name in self._zip.namelist()]
        return self

    def __exit__(self, *_):
        self._zip.close()

    def bad(self, cause: object) -> FileError:
        """The error to raise for a file with this fault."""
        return self._error(self.path, f"{self._damaged}: {cause}".partition("\n")[0])

    def read(self, name: str) -> NDArray:
        """A whole array."""
        with self._stream(name) as stream:
            return np.lib.format.read_array(stream, allow_pickle=False)

    def header(self, name: str) -> tuple[tuple[int, ...], np.dtype]:
        """Shape and dtype of an array."""
        with self._stream(name) as stream:
            return self._header(stream)

    def chunks(self, name: str, count: int) -> Iterator[NDArray]:
        """An array, `count` rows at a time."""
        with self._stream(name) as stream:
            shape, dtype = self._header(stream)
            row = dtype.itemsize * math.prod(shape[1:])
            for start in range(0, shape[0], count):
                n = min(count, shape[0] - start)
                yield np.frombuffer(stream.read(n * row), dtype).reshape(n, *shape[1:])

    @contextlib.contextmanager
    def _stream(self, name):
        if name not in self.names:
            raise self.bad(f"has no array {name}")
        try:
            with self._zip.open(f"{name}.npy") as stream:
                yield stream
        except Exception as error:  # what zipfile and NumPy raise for damaged bytes has no common type
            raise self.bad(error) from None

    @staticmethod
    def _header(stream):
        version = np.lib.format.read_magic(stream)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, fortran, dtype = read[version](stream)
        if dtype.hasobject:
            raise ValueError("Python objects are not read")
        if fortran and len(shape) > 1:
            raise ValueError("Fortran order is not read: save numpy.ascontiguousarray of it")
        return shape, dtype


def read_arrays(
    path: str | PathLike, kinds: dict[str, str], what: str, error: type[FileError] = FileError
) -> dict[str, NDArray]:
    """Arrays of an npz file that a user brings.

    Parameters
    ----------
    path : str or path-like
    kinds : dict of str to str
        The arrays that there must be, and the kind of the dtype of each.
    what : str
        What the file should be, for the message.
    error : type, optional
        Subclass of FileError.

    Returns
    -------
    dict of str to ndarray

    Raises
    ------
    FileError
        If it cannot be read, is damaged or something else.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/x.npz", a=[1.5])
    ...     read_arrays(f"{folder}/x.npz", {"a": "f"}, "an example")
    {'a': array([1.5])}
    """
    with Arrays(path, f"damaged, or not {what}", error) as archive:
        arrays = {name: archive.read(name) for name in kinds}
        for name, kind in kinds.items():
            if arrays[name].dtype.kind != kind:
                raise archive.bad(f"{name} is {arrays[name].dtype}")
    return arrays


def load(path: str | PathLike) -> tuple[dict[str, NDArray], dict]:
    """Read what :func:`save` wrote.

    Returns
    -------
    arrays : dict of str to ndarray
    meta : dict

    Raises
    ------
    CheckpointError
        If the file is missing, not of this format, cut short, or was changed since it was written; or if its
        network is one that there is no more.
    """
    with Arrays(path, "not a weights file of acdref, or a damaged one", CheckpointError) as archive:
        entries = {name: archive.read(name) for name in archive.names}
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
    if meta.get("network") == "conv1d" and "dense" not in (meta.get("config") or ()):
        raise CheckpointError(path, _RECONSTRUCTED)
    return entries, meta


def network_meta(net: "Network", classes: Iterable[str]) -> dict:
    """The `meta` that every file with this network starts from."""
    from acdref.nets import registry

    return {
        "format": FORMAT,
        "version": VERSION,
        "network": registry.name_of(net),
        "config": dataclasses.asdict(net.config),
        "classes": list(classes),
    }


def network_arrays(net: "Network") -> dict[str, NDArray]:
    """The network's arrays under their names in a file."""
    kinds = {"params": net.params, "state": net.state}
    return {f"{kind}/{name}": a for kind, own in kinds.items() for name, a in own.items()}


def save_weights(path: str | PathLike, net: "Network", classes: Iterable[str], **extra: Any) -> None:
    """Write a network with its class names; `extra` (JSON-able) goes into the file's meta."""
    save(path, network_arrays(net), network_meta(net, classes) | extra)


def load_weights(path: str | PathLike, backend: str = "auto") -> tuple["Network", dict]:
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


def build_network(path: str | PathLike, meta: dict, backend: str = "auto") -> "Network":
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


def restore_network(path: str | PathLike, net: "Network", arrays: dict[str, NDArray]) -> None:
    """Fill a network's parameters and state from a file's arrays, in place.

    Parameters
    ----------
    path : str or path-like
        The file, which errors name.
    net : network
    arrays : dict of str to ndarray
        As :func:`load` returns them.  Files of earlier versions have depthwise and pointwise weights with
        fewer axes: whatever belongs to a parameter, moments and averages too, gets the parameter's shape here
        if the two differ by axes of length 1 only.

    Raises
    ------
    CheckpointError
        If an array is missing, has another shape, or holds what is no finite number.
    """
    own = net.params | net.state
    for key, stored in arrays.items():
        name = re.sub(r"^(.*/)?([mv]\.|average\.)?", "", key)
        if name in own and np.squeeze(stored).shape == np.squeeze(own[name]).shape:
            arrays[key] = stored.reshape(own[name].shape)
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
