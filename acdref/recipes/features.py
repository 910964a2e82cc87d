"""Stages: the features or samples of all recordings, decoded once, in one file that is read in place."""

import dataclasses
import json
import os
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from acdref.audio import decode as audio
from acdref.errors import AudioError, FileError, naming
from acdref.features.front_ends import FRONT_ENDS, FrontEnd, front_end, without_offset
from acdref.files import settle, write_text
from acdref.fit import tell
from acdref.nets import registry
from acdref.nets.network import Network
from acdref.recipes.stages import Stage
from acdref.tables.journal import Journal, stamp
from acdref.tables.manifest import Manifest

DATA, INDEX, JOURNAL = "features.f32", "features.json", "ends.part"
PART = "features.part"


class Features:
    """What :func:`stage` has made, by number of the recording.

    Parameters
    ----------
    folder : Path
        Of the stage.

    Attributes
    ----------
    ends : (N + 1,) int array
        Recording i has the steps ``ends[i]`` to ``ends[i + 1]`` of the file; none if it could not be used.
    """

    def __init__(self, folder: Path):
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        self.ends = np.array([0, *index["ends"]])
        shape = (int(self.ends[-1]), *index["shape"])
        self._data = np.memmap(folder / DATA, np.float32, "r", shape=shape)

    def __len__(self):
        return len(self.ends) - 1

    def __getitem__(self, i):
        """Features of recording i, (steps, ...) float32, read-only."""
        return self._data[self.ends[i] : self.ends[i + 1]]

    @property
    def usable(self) -> np.ndarray:
        """Which recordings have features, (N,) bool."""
        return np.diff(self.ends) > 0


def stage(
    name: str,
    recordings: Sequence[Manifest],
    front: FrontEnd,
    prepare: Callable | None = None,
    most: float | None = None,
) -> Stage:
    """Stage: features of recordings.

    Parameters
    ----------
    name : str
    recordings : sequence of Manifest
        Numbered through.
    front : FrontEnd
    prepare : callable, optional
        From samples at the recording's own rate, and that rate, to samples; resampled after that.
    most : float, optional
        Seconds of a recording that are used.

    Returns
    -------
    Stage
        Whose summary has the numbers of recordings, and of those that could be used.

    Notes
    -----
    A killed stage continues with what is not on the disk, whole and of the recordings as they are now.
    """

    def work(folder, before, observer):
        files = [manifest.file(i) for manifest in recordings for i in range(len(manifest))]
        if not (folder / DATA).exists():
            shape = front.transform(np.zeros(front.fewest(1), np.float32)).shape[1:]
            _write(folder, files, shape, lambda path: _features(path, front, prepare, most), observer)
        (folder / JOURNAL).unlink(missing_ok=True)
        found = Features(folder)
        return {"recordings": len(found), "used": int(found.usable.sum())}

    return Stage(name, work, (DATA, INDEX))


def sounds(recordings: Sequence[Manifest], rate: int) -> Stage:
    """Stage ``sounds``: the samples of all recordings, at a rate in Hz, for recipes that cut anywhere."""
    return stage("sounds", recordings, dataclasses.replace(FRONT_ENDS["waveform"], rate=rate))


def fewest_samples(net: Network) -> int:
    """The shortest sound that a network takes, in samples at its rate; 0.1 s, if it takes that.

    Examples
    --------
    >>> net = registry.build("resnet50", classes=2, width=0.0625, backend="numpy")
    >>> fewest_samples(net)  # 96 frames of 25 ms, 10 ms apart
    15600
    """
    return front_end(net).fewest(registry.min_frames(net))


def excerpt(x: np.ndarray, start: int, n: int) -> np.ndarray:
    """Samples `start` to `start + n` less their mean, with zeros where the recording is over.

    Examples
    --------
    >>> excerpt(np.arange(5.0), 3, 4)
    array([-0.5,  0.5,  0. ,  0. ], dtype=float32)
    """
    cut = x[start : start + n]
    cut = without_offset(cut) if len(cut) else cut
    return cut if len(cut) == n else np.pad(cut, (0, n - len(cut)))


def _features(path, front, prepare, most):
    if prepare is None:
        x = audio.load(path, front.rate)
    else:
        x, rate = audio.load_unresampled(path)
        x = audio.resample(prepare(without_offset(x), rate), rate, front.rate, level=None)
    if most is not None:
        x = x[: round(most * front.rate)]
    # Of a patch, say: what is shorter is heard again.
    shortest = front.fewest(1) if front.steps(len(x)) < 1 else 0
    try:
        return np.ascontiguousarray(front.window(x, shortest), np.float32)
    except ValueError as error:  # too short for the front end
        raise AudioError(path, str(error)) from None


def _write(folder, files, shape, transform, observer):
    """Transform files into one, a step of which has a shape; the journal has steps and check sum of each."""
    part, ends, size = folder / PART, [0], 4 * int(np.prod(shape))
    part.touch()
    with Journal(str(folder / JOURNAL), {"shape": shape}, observer.log) as journal, open(part, "r+b") as data:
        for i, path in enumerate(files):
            name, mark, place = str(i), stamp(path), size * ends[-1]
            if not (journal.has(name, mark) and _is_there(data, place, size, journal.get(name, None))):
                x = _transformed(path, transform, observer)
                with naming(part):
                    data.seek(place)
                    data.write(x)
                    data.flush()
                journal.add(name, mark, [len(x), zlib.crc32(x)])
            ends.append(ends[-1] + int(journal.get(name, None)[0]))
            tell(observer, len(ends) - 1, len(files))
        with naming(part):
            data.truncate(size * ends[-1])
    if not ends[-1]:
        raise FileError(folder, f"none of {len(files)} recordings can be used")
    write_text(folder / INDEX, json.dumps({"shape": shape, "ends": ends[1:]}) + "\n")
    settle(folder, [PART])
    os.replace(part, folder / DATA)
    settle(folder, ())


def _transformed(path, transform, observer):
    """Features of a recording, C-contiguous; none if it cannot be used."""
    try:
        return transform(path)
    except AudioError as error:
        observer.log(f"left out: {error}")
        return np.zeros(0, np.float32)


def _is_there(data, place, size, row):
    """Whether the steps of a recording are in a file, as the journal says."""
    steps, checksum = row
    data.seek(place)
    return zlib.crc32(data.read(size * int(steps))) == checksum
