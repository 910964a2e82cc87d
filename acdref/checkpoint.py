"""Npz files without pickle: the one reader of them all; and weights and checkpoints, checked when read.

A file of weights holds arrays and one JSON text, ``meta``, with the format's name and version, the network's
configuration and the class names; ``sha256`` covers all of it.  A weights file has the arrays
``params/NAME`` and ``state/NAME``; a checkpoint of a training run has more beside them.

Since version 2 the meta may hold ``thresholds``: of each class, the score from which it is a tag.  Files of
version 1 are read as if all were 0.5.
"""

import contextlib
import dataclasses
import hashlib
import json
import math
import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from acdref.errors import CheckpointError, FileError, naming
from acdref.files import parse_json, refuse_pipes, replacing, weights_file
from acdref.remote import here

if TYPE_CHECKING:
    from acdref.nets.network import Network

FORMAT = "acdref-weights"
VERSION = 2
_READ = (1, 2)
THRESHOLD = 0.5
"""The score from which a class is a tag, where the weights do not say otherwise."""
_RECONSTRUCTED = (
    "weights of the 1-D network (conv1d) of before, whose layer table was a reconstruction: train again"
)

# An array that is larger than the first of these many bytes and than so many times its bytes in the file is
# refused before it is unpacked.
_SMALL, _MOST_PACKED = 1 << 26, 100


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
        refuse_pipes(self.path, self._error)
        with naming(self.path, self._error):
            place = here(self.path)
        try:
            self._zip = zipfile.ZipFile(place)
        except OSError as error:
            raise self._error(self.path, error.strerror or str(error)) from None
        except Exception:
            raise self.bad("not an npz file") from None
        self.names = [name.removesuffix(".npy") for name in self._zip.namelist()]
        name, count = max(Counter(self.names).items(), key=lambda item: item[1], default=("", 0))
        if count > 1:
            raise self.bad(f"has the array {name} {count} times")
        return self

    def __exit__(self, *_):
        self._zip.close()

    def bad(self, cause: object) -> FileError:
        """The error to raise for a file with this fault."""
        return self._error(self.path, f"{self._damaged}: {cause}".partition("\n")[0])

    def read(self, name: str, wanted: tuple[int, ...] | None = None) -> NDArray:
        """A whole array; with so many values as one of the shape `wanted`, or none is read."""
        with self._stream(name) as stream:
            shape, fortran, dtype = self._header(stream, name)
            if wanted is not None and math.prod(shape) != math.prod(wanted):
                raise ValueError(f"{name} is of shape {shape} instead of {wanted}")
            content = bytearray(stream.read(dtype.itemsize * math.prod(shape)))
            return np.ndarray(shape, dtype, content, order="F" if fortran else "C")

    def header(self, name: str) -> tuple[tuple[int, ...], np.dtype]:
        """Shape and dtype of an array in C order, whose size is what they say."""
        with self._stream(name) as stream:
            return self._in_c_order(stream, name)

    def chunks(self, name: str, count: int) -> Iterator[NDArray]:
        """An array in C order, `count` rows at a time."""
        with self._stream(name) as stream:
            shape, dtype = self._in_c_order(stream, name)
            row = dtype.itemsize * math.prod(shape[1:])
            for start in range(0, shape[0], count):
                n = min(count, shape[0] - start)
                yield np.frombuffer(stream.read(n * row), dtype).reshape(n, *shape[1:])

    @contextlib.contextmanager
    def _stream(self, name):
        if name not in self.names:
            raise self.bad(f"has no array {name}")
        try:
            info = self._zip.getinfo(f"{name}.npy")
            if info.flag_bits & 1:
                raise ValueError(f"the array {name} is encrypted")
            if info.file_size > max(_SMALL, _MOST_PACKED * info.compress_size):
                raise ValueError(
                    f"the array {name} would grow from {info.compress_size} bytes to {info.file_size}"
                )
            with self._zip.open(info) as stream:
                yield stream
        except MemoryError:
            raise self._error(self.path, f"the array {name} is too large for this machine's memory") from None
        except Exception as error:  # what zipfile and NumPy raise for damaged bytes has no common type
            raise self.bad(error) from None

    def _in_c_order(self, stream, name):
        shape, fortran, dtype = self._header(stream, name)
        if fortran and len(shape) > 1:
            raise ValueError("Fortran order is not read: save numpy.ascontiguousarray of it")
        return shape, dtype

    def _header(self, stream, name):
        version = np.lib.format.read_magic(stream)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, fortran, dtype = read[version](stream)
        if dtype.hasobject:
            raise ValueError("Python objects are not read")
        size, there = dtype.itemsize * math.prod(shape), self._zip.getinfo(f"{name}.npy").file_size
        if min(shape, default=0) < 0 or stream.tell() + size != there:
            raise ValueError(f"the array {name} of shape {shape} has {there} bytes")
        return shape, fortran, dtype


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
        if not {"meta", "sha256"} <= set(archive.names):
            raise CheckpointError(path, "not a weights file of acdref")
        meta = _meta(archive)
        # Compared before anything is unpacked: moments and averages are of the network's shapes, too.
        shapes = _shapes(path, meta) if "network" in meta else {}
        entries = {name: archive.read(name, shapes.get(_own_name(name))) for name in archive.names}
    if entries.pop("sha256").tobytes() != _digest(entries):
        raise CheckpointError(path, "damaged: its contents do not match its sha256")
    del entries["meta"]
    return entries, meta


