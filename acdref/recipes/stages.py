"""A job of several stages that may be stopped at any moment, even by kill -9, and then continues.

A recipe's folder::

    recipe.json             the recipe's name and options; with others it is not continued
    1-given/, 2-teacher/    a folder for each stage, with the files that it makes
    1-given/finished.json   written last: sha256 of the files that count and of those they were made from, and
                            a summary

A stage with ``finished.json`` is not done again.  A stage without begins, or continues in its own way:
training from its checkpoint, scoring from its journal, all else from its beginning.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from acdref.data.loader import end_if_starting
from acdref.errors import AcdrefError, FileError, naming
from acdref.files import Place, claimed, json_sha256, make_folder, read_json, sha256, write_text
from acdref.fit import Observer

SCHEMA = "acdref.recipe/1"
Summaries = dict[str, dict]
"""What stages have found, by name."""


@dataclass(frozen=True)
class Stage:
    """One step of a recipe.

    Attributes
    ----------
    name : str
        Of its folder, after its number.
    work : callable
        ``work(folder, before, observer)`` makes the files in `folder` and returns a summary, a dict that
        JSON can hold; `before` has the folders of the stages before by name.  Called again after it was
        stopped or killed, it continues or starts anew, and makes the same files.  :class:`acdref.fit.Stopped`
        if the observer wants to.
    files : tuple of str
        Those that later stages read.
    """

    name: str
    work: Callable[[Path, dict[str, Path], Observer], dict]
    files: tuple[str, ...]


def run(
    recipe: str, out: Place, options: dict, stages: Sequence[Stage], observer: Observer | None = None
) -> Summaries:
    """Do the stages of a recipe that are not done yet.

    Parameters
    ----------
    recipe : str
        Its name.
    out : str or path-like
        The recipe's folder.
    options : dict
        All that the result depends on, as JSON can hold it, the input files' contents included.
    stages : sequence of Stage
    observer : Observer, optional
        Told what happens; asked whether to stop.

    Returns
    -------
    dict of str to dict
        The stages' summaries by name.

    Raises
    ------
    acdref.fit.Stopped
        If the observer stopped it.
    AcdrefError
        If `out` holds something else: another recipe, one with other options, or a stage that was made from
        other files than there are now; or if another run is at work there.

    Examples
    --------
    >>> import tempfile
    >>> def work(folder, before, observer):
    ...     _ = (folder / "x.txt").write_text("1")
    ...     return {"made": 1}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run("example", f"{folder}/out", {"seed": 0}, [Stage("first", work, ("x.txt",))])
    {'first': {'made': 1}}
    """
    end_if_starting()
    with claimed(out):
        _claim(recipe, Path(out), options)
        return _run(Path(out), stages, observer or Observer())


def _run(out, stages, observer):
    summaries, made, before = Summaries(), dict[str, str](), dict[str, Path]()
    for number, stage in enumerate(stages, start=1):
        folder = out / f"{number}-{stage.name}"
        title = f"{number}/{len(stages)} {stage.name}"
        summary = _finished(folder, made, observer)
        observer.log(title if summary is None else f"{title}: finished before")
        if summary is None:
            summary = _do(stage, folder, made, before, observer)
        summaries[stage.name], before[stage.name] = summary, folder
        made |= {f"{folder.name}/{name}": sha256(folder / name) for name in stage.files}
    return summaries


def _claim(recipe, out, options):
    """Write recipe.json, or compare with it."""
    path = out / "recipe.json"
    # As JSON gives them back: tuples are lists.
    wanted = json.loads(json.dumps({"schema": SCHEMA, "recipe": recipe, "options": options}))
    if not path.exists():
        with naming(out):
            holds = [path for path in out.iterdir() if not path.name.startswith(".")]
        if holds:
            raise AcdrefError(f"{out}: holds other files; choose another folder")
        write_text(path, json.dumps(wanted, indent=2) + "\n")
        return
    found = _read(path)
    if found.get("recipe") != recipe:
        raise AcdrefError(f"{out}: holds the recipe {found.get('recipe')!r}; choose another folder")
    before, now = _flat(found.get("options", {})), _flat(wanted["options"])
    changed = [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]
    if changed:
        words = ", ".join(f"{name}: {before.get(name)}, now {now.get(name)}" for name in changed)
        advice = "give the same ones, or choose another folder"
        raise AcdrefError(f"{out}: was begun with other options ({words}); {advice}")


def _flat(options, prefix=""):
    """Options in options as ``name.name``."""
    flat = {}
    for name, value in options.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def _do(stage, folder, made, before, observer):
    """Work, then say that it is done; returns the summary."""
    with naming(folder):
        make_folder(folder)
    summary = stage.work(folder, before, observer)
    files = {name: sha256(folder / name) for name in stage.files}
    state = {"schema": SCHEMA, "files": files, "made_from": made, "summary": summary}
    state["sha256"] = json_sha256(state)
    write_text(folder / "finished.json", json.dumps(state, indent=2) + "\n")
    return _read(folder / "finished.json")["summary"]  # the same whether the stage was done now or before


def _finished(folder, made, observer):
    """The summary of a finished stage, whose files are as it left them; None if it is not finished."""
    path = folder / "finished.json"
    if not path.exists():
        return None
    try:
        state = read_json(path)
        if state.pop("sha256", None) not in (None, json_sha256(state)):  # None: from before there was one
            raise ValueError("changed")
    except (FileError, ValueError, TypeError, AttributeError):
        observer.log(f"{path}: damaged; its stage is done again")
        return None
    _check_schema(path, state)
    if state.get("made_from") != made:
        raise FileError(folder, "was made from other files than there are now; delete it to make it again")
    for name, digest in state.get("files", {}).items():
        if sha256(folder / name) != digest:
            raise FileError(folder / name, "has changed since; delete its folder to make it again")
    return state.get("summary")


def _read(path):
    state = read_json(path)
    _check_schema(path, state)
    return state


def _check_schema(path, state):
    if not isinstance(state, dict) or state.get("schema") != SCHEMA:
        raise FileError(path, f"has not the schema {SCHEMA}")
