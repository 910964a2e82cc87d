"""Relabel many label files, each by itself, here or by the workers of a cluster (:mod:`acdref.cluster`).

Workers read the files and write the new ones themselves: all must see the same folders, or stores.
"""

import os
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from acdref.cluster import Cluster, Do, Lost, Task
from acdref.errors import AcdrefError
from acdref.files import BusyError
from acdref.relabel.job import File, relabel
from acdref.relabel.steps import read_steps
from acdref.remote import absolute, join

_PATIENCE = 300  # seconds for a worker that nobody waits for any more, and that writes the same file


def output_of(source: File, folder: File) -> str:
    """The file that `source` is relabelled to: of the same name, in the folder."""
    return join(folder, os.path.basename(os.fspath(source)))


def relabel_files(
    sources: Sequence[str],
    folder: str,
    steps: dict[str, Any],
    how: dict[str, Any],
    cluster: Cluster | None = None,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Relabel files one by one; thresholds that depend on all clips are those of each file.

    Parameters
    ----------
    sources : sequence of str
        No two of one name.
    folder : str
        Where the new files go, see :func:`output_of`.
    steps : dict
        JSON-able, what :func:`acdref.relabel.steps.read_steps` takes.
    how : dict
        JSON-able, the other arguments of :func:`acdref.relabel.job.relabel`.
    cluster : Cluster, optional

    Yields
    ------
    source : str
    about : dict
        In the order of `sources`: ``notes``, lines about what looks wrong, and either ``report``, as
        :meth:`acdref.relabel.report.Report.as_dict` gives it, or ``error``: what is wrong with this file,
        which stops no other.

    Raises
    ------
    AcdrefError
        If the steps cannot be, or the cluster cannot be used.
    """
    options = {"folder": folder, "steps": steps, "how": how, "patience": 0}
    if cluster is None:
        for source, (about, _) in zip(sources, relabeller(options)(sources), strict=True):
            yield source, about
        return
    task = Task(f"{__name__}:relabeller", _anywhere(options) | {"patience": _PATIENCE})
    for source, answer in cluster.in_order(task, ((one, absolute(one)) for one in sources)):
        if isinstance(answer, Lost):
            yield source, {"notes": [], "error": f"{source}: {answer.cause}"}
            continue
        about = answer[0] | {"notes": [_as_given(note, source) for note in answer[0]["notes"]]}
        yield source, about | ({"error": _as_given(about["error"], source)} if "error" in about else {})


def _as_given(text, source):
    """A line about a file, by the name that the user gave it."""
    place = absolute(source)
    return source + text[len(place) :] if text.startswith(f"{place}:") else text


_PATHS = {"steps": ("ontology", "vocabulary", "superclasses"), "how": ("scores", "absent", "root")}


def _anywhere(options):
    """Options whose paths mean the same in any folder."""
    anywhere = options | {"folder": absolute(options["folder"])}
    for group, names in _PATHS.items():
        given = {name: options[group].get(name) for name in names}
        anywhere[group] = options[group] | {name: path and absolute(path) for name, path in given.items()}
    return anywhere


# In the worker --------------------------------------------------------------------------------------------


def relabeller(options: dict[str, Any], data: bytes = b"") -> Do:
    """What relabels files, of the options that :func:`relabel_files` makes."""
    how = options["how"] | {"patience": options["patience"]}
    return partial(_answers, read_steps(**options["steps"]), options["folder"], how)


def _answers(steps, folder, how, sources):
    for source in sources:
        notes = []
        try:
            report = _patient(source, output_of(source, folder), steps, say=notes.append, **how)
            yield {"notes": notes, "report": report.as_dict()}, None
        except AcdrefError as error:
            yield {"notes": notes, "error": str(error)}, None


def _patient(source, out, steps, *, patience, **how):
    """Relabel a file, when nobody else writes it any more."""
    until = time.monotonic() + patience
    while True:
        try:
            return relabel(source, out, steps, **how)
        except BusyError:
            if time.monotonic() >= until:
                raise
            time.sleep(1)
