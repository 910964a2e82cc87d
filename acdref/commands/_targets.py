"""`acdref predict --out`: what each target is, what is refused before any work, how they are opened."""

import contextlib
import os
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import click

from acdref.commands._output import STDOUT, check_folder, check_output, is_stream, opened
from acdref.remote import plain, real

ROWS = ("table", "csv", "jsonl", "parquet")
"""Formats of windows, or with --events of events."""

ONE_FILE = ("dcase",)
"""Formats of events alone, all in one file."""

FOLDERS = {
    "audacity": ".txt", "raven": ".Table.1.selections.txt", "textgrid": ".TextGrid", "scores": ".tsv",
}  # fmt: skip
"""Formats with a file for each recording, and its ending."""

FORMS = (*ROWS, *ONE_FILE, *FOLDERS)

_ENDINGS = {
    ".csv": "csv", ".jsonl": "jsonl", ".parquet": "parquet", ".table": "table", ".tsv": "dcase",
    ".txt": "table", "": "csv",
}  # fmt: skip


class Target(NamedTuple):
    """Where results go.

    `path` is None for stdout; `form` is None where nothing names it, which :func:`check_targets` refuses;
    `events` says what is written.
    """

    form: str | None
    path: str | None
    events: bool


def targets_of(outs: Sequence[str], form: str | None, events: bool) -> list[Target]:
    """What the values of --out mean, FORMAT:PATH or PATH; without any, stdout.

    Raises
    ------
    UsageError
        If two are the same place, or a format fits no stream.
    """
    if form is not None and len(outs) > 1:
        raise click.UsageError("--format goes with one --out; of several, each says FORMAT:PATH")
    targets = [_target(out, form, events) for out in outs or ("-",)]
    places = [(target.path, target.form if target.form in FOLDERS else None) for target in targets]
    for place in places:
        if places.count(place) > 1:
            raise click.UsageError(f"--out {place[0] or '-'} is given twice")
    return targets


def _target(out, form, events):
    prefix, colon, rest = out.partition(":")
    path = out
    if colon and prefix in FORMS:
        if form not in (None, prefix):
            raise click.UsageError(f"--format {form} and --out {out} say two things")
        form, path = prefix, rest
    path = None if path in STDOUT else plain(path)
    if form is None:
        form = _form_of(path)
    if form in (*FOLDERS, "parquet") and (path is None or is_stream(path)):
        place = "FOLDER" if form in FOLDERS else "FILE"
        raise click.UsageError(f"{form} goes to no stream: --out {form}:{place}")
    return Target(form, path, events or form in (*ONE_FILE, *FOLDERS))


def _form_of(path):
    """By the name of the file, or what stdout is: for people on a terminal, else for programs."""
    if path is None:
        return "table" if sys.stdout.isatty() else "csv"
    if is_stream(path):
        return "csv"
    return _ENDINGS.get(os.path.splitext(path)[1].lower())


def check_targets(targets: Sequence[Target], *inputs: str | None) -> None:
    """Refuse targets before any work; errors as of :func:`acdref.commands._output.check_output`."""
    for form, path, _ in targets:
        if form == "parquet" and path is not None and _is_folder(form, path):
            from acdref.predict.outputs import refuse_parts

            check_folder(path, *inputs)
            refuse_parts(path)
        elif form in FOLDERS and path is not None:
            ending = FOLDERS[form]
            if path.endswith(ending):
                cause = f"{form} has a file for each recording: name a folder, not a file"
                raise click.UsageError(f"--out {form}:{path}: {cause}")
            check_folder(path, *inputs, written=rf".*{re.escape(ending)}")
        else:
            endings = tuple(_ENDINGS) if form is None else ()
            or_else = "; or name it: FORMAT:PATH, or --format"
            check_output(path, *inputs, endings=endings, or_else=or_else, stream=True)
        if form == "parquet":
            from acdref.predict.outputs import check_parquet

            check_parquet()


def _is_folder(form, path):
    return form in FOLDERS or (form == "parquet" and path.endswith(("/", os.sep)))


@contextlib.contextmanager
def opened_targets(
    targets: Sequence[Target], classes: Sequence[str], threshold: Any, top: int | None, lost: Any
) -> Iterator[tuple[list, list]]:
    """Open targets; gives writers of windows and writers of timelines.

    `lost` is called with the FileError of a recording's label file that cannot be written.
    """
    with contextlib.ExitStack() as stack:
        folders = {real(path) for form, path, _ in targets if path and _is_folder(form, path)}
        for folder in folders:
            from acdref.files import claimed

            stack.enter_context(claimed(folder))
        writers = [stack.enter_context(_opened(target, classes, threshold, top, lost)) for target in targets]
        pairs = list(zip(targets, writers, strict=True))
        yield (
            [write for target, write in pairs if not target.events],
            [write for target, write in pairs if target.events],
        )


@contextlib.contextmanager
def _opened(target, classes, threshold, top, lost):
    from acdref.predict import outputs

    form, path, events = target
    if form in FOLDERS:
        with outputs.LabelFolder(path, form, classes) as folder:
            yield _tolerant(folder.write, lost)
    elif form == "parquet":
        from acdref.files import replacing

        where = contextlib.nullcontext(path) if _is_folder(form, path) else replacing(path)
        with where as place:
            how = (place, classes) if events else (place, classes, threshold, top)
            with (outputs.event_parquet if events else outputs.window_parquet)(*how) as write:
                yield write
    else:
        with opened(path, for_people=form == "table") as stream:
            if events:
                yield outputs.event_text(form, stream, classes)
            else:
                yield outputs.window_text(form, stream, classes, threshold, top)


def _tolerant(write, lost):
    from acdref.errors import FileError

    def tolerant(timeline):
        try:
            write(timeline)
        except FileError as error:
            lost(error)

    return tolerant
