"""Embeddings: what the last layer of a network reads, and recordings that are like each other by it.

A recording's embedding is the mean over its windows, weighted by duration, as its scores are.
"""

import copy
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from os import PathLike
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acdref import __version__
from acdref.checkpoint import Arrays
from acdref.errors import AcdrefError, FileError, naming
from acdref.files import parse_json, refuse_pipes, replacing
from acdref.nets.layers import Dense, forward
from acdref.nets.registry import name_of
from acdref.predict.backend import Adaptive
from acdref.predict.formats import printable
from acdref.predict.outputs import check_parquet, utf8
from acdref.predict.score_set import network_key
from acdref.predict.scoring import WINDOW, Scores, mean_over_windows
from acdref.predict.tagging import End, Failure, Window, predict
from acdref.remote import here
from acdref.tables.rows import csv_line

SCHEMA = "acdref.embeddings/1"
SIMILAR_SCHEMA = "acdref.similar/1"


def embeddings(net: Any, x: ArrayLike) -> NDArray:
    """What the last dense layer of a network reads.

    Parameters
    ----------
    net : network
    x : array
        Features of N clips, as the network's front end makes them of one.

    Returns
    -------
    (N, D) array
        D is 64 for ACDnet.  Where the layer reads frames or patches, their mean.

    Raises
    ------
    AcdrefError
        If the network has no dense layer.

    Notes
    -----
    Clips go through one at a time, so that neither memory nor rounding depends on the batch.

    Examples
    --------
    >>> from acdref.nets import ACDNet
    >>> embeddings(ACDNet(backend="numpy"), np.zeros((2, 130, 257, 2), np.float32)).shape
    (2, 64)
    """
    layers, x = _before_the_last_dense(net), np.asarray(x)
    net.as_map(x)  # complains about the shape of the whole
    read = [forward(layers, net, net._checked(clip[None]), train=False)[0] for clip in x]
    return np.stack([each.reshape(-1, each.shape[-1]).mean(axis=0) for each in read])  # (N, D)


def _before_the_last_dense(net):
    at = [i for i, layer in enumerate(net.layers) if isinstance(layer, Dense)]
    if not at:
        raise AcdrefError(f"{name_of(net)} has no dense layer at its end, whose input would be the embedding")
    return net.layers[: at[-1]]


class Embedder(Adaptive):
    """A network that gives embeddings in place of probabilities, to everything that scores.

    Parameters
    ----------
    net : Adaptive or network
        Left as it is; its weights are shared, not its backend.

    Raises
    ------
    AcdrefError
        If the network has no dense layer.
    """

    kernels = "embedding"

    def __init__(self, net: Any) -> None:
        adaptive = isinstance(net, Adaptive)
        backend, say, far = (net.asked, net.say, net.far) if adaptive else (net.backend, None, None)
        net = copy.copy(getattr(net, "net", net))
        _before_the_last_dense(net)
        super().__init__(net, backend, say)
        self.far = far

    def _scores(self, x):
        return embeddings(self.net, x)


class Embedded(NamedTuple):
    """A recording's `vector` (D,), how many `seconds` it has, and what is wrong though it was used."""

    path: str
    vector: NDArray[np.float64]
    seconds: float
    note: str | None


def embed(
    net: Any,
    paths: Iterable[str | Iterable[str]],
    window: float = WINDOW,
    hop: float | None = None,
    say: Callable[[str], object] | None = None,
    printed: Callable[[], str] | None = None,
) -> Iterator[Embedded | Failure]:
    """Embeddings of recordings.

    Parameters
    ----------
    net : Embedder
    paths, window, hop, say, printed
        As of :func:`acdref.predict.tagging.predict`.

    Yields
    ------
    Embedded or Failure
        In their order; a Failure for a recording that cannot be used to its end.
    """
    windows: list[Window] = []
    for result in predict(net, paths, window, hop, say, printed, ends=True):
        if isinstance(result, Window):
            windows.append(result)
            continue
        if isinstance(result, End):
            note = "; ".join(each.note for each in windows if each.note) or None
            yield Embedded(result.path, mean_vector(windows), windows[-1].end, note)
        else:
            yield result
        windows = []


