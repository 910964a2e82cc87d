"""Where results go: what is refused before any work, and how a stream or a file is opened."""

import contextlib
import io
import os
import re
import stat
import sys
from collections.abc import Collection, Iterator
from typing import TextIO

import click

from acdref.errors import FileError, naming
from acdref.remote import is_address, join, refuse_unwritable

STDOUT = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")
"""Names of stdout, whose own descriptor is not for us: see `acdref.cli`."""

_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/(\d+)")


def is_stream(path: str) -> bool:
    """Whether results flow through and nothing is replaced: stdout, a FIFO, /dev/null, /dev/fd/3, ..."""
    if path in STDOUT or _DESCRIPTOR.fullmatch(path):
        return True
    with contextlib.suppress(OSError, ValueError):
        mode = os.stat(path).st_mode
        return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)
    return False


def check_output(
    path: str | None,
    *inputs: str | None,
    flag: str = "--out",
    endings: Collection[str] = (),
    or_else: str = "",
    stream: bool = False,
) -> None:
    """Refuse an output before any work is done for it.

    Parameters
    ----------
    path : str, or None for none
    *inputs : str or None
        Files and folders that are read.
    flag : str
        The option that names it.
    endings : collection of str, optional
        Of the formats there are; what has no ending is the caller's to judge.  None: any.
    or_else : str
        What else than an ending tells the format, for the message.
    stream : bool
        Whether it may be one, see :func:`is_stream`.

    Raises
    ------
    UsageError
        For an unknown ending.
    FileError
        If it is an input, a recording, a folder or no regular file, or its folder is missing.
    """
    if path is None or (stream and is_stream(path)):
        return
    from acdref.files import refuse_inputs

    if not is_address(path):
        _refuse_local(path)
    refuse_inputs(path, *inputs)
    if is_address(path):
        refuse_unwritable(path)
    if is_address(path) or os.path.exists(path):
        from acdref.audio.decode import begins_like_audio
        from acdref.tables.walk import AUDIO_SUFFIXES

        named = os.path.splitext(path)[1].lower() in AUDIO_SUFFIXES
        if named or (not is_address(path) and begins_like_audio(path)):
            raise FileError(path, "is a recording, and would be replaced; name another output")
    ending = os.path.splitext(path)[1]
    if endings and ending.lower() not in endings:
        known = ", ".join(filter(None, endings))
        raise click.UsageError(f"{flag} {path}: its ending names no format; there are {known}{or_else}")


def _refuse_local(path):
    """Refuse what can be no file of this machine."""
    if os.path.isdir(path):
        raise FileError(path, "a directory")
    if path == "-" or (os.path.exists(path) and not os.path.isfile(path)):
        raise FileError(path, "not a regular file")
    if not os.path.isdir(os.path.dirname(path) or "."):
        raise FileError(path, "its folder does not exist")


def check_folder(path: str | None, *inputs: str | None, written: str = "") -> None:
    """Refuse a folder of results before any work is done for it.

    Parameters
    ----------
    path : str, or None for none
        Made if it is not there.
    *inputs : str or None
        Files and folders that are read.
    written : str
        Regular expression of the names in it that are replaced.

    Raises
    ------
    FileError
        If it is no folder, is an input, or has an input where a result is written.
    """
    if path is None:
        return
    from acdref.files import refuse_inputs

    if is_address(path):
        refuse_unwritable(path, folder=True)
    elif os.path.exists(path.rstrip(os.sep)) and not os.path.isdir(path):
        raise FileError(path, "not a folder")
    refuse_inputs(path, *inputs)
    for given in filter(None, inputs):
        if re.fullmatch(written, os.path.basename(given)):
            refuse_inputs(join(path, os.path.basename(given)), given)


@contextlib.contextmanager
def opened(path: str | None, for_people: bool = False) -> Iterator[TextIO]:
    """Open an output for text in UTF-8.

    Parameters
    ----------
    path : str, or None for stdout
        A stream is written to as results come; a file takes its place when all is done.
    for_people : bool
        Whether stdout keeps the terminal's encoding, whatever that lacks.  Elsewhere names that are not UTF-8
        come out as the bytes they are.
    """
    if path is None or path in STDOUT:
        if isinstance(sys.stdout, io.TextIOWrapper):
            if for_people:
                sys.stdout.reconfigure(errors="backslashreplace")
            else:
                sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape", newline="\n")
        yield sys.stdout
    elif is_stream(path):
        number = _DESCRIPTOR.fullmatch(path)
        with naming(path), _text(os.dup(int(number[1])) if number else path) as stream:
            yield stream
    else:
        from acdref.files import replacing

        with replacing(path) as temporary, _text(temporary) as stream:
            yield stream


def _text(place):
    return open(place, "w", encoding="utf-8", errors="surrogateescape", newline="\n")
