"""Recordings scored by the workers of a cluster: what :mod:`acdref.predict.scoring` does here, elsewhere.

Weights and options travel once, see :mod:`acdref.cluster`; of the scores come back the same bits that this
machine would have made with the same backend, if it is of the same kind.
"""

import tempfile
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from acdref.checkpoint import load_weights, save_weights
from acdref.cluster import Cluster, Do, Lost, Task
from acdref.errors import AcdrefError, AudioError
from acdref.predict.backend import Adaptive
from acdref.predict.embedding import Embedder
from acdref.predict.score_set import network_key
from acdref.predict.scoring import Heard, Scores, score_recordings
from acdref.remote import absolute


def score_far(
    cluster: Cluster,
    net: Adaptive,
    recordings: Iterable[tuple[Any, str | None] | None],
    window: float,
    hop: float | None,
) -> Iterator[Heard]:
    """Probabilities of recordings in their order, as of :func:`acdref.predict.scoring.score_recordings`.

    Parameters
    ----------
    cluster : Cluster
    net : Adaptive
        Whose backend is the same from beginning to end; an Embedder gives embeddings.
    recordings, window, hop
        As there.

    Yields
    ------
    Heard
        Without what decoders have printed, which is in the workers' logs.
    """
    entries = (each and (each, each[1] and absolute(each[1])) for each in recordings)
    answers = cluster.in_order(task_of(net, window, hop), entries)
    for number, ((recording, path), answer) in enumerate(answers):
        yield from _heard(Heard(number, recording), path, answer)


def task_of(net: Adaptive, window: float, hop: float | None) -> Task:
    """What the workers are told of a network."""
    options = network_key(net.net) | {"embedding": isinstance(net, Embedder), "window": window, "hop": hop}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "weights.npz")
        save_weights(place, net.net, map(str, range(net.net.config.classes)))
        return Task(f"{__name__}:scorer", options, place.read_bytes())


def _heard(heard, path, answer):
    """What was heard in a recording, window by window."""
    if answer is None:
        yield heard
        return
    if isinstance(answer, Lost):
        yield heard._replace(error=AudioError(path, answer.cause))
        return
    about, rows = answer
    *notes, last = map(tuple, about["notes"])
    for (start, end), said, row in zip(about["spans"], notes, () if rows is None else rows, strict=True):
        yield heard._replace(scores=Scores(start, end, row), notes=said)
    yield heard._replace(notes=last, error=_error(path, about["error"]))


def _error(path, cause):
    if cause is None:
        return None
    return AudioError(path, cause) if cause else MemoryError()


# In the worker --------------------------------------------------------------------------------------------


def scorer(options: dict[str, Any], data: bytes) -> Do:
    """What scores recordings, of the options and data of :func:`task_of`.

    Raises
    ------
    AcdrefError
        If the weights are not those that were sent, or their backend is not there.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "weights.npz")
        place.write_bytes(data)
        own, _ = load_weights(place, backend="numpy")
    if network_key(own)["network"] != options["network"]:
        raise AcdrefError("has other weights than were sent")
    net = Adaptive(own, options["backend"])
    if options["embedding"]:
        net = Embedder(net)
    if net.net.backend != options["backend"]:
        raise AcdrefError(f"cannot use the backend {options['backend']}")
    return partial(_answers, net, options["window"], options["hop"])


def _answers(net, window, hop, files):
    spans, notes, rows = [], [], []
    for heard in score_recordings(net, ((file, file) for file in files), window, hop):
        notes.append(heard.notes)
        if heard.scores is not None:
            start, end, row = heard.scores
            spans.append((start, end))
            rows.append(row)
            continue
        cause = heard.error and getattr(heard.error, "cause", "")
        about = {"spans": spans, "notes": notes, "error": cause}
        yield about, np.stack(rows) if rows else None  # (windows, C)
        spans, notes, rows = [], [], []