def mean_vector(windows: Iterable[Window]) -> NDArray[np.float64]:
    """The mean over windows (D,), weighted by their duration."""
    return mean_over_windows(Scores(each.start, each.end, each.scores) for each in windows)


class Embeddings(NamedTuple):
    """Embeddings of recordings, as a file holds them.

    Attributes
    ----------
    paths : list of str, (N,)
    vectors : (N, D) float32 array
    seconds : (N,) float64 array
    meta : dict
        ``schema``, ``acdref`` (its version), ``network``, ``weights`` (the file's name), ``sha256`` (of the
        network, see :func:`acdref.predict.score_set.network_key`), ``window`` and ``hop``.
    """

    paths: list[str]
    vectors: NDArray[np.float32]
    seconds: NDArray[np.float64]
    meta: dict[str, Any]

    @classmethod
    def of(cls, found: Sequence[Embedded], meta: dict[str, Any]) -> "Embeddings":
        """Put those of recordings, at least one, together."""
        vectors = np.array([each.vector for each in found], np.float32)  # (N, D)
        seconds = np.array([each.seconds for each in found])
        return cls([each.path for each in found], vectors, seconds, {"schema": SCHEMA, **meta})


def write_embeddings(path: str | PathLike, found: Embeddings) -> None:
    """Write a file of embeddings; the old one stays until the new one is complete.

    Parameters
    ----------
    path : str or path-like
        Ends in ``.parquet`` (columns path, seconds, embedding; `meta` as the schema's metadata ``acdref``),
        else it is npz: ``paths`` (N,) text, ``embeddings`` (N, D), ``seconds`` (N,), ``meta`` JSON in UTF-8.
    found : Embeddings

    Raises
    ------
    FileError
        If it cannot be written.
    AcdrefError
        If Parquet is asked for and pyarrow is not installed.
    """
    meta = json.dumps(found.meta).encode()
    with replacing(path) as temporary:
        if os.fspath(path).lower().endswith(".parquet"):
            arrow = check_parquet()
            values = arrow.array(found.vectors.ravel())
            vectors = arrow.FixedSizeListArray.from_arrays(values, found.vectors.shape[1])
            columns = {"path": list(map(utf8, found.paths)), "seconds": found.seconds, "embedding": vectors}
            table = arrow.table(columns).replace_schema_metadata({"schema": SCHEMA, "acdref": meta})
            arrow.parquet.write_table(table, temporary)
        else:
            arrays: dict[str, Any] = {"embeddings": found.vectors, "seconds": found.seconds}
            arrays |= {"paths": np.array(found.paths, np.str_), "meta": np.frombuffer(meta, np.uint8)}
            with open(temporary, "wb") as file:
                np.savez(file, **arrays)


def read_embeddings(path: str | PathLike) -> Embeddings:
    """Read what :func:`write_embeddings` wrote, npz or Parquet by its first bytes.

    Raises
    ------
    FileError
        If it cannot be read, is damaged, or something else.
    """
    refuse_pipes(path)
    with naming(path), open(here(path), "rb") as file:
        parquet = file.read(4) == b"PAR1"
    paths, vectors, seconds, text = (_read_parquet if parquet else _read_npz)(path)
    try:
        meta = parse_json(text)
        if meta["schema"] != SCHEMA:
            raise FileError(path, f"schema {meta['schema']!r}: this acdref reads {SCHEMA}")
        needed = meta["window"] + meta["hop"], meta["sha256"] + meta["weights"]
        if vectors.ndim != 2 or not len(paths) == len(vectors) == len(seconds) or not needed[0] > 0:
            raise ValueError(f"{vectors.shape} for {len(paths)} paths")
        finite = np.isfinite(vectors).all()
    except (KeyError, TypeError, ValueError) as error:
        raise FileError(path, f"{_DAMAGED}: {error}") from None
    if not finite:
        raise FileError(path, "has values that are not finite")
    return Embeddings(paths, vectors, seconds, meta)


