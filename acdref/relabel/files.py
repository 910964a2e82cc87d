"""Relabel many label files, each by itself, here or by the workers of a cluster (:mod:`acdref.cluster`).

Workers read the files and write the new ones themselves: all must see the same folders, or stores.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from acdref.cluster import Cluster, Do, Lost, Task, refuse_unwanted
from acdref.errors import AcdrefError
from acdref.files import BusyError, sha256
from acdref.relabel.job import File, relabel
from acdref.relabel.steps import read_steps
from acdref.remote import absolute, join

_PATIENCE = 300  # seconds for a worker that nobody waits for any more, and that writes the same file
_KEPT = ("ontology", "vocabulary", "superclasses")  # files that a worker reads once
_PLACES = (*_KEPT, "scores", "absent", "root")  # options that are files or folders


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

    Returns
    -------
    iterator of (source, about)
        In the order of `sources`.  `about` is a dict: ``notes``, lines about what looks wrong, and either
        ``report``, as :meth:`acdref.relabel.report.Report.as_dict` gives it, or ``error``: what is wrong
        with this file, which stops no other.

    Raises
    ------
    AcdrefError
        If the steps cannot be; from the iterator, if the cluster cannot be used.
    """
    if cluster is None:
        do = relabeller({"folder": folder, "steps": steps, "how": how})
        return ((source, about) for source, (about, _) in zip(sources, do(sources), strict=True))
    read_steps(**steps)  # what is wrong with them is told here, not by a worker
    return _far(sources, folder, steps, how, cluster)


def _far(sources, folder, steps, how, cluster):
    options = {
        "folder": absolute(folder),
        "steps": _placed(steps),
        "how": _placed(how),
        "sha256": {name: sha256(steps[name]) for name in _KEPT if steps.get(name) is not None},
    }
    task = Task(f"{__name__}:relabeller", options)
    asked = steps | how
    given = {asked[name]: absolute(asked[name]) for name in _PLACES if asked.get(name) is not None}
    for source, answer in cluster.in_order(task, ((one, absolute(one)) for one in sources)):
        if isinstance(answer, Lost):
            yield source, {"notes": [], "error": f"{source}: {answer.cause}"}
        else:
            yield source, _as_given(answer[0], given | {source: absolute(source)})


def _placed(options):
    """Options whose paths mean the same in any folder."""
    given = {name: options[name] for name in _PLACES if options.get(name) is not None}
    return options | {name: absolute(path) for name, path in given.items()}


def _as_given(about, given):
    """What is said of files, by the names that the user gave them."""

    def named(text):
        for path, place in given.items():
            text = text.replace(f"{place}:", f"{path}:")
        return text

    told = about | {"notes": [named(note) for note in about["notes"]]}
    return told | ({"error": named(about["error"])} if "error" in about else {})


def telling(source: str, do: Callable[..., dict]) -> dict[str, Any]:
    """What comes of a file: what :func:`relabel_files` says of it.

    Parameters
    ----------
    source : str
    do : callable
        Gives the report; its argument `say` is called with notes.
    """

    def named(text):
        return str(text) if str(text).startswith(f"{source}:") else f"{source}: {text}"

    notes: list[str] = []
    try:
        about = {"report": do(say=lambda note: notes.append(named(note)))}
    except AcdrefError as error:
        about = {"error": named(error)}
    return {"notes": notes} | about


# In the worker --------------------------------------------------------------------------------------------


def relabeller(options: dict[str, Any], data: bytes = b"") -> Do:
    """What relabels files, of the options that :func:`relabel_files` makes.

    Raises
    ------
    AcdrefError
        If the steps cannot be, or a file that they need is another than where they were asked for.
    """
    steps, how = options["steps"], options["how"]
    for name, digest in options.get("sha256", {}).items():
        if sha256(steps[name]) != digest:
            raise AcdrefError(f"has another {steps[name]}")
    if "sha256" in options:  # a worker may be told to stop in the middle of a file
        how = how | {"progress": lambda clips: refuse_unwanted(), "patience": _PATIENCE}
    return partial(_answers, read_steps(**steps), options["folder"], how)


def _answers(steps, folder, how, sources):
    for source in sources:
        yield telling(source, partial(_patient, source, output_of(source, folder), steps, **how)), None


def _patient(source, out, steps, *, patience=0, **how):
    """Relabel a file, when nobody else writes it any more."""
    until = time.monotonic() + patience
    while True:
        try:
            return relabel(source, out, steps, **how).as_dict()
        except BusyError:
            if time.monotonic() >= until:
                raise
            time.sleep(1)
