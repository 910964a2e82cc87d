"""Which file a clip of a label file is in: label files name clips, and downloads name files as they like."""

import os
import string
from collections.abc import Iterator
from os import PathLike

from acdref.errors import FileError, OptionError
from acdref.tables.label_files import Clip, LabelFile

TIMES = ("start", "end", "start_ms", "end_ms")
FIELDS = ("id", *TIMES)


class FilePattern:
    """The name of a clip's file, made of what a label file says of the clip.

    Parameters
    ----------
    pattern : str
        Text with the fields of :data:`FIELDS` in braces, ``{id}`` among them.  ``{start}`` and ``{end}`` are
        seconds, without decimals if they are whole, or in Python's format after a colon; those for whole
        numbers (``:d``, ``:06d``) round down, as downloads do.  ``{start_ms}`` and ``{end_ms}`` are whole
        milliseconds.

    Attributes
    ----------
    timed : bool
        Whether it needs start and end of a clip, which AudioSet's segments have.

    Raises
    ------
    OptionError
        For another field, or a format that it cannot have.

    Examples
    --------
    >>> clip = Clip(1, "--PJHxphWEs", [], details=("30.000", "40.000"))
    >>> for pattern in ("Y{id}.wav", "{id}_{start:06d}.mp4", "{id}_{start_ms}_{end_ms}.flac"):
    ...     print(FilePattern(pattern).path(clip))
    Y--PJHxphWEs.wav
    --PJHxphWEs_000030.mp4
    --PJHxphWEs_30000_40000.flac
    """

    def __init__(self, pattern: str):
        self.pattern = pattern
        try:
            parts = list(string.Formatter().parse(pattern))
        except ValueError as error:
            raise OptionError(f"{pattern}: {error}") from None
        # Of (text before it, field or None, its format), as they follow each other.
        self._parts = [(text, field, spec or "") for text, field, spec, _ in parts]
        for _, field, spec, conversion in parts:
            self._check(field, spec, conversion)
        names = {field for _, field, _ in self._parts}
        if "id" not in names:
            raise OptionError(f"{pattern}: must have {{id}}, or else all clips would be in one file")
        self.timed = bool(names & set(TIMES))

    def _check(self, field, spec, conversion):
        if field is None:
            return
        if field not in FIELDS:
            known = ", ".join(f"{{{name}}}" for name in FIELDS)
            raise OptionError(f"{self.pattern}: {{{field}}} is unknown; there are {known}")
        try:
            if conversion:
                raise ValueError(f"there is no !{conversion}")
            if field == "id" and spec:
                raise ValueError("an id stands there whole")
            for seconds in (30.0, 30.5):
                _written("x" if field == "id" else seconds if field in ("start", "end") else 30, spec)
        except ValueError as error:
            raise OptionError(f"{self.pattern}: {{{field}}} cannot be written so ({error})") from None

    def path(self, clip: Clip) -> str:
        """The name of a clip's file."""
        values: dict[str, str | float] = {"id": clip.id}
        if self.timed:
            for name, text in zip(("start", "end"), clip.details, strict=True):
                values |= {name: float(text), f"{name}_ms": round(1000 * float(text))}
        return "".join(text + _written(values.get(field or ""), spec) for text, field, spec in self._parts)


def _written(value, spec):
    """A value of a field as its format wants it; nothing for no field."""
    if value is None:
        return ""
    if isinstance(value, float) and (value.is_integer() or spec.endswith("d")):
        value = int(value)
    return format(value, spec)


class FoundClips(LabelFile):
    """A label file, without the clips whose file is not there.

    Parameters
    ----------
    path, format
        As of :class:`acdref.tables.label_files.LabelFile`.
    pattern : FilePattern
    root : str or path-like, optional
        The folder to look in.  None: every clip counts.

    Attributes
    ----------
    missing : int
        Clips that were left out when the file was last read to its end.
    example : str
        The file of the first of these.

    Raises
    ------
    FileError
        If the file has no times and the pattern wants them, or there is no such folder.
    """

    def __init__(
        self,
        path: str | PathLike,
        format: str | None,
        pattern: FilePattern,
        root: str | PathLike | None = None,
    ):
        super().__init__(path, format)
        self.pattern, self.root, self.missing, self.example = pattern, root, 0, ""
        if pattern.timed and self.format != "audioset":
            cause = f"{self.format} has no start and end of clips, which {pattern.pattern} wants"
            raise FileError(path, cause)
        if root is not None and not os.path.isdir(root):
            raise FileError(root, "no such folder")

    def __iter__(self) -> Iterator[Clip]:
        missing = 0
        for clip in super().__iter__():
            name = self.pattern.path(clip)
            if self.root is None or os.path.exists(os.path.join(self.root, name)):
                yield clip
                continue
            missing += 1
            self.example = self.example or name
        self.missing = missing