_DAMAGED = "damaged, or not what acdref embed writes"


def _read_npz(path):
    with Arrays(path, _DAMAGED) as archive:
        kinds = {"paths": "U", "embeddings": "f", "seconds": "f", "meta": "u"}
        paths, vectors, seconds, meta = arrays = [archive.read(name) for name in kinds]
        if [array.dtype.kind for array in arrays] != list(kinds.values()):
            raise archive.bad("its arrays are of other types")
    return paths.ravel().tolist(), vectors, seconds, meta.tobytes()


def _read_parquet(path):
    arrow = check_parquet()
    try:
        table = arrow.parquet.read_table(os.fspath(path))
        vectors = table["embedding"].combine_chunks()
        vectors = vectors.flatten().to_numpy().reshape(len(vectors), -1)  # (N, D)
        seconds = table["seconds"].to_numpy()
        return table["path"].to_pylist(), vectors, seconds, table.schema.metadata[b"acdref"]
    except (arrow.ArrowException, KeyError, TypeError, ValueError, OSError) as error:
        raise FileError(path, f"{_DAMAGED}: {error}".splitlines()[0]) from None


def weights_meta(net: Any, path: str | PathLike) -> dict[str, str]:
    """What a file of embeddings says of the network, and of the file that this was read from."""
    names = {"acdref": __version__, "network": name_of(net), "weights": os.path.basename(path)}
    return names | {"sha256": network_key(net)["network"]}


def check_weights(found: Embeddings, path: str | PathLike, weights: str, sha256: str) -> None:
    """Refuse embeddings that other weights have made, since they cannot be compared: FileError."""
    if found.meta["sha256"] != sha256:
        cause = f"made with other weights ({found.meta['weights']}) than {weights}: name them by --weights"
        raise FileError(path, f"{cause}, or embed its recordings anew")


def similar(query: ArrayLike, vectors: ArrayLike) -> NDArray[np.float64]:
    """Cosine similarity of one embedding with others.

    Parameters
    ----------
    query : (D,) array_like
    vectors : (N, D) array_like

    Returns
    -------
    (N,) array
        In [-1, 1]; 0 where one of the two is all zeros.

    Examples
    --------
    >>> similar([1, 0], [[2, 0], [1, 1], [0, 0], [-1, 0]]).round(3)
    array([ 1.   ,  0.707,  0.   , -1.   ])
    """
    return np.clip(_unit(vectors) @ _unit(query), -1, 1)  # (N,)


def _unit(x):
    x = np.asarray(x, np.float64)
    length = np.linalg.norm(x, axis=-1, keepdims=True)
    return x / np.where(length == 0, 1, length)


def nearest(
    found: Embeddings, query: ArrayLike, top: int, without: int | None = None
) -> list[tuple[str, float]]:
    """The (path, cosine similarity) of recordings that are most like a query.

    Parameters
    ----------
    found : Embeddings
    query : (D,) array_like
    top : int
        So many at most.
    without : int, optional
        One that does not count: the query itself.

    Returns
    -------
    list of (str, float)
        The most similar first; of equals, in the order of the file.
    """
    cosines = similar(query, found.vectors)
    order = [i for i in np.argsort(-cosines, kind="stable") if i != without]
    return [(found.paths[i], float(cosines[i])) for i in order[:top]]


def _csv(rows):
    yield csv_line(("path", "similarity", "schema"))
    for path, cosine in rows:
        yield csv_line((path, round(cosine, 6), SIMILAR_SCHEMA))


def _jsonl(rows):
    for path, cosine in rows:
        yield json.dumps({"schema": SIMILAR_SCHEMA, "path": path, "similarity": round(cosine, 6)}) + "\n"


def _table(rows):
    for path, cosine in rows:
        yield f"{cosine:6.3f}  {printable(path)}\n"


FORMATS = {"table": _table, "csv": _csv, "jsonl": _jsonl}