def _meta(archive):
    """What a weights file says of itself."""
    try:
        meta = parse_json(archive.read("meta").tobytes())
    except ValueError:
        meta = None
    if not isinstance(meta, dict):
        raise CheckpointError(
            archive.path, "not a weights file of acdref, or damaged: its meta is no JSON object"
        )
    if meta.get("format") != FORMAT:
        raise CheckpointError(archive.path, f"not a weights file of acdref (format {meta.get('format')!r})")
    if meta.get("version") not in _READ:
        cause = f"format version {meta.get('version')!r}: this acdref reads {' and '.join(map(str, _READ))}"
        raise CheckpointError(archive.path, cause)
    config = meta.get("config")
    if meta.get("network") == "conv1d" and isinstance(config, dict) and "dense" not in config:
        raise CheckpointError(archive.path, _RECONSTRUCTED)
    return meta


def _shapes(path, meta):
    """Shapes of the network's arrays, by name."""
    net = _outline(path, meta)
    return {name: a.shape for name, a in (net.params | net.state).items()}


def _own_name(key):
    """The network's name of the array that a file's array belongs to: moments and averages, too."""
    return re.sub(r"^(.*/)?([mv]\.|average\.)?", "", key)


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
    """Write a network with its class names.

    `extra` (JSON-able) goes into the file's meta: ``thresholds`` (C,), and whatever else is to be said.
    """
    save(path, network_arrays(net), network_meta(net, classes) | extra)


def load_weights(path: str | PathLike | None = None, backend: str = "auto") -> tuple["Network", dict]:
    """Read a network from a weights file or a training checkpoint.

    Parameters
    ----------
    path : str or path-like, optional
        Or the name of shipped weights: see :func:`acdref.files.weights_file`.
    backend : {"auto", "numpy", "numba"}

    Returns
    -------
    net : network
        Of the kind that the file names.
    meta : dict
        ``classes`` and ``thresholds`` (C,) among other things.

    Raises
    ------
    CheckpointError
        As :func:`load`, or if the file's network does not fit its configuration.
    """
    from acdref.nets import registry

    path = weights_file(path)
    arrays, meta = load(path)
    net = build_network(path, meta, backend)
    restore_network(path, net, arrays)
    try:
        registry.check_input(net)
    except ValueError as error:
        raise CheckpointError(path, f"does not fit its front end: {error}") from None
    unsaid = [THRESHOLD] * len(meta["classes"])
    thresholds = meta.get("thresholds", unsaid) if meta["version"] > 1 else unsaid
    return net, meta | {"thresholds": thresholds}


def build_network(path: str | PathLike, meta: dict, backend: str = "auto") -> "Network":
    """A network of the configuration in `meta`, with fresh weights.

    Raises
    ------
    CheckpointError
        If there is no such network, or its classes are not names that differ, one for each output.
    """
    from acdref.nets import registry

    _outline(path, meta)
    name = meta["network"]
    return registry.NETWORKS[name](registry.config_from(name, dict(meta["config"])), backend=backend)


def _outline(path, meta):
    """The network without its arrays; CheckpointError if there can be no such network."""
    from acdref.nets import registry

    try:
        for name in ("network", "config", "classes"):
            if name not in meta:
                raise ValueError(f"it has no {name}")
        config = registry.config_from(meta["network"], dict(meta["config"]))
        classes = meta["classes"]
        if not isinstance(classes, list) or not all(isinstance(c, str) and c.strip() for c in classes):
            raise ValueError("its classes are no list of names")
        for name in classes:
            if re.search("[\0\ud800-\udfff]", name):
                raise ValueError(f"its class {name!r} is no text")
        if len(set(classes)) < len(classes):
            raise ValueError("it names a class twice")
        if config.classes != len(classes):
            raise ValueError(f"{config.classes} outputs for {len(classes)} class names")
        _check_thresholds(meta.get("thresholds", [THRESHOLD] * len(classes)), len(classes))
        return registry.outline(meta["network"], config)
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise CheckpointError(path, f"its network's configuration makes no sense: {error}") from None


def _check_thresholds(thresholds, count):
    if not isinstance(thresholds, list) or len(thresholds) != count:
        raise ValueError(f"its thresholds are no list of {count}, one for each class")
    for value in thresholds:
        if type(value) not in (int, float) or not 0 <= value <= 1:
            raise ValueError(f"its threshold {value!r} is no number from 0 to 1")


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
        name = _own_name(key)
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
