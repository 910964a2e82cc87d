"""Recordings in a folder and its subfolders, found by the endings of their names."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from os import PathLike

from acdref import remote

AUDIO_SUFFIXES = (
    # libsndfile
    ".aif", ".aifc", ".aiff", ".au", ".avr", ".bwf", ".caf", ".flac", ".mp2", ".mp3", ".nist", ".oga", ".ogg",
    ".opus", ".rf64", ".sf", ".snd", ".sph", ".voc", ".w64", ".wav", ".wave", ".wavex",
    # ffmpeg
    ".3g2", ".3gp", ".aac", ".ac3", ".adts", ".amr", ".ape", ".asf", ".avi", ".awb", ".dff", ".dsf", ".dts",
    ".eac3", ".f4v", ".flv", ".m2ts", ".m4a", ".m4b", ".m4v", ".mka", ".mkv", ".mov", ".mp4", ".mpc", ".mpeg",
    ".mpg", ".mts", ".mxf", ".ogv", ".oma", ".ra", ".rm", ".shn", ".spx", ".tak", ".tta", ".vob", ".webm",
    ".wma", ".wmv", ".wv",
)  # fmt: skip
"""Suffixes by which recordings are found in folders; given by name, a file may have any."""

_GROUPS, _NAMED = 6, 3  # endings told of, and names


class PassedOver:
    """What walks through folders left out, in one line as ``str``; empty if that is nothing."""

    def __init__(self) -> None:
        self._endings: Counter[str] = Counter()
        self._sounds: list[str] = []
        self._broken: list[str] = []
        self._above: list[str] = []

    def file(self, path: str) -> None:
        """Count a file whose name is not that of a recording."""
        from acdref.audio.decode import begins_like_audio

        ending = os.path.splitext(path)[1].lower()
        self._endings["hidden" if os.path.basename(path).startswith(".") else ending or "without ending"] += 1
        if remote.is_address(path):  # to look inside is to copy it
            return
        if not os.path.exists(path):
            self._broken.append(path)
        elif begins_like_audio(path):
            self._sounds.append(path)

    def above(self, path: str) -> None:
        """Count a link to a folder around the one that is walked."""
        self._above.append(path)

    def __str__(self) -> str:
        parts = []
        if self._endings:
            groups = sorted(self._endings.items(), key=lambda group: (-group[1], group[0]))
            told = [f"{count} {ending}" for ending, count in groups[:_GROUPS]]
            if len(groups) > _GROUPS:
                told.append(f"{sum(count for _, count in groups[_GROUPS:])} others")
            count, kind = self._endings.total(), "no recordings by their names"
            parts.append(f"{count} file{'s' * (count > 1)} ({kind}): {', '.join(told)}")
        for what, names in (
            ("like recordings inside, and read if given by name", self._sounds),
            ("links to nowhere", self._broken),
            ("links to a folder around this one", self._above),
        ):
            if names:
                more = len(names) - _NAMED
                parts.append(f"{what}: {', '.join(names[:_NAMED])}{f' and {more} more' * (more > 0)}")
        return f"passed over {'; '.join(parts)}" if parts else ""


def find_audio(
    folder: str | PathLike[str], failed: Callable[[OSError], object], passed: PassedOver | None = None
) -> Iterator[str]:
    """Find recordings by their suffix.

    Parameters
    ----------
    folder : str or path-like
    failed : callable
        Called with the OSError of each folder that cannot be listed.
    passed : PassedOver, optional
        Told what is left out.

    Yields
    ------
    str
        Their paths, which begin with `folder`: those in it, then those in its subfolders, sorted by name.

    Notes
    -----
    Names that begin with a dot are left out, without a word unless they have the suffix of a recording (and
    are none of macOS's ``._`` files).  Linked folders are followed, but each folder is walked once: not
    through links that lead to where the walk comes anyway, and not through those that lead around the folder
    that is walked.  A linked file is a recording of its own, whatever it links to: names are what labels and
    scores go by.
    """
    root = os.fspath(folder)
    if remote.is_address(root):
        yield from _in_store(root, failed, passed)
        return
    real_root, seen = os.path.realpath(root), set()
    real = {root: real_root}  # where a folder lies, by its path

    def enters(parent, name):
        path, target = os.path.join(parent, name), os.path.join(real[parent], name)
        if not os.path.islink(target):
            real[path] = target
            return True
        real[path] = target = os.path.realpath(target)
        if _is_within(real_root, target):
            if passed is not None and target != real_root:
                passed.above(path)
            return False
        hidden = f"{os.sep}." in target.removeprefix(real_root)
        return hidden or not _is_within(target, real_root)

    for parent, subfolders, files in os.walk(root, onerror=failed, followlinks=True):
        if real[parent] in seen:
            subfolders[:] = []
            continue
        seen.add(real[parent])
        visible = sorted(name for name in subfolders if not name.startswith("."))
        subfolders[:] = [name for name in visible if enters(parent, name)]
        yield from _recordings(parent, sorted(files), passed)


def is_folder(path: str | PathLike[str]) -> bool:
    """Whether recordings are looked for in it; of an address with the ending of one, no store is asked."""
    if not remote.is_address(path):
        return os.path.isdir(path)
    path = os.fspath(path)
    return os.path.splitext(path)[1].lower() not in AUDIO_SUFFIXES and remote.is_folder(path)


def _in_store(folder, failed, passed):
    """As :func:`find_audio`, of an address; the names of one folder are in memory at a time."""
    try:
        folders, names = remote.listing(folder)
    except OSError as error:
        failed(error)
        return
    yield from _recordings(folder, names, passed)
    for name in folders:
        if not name.startswith("."):
            yield from _in_store(remote.join(folder, name), failed, passed)


def _recordings(folder, names, passed):
    """The recordings among the files of a folder."""
    for name in names:
        path, hidden = remote.join(folder, name), name.startswith(".")
        is_audio = os.path.splitext(name)[1].lower() in AUDIO_SUFFIXES
        if is_audio and not hidden:
            yield path
        elif passed is not None and (not hidden or (is_audio and not name.startswith("._"))):
            passed.file(path)


def _is_within(path, folder):
    return os.path.commonpath([path, folder]) == folder
