"""The page of a report as files: one that holds everything, or a folder of which it loads what is looked at.

A page that is opened from a disk may not fetch, so the parts of a folder are scripts.  Both have the same:

meta            what `page.js` must know at once
list0, ...      ``{"rows": [...], "cells": base64}``: recordings, and the scores of each, (C, K) uint16
items0, ...     ``[base64, ...]``: pictures (PNG) and sounds, by their numbers
"""

import base64
import contextlib
import json
import os
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

from acdref.errors import FileError, naming
from acdref.files import claimed, replacing, settle, write_text

PART = 1 << 20
"""Characters after which a part of items is full: what a browser reads at once."""

_OURS = '<meta name="generator" content="acdref report">'
_NAMES = re.compile(r"(\d+)-(list|items)\d+\.js")


class Parts:
    """What a page is made of, on its way into files.

    Parameters
    ----------
    place : callable
        Called with the name and the JSON of each part.

    Attributes
    ----------
    lists : int
    starts : list of int
        Number of the first item of each part of them.
    """

    def __init__(self, place: Any) -> None:
        self._place = place
        self.lists = 0
        self.starts = [0]
        self._items: list[str] = []

    def list(self, rows: list, cells: bytes) -> None:
        """Add recordings."""
        self._place(f"list{self.lists}", json_text({"rows": rows, "cells": text_of(cells)}))
        self.lists += 1

    def item(self, data: bytes) -> int:
        """Add a picture or a sound; returns its number."""
        if sum(map(len, self._items)) >= PART:
            self.flush()
        self._items.append(text_of(data))
        return self.starts[-1] + len(self._items) - 1

    def flush(self) -> None:
        """Have all items placed."""
        if self._items:
            self._place(f"items{len(self.starts) - 1}", json_text(self._items))
            self.starts.append(self.starts[-1] + len(self._items))
            self._items = []


def text_of(data: bytes) -> str:
    """Bytes in base64."""
    return base64.b64encode(data).decode()


def json_text(value: Any) -> str:
    """JSON that may stand in a script: whatever is in it, nothing ends that.

    Examples
    --------
    >>> print(json_text("</script><!-- \\u2028 <script>"))
    "\\u003c/script>\\u003c!-- \\u2028 \\u003cscript>"
    """
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def is_file(out: str | os.PathLike) -> bool:
    """Whether a page is to be one file, by the ending of its name."""
    return os.path.splitext(out)[1].lower() in (".html", ".htm")


def refuse_foreign(folder: str | os.PathLike) -> None:
    """Refuse to replace a page in a folder that is no report; FileError."""
    index = Path(folder, "index.html")
    if index.exists():
        with naming(index), open(index, "rb") as file:
            if _OURS.encode() not in file.read(4096):
                raise FileError(index, "is no report, and would be replaced; name another folder")


@contextlib.contextmanager
def opened_page(out: str | os.PathLike) -> Iterator[tuple[Parts, dict]]:
    """Context in which a page is written, which is there when the block has ended, whole.

    Parameters
    ----------
    out : str or path-like
        A file, see :func:`is_file`; or a folder, made if need be, which gets ``index.html`` and ``data/``.
        An older report there stays as it is until this one takes its place.

    Yields
    ------
    parts : Parts
    meta : dict
        To be filled, JSON-able.

    Raises
    ------
    FileError
        If it cannot be written, another run is writing it, or the folder has another page.
    """
    with _into_file(out) if is_file(out) else _into_folder(Path(out)) as opened:
        yield opened


@contextlib.contextmanager
def _into_file(path):
    before, behind = _template()
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as file:

        def place(name, text):
            file.write(f'<script type="application/json" id="part-{name}">{text}</script>\n')

        file.write(before)
        parts, meta = Parts(place), {}
        yield parts, meta
        file.write(_last(parts, meta) + behind)


@contextlib.contextmanager
def _into_folder(folder):
    before, behind = _template()
    refuse_foreign(folder)
    with claimed(folder), claimed(folder / "data"):
        data = folder / "data"
        old = [name for name in os.listdir(data) if _NAMES.fullmatch(name)]
        run = 1 + max((int(name.partition("-")[0]) for name in old), default=0)
        new: list[str] = []

        def place(name, text):
            new.append(f"{run}-{name}.js")
            with replacing(data / new[-1], durable=False) as temporary:
                temporary.write_text(f'report.put("{name}",{text});\n', encoding="utf-8", newline="\n")

        try:
            parts, meta = Parts(place), {"data": f"data/{run}"}
            yield parts, meta
            text = before + _last(parts, meta) + behind
            settle(data, new)
            write_text(folder / "index.html", text)
            new, old = old, []
        finally:  # of two reports one is left, whatever happens
            for name in new:
                with contextlib.suppress(OSError):
                    (data / name).unlink()


def page_of(name: str, meta: dict) -> str:
    """A page that has all in one part.

    Parameters
    ----------
    name : str
        Of its files in this folder, ``NAME.html`` and ``NAME.js``.
    meta : dict
        JSON-able.
    """
    before, behind = _template(name)
    return before + _meta(meta) + behind


def _last(parts, meta):
    """The part that says what there is."""
    parts.flush()
    return _meta(meta | {"lists": parts.lists, "items": parts.starts})


def _meta(meta):
    return f'<script type="application/json" id="meta">{json_text(meta)}</script>\n'


def _template(name: str = "page") -> tuple[str, str]:
    """A page, up to its parts and from there on."""
    files = resources.files("acdref.report")
    names = (f"{name}.html", "page.css", "shared.js", f"{name}.js")
    page, style, *scripts = (files.joinpath(each).read_text(encoding="utf-8") for each in names)
    before, _, behind = page.partition("<!--PARTS-->\n")
    return before.replace("<!--CSS-->\n", style), behind.replace("<!--JS-->\n", "\n".join(scripts))
