"""Stage: the features of all recordings, decoded and transformed once, in one file that is read in place."""

import json
import os

import numpy as np

from acdref.audio import decode as audio
from acdref.errors import AudioError, FileError
from acdref.files import write_text
from acdref.fit import tell
from acdref.recipes.stages import Stage

DATA, INDEX, JOURNAL = "features.f32", "features.json", "journal.part"


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

    def __init__(self, folder):
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        self.ends = np.array([0, *index["ends"]])
        shape = (int(self.ends[-1]), *index["shape"])
        self._data = np.memmap(folder / DATA, np.float32, "r", shape=shape) if shape[0] else np.zeros(shape)

    def __len__(self):
        return len(self.ends) - 1

    def __getitem__(self, i):
        """Features of recording i, (steps, ...) float32, read-only."""
        return self._data[self.ends[i] : self.ends[i + 1]]

    @property
    def usable(self):
        """Which recordings have features, (N,) bool."""
        return np.diff(self.ends) > 0


def stage(name, recordings, front, prepare=None, most=None):
    """Stage: features of recordings.

    Parameters
    ----------
    name : str
    recordings : sequence of Manifest
        Numbered through.
    front : acdref.features.front_ends.FrontEnd
    prepare : callable, optional
        From samples and their rate to samples, before the front end.
    most : float, optional
        Seconds of a recording that are used.

    Returns
    -------
    Stage
        Whose summary has the numbers of recordings, and of those that could be used.

    Notes
    -----
    A killed stage continues behind the last recording that is on the disk.
    """

    def work(folder, before, observer):
        files = [manifest.file(i) for manifest in recordings for i in range(len(manifest))]
        if not (folder / DATA).exists():
            _write(folder, files, lambda path: _features(path, front, prepare, most), observer)
        (folder / JOURNAL).unlink(missing_ok=True)
        found = Features(folder)
        return {"recordings": len(found), "used": int(found.usable.sum())}

    return Stage(name, work, (DATA, INDEX))


def _features(path, front, prepare, most):
    x = audio.load(path, front.rate)
    if prepare is not None:
        x = prepare(x, front.rate)
    if most is not None:
        x = x[: round(most * front.rate)]
    if len(x) and front.steps(len(x)) < 1:  # of a patch, say: what is shorter is heard again
        x = np.resize(x, front.fewest(1))
    try:
        return np.ascontiguousarray(front.transform(x), np.float32)
    except ValueError as error:  # too short for the front end
        raise AudioError(path, str(error)) from None


def _write(folder, files, transform, observer):
    part, journal = folder / "features.part", folder / JOURNAL
    lines = _lines(journal)
    ends = [end for end, _ in lines]
    shape = next((shape for _, shape in lines if shape is not None), None)
    step = 4 * int(np.prod(shape or ()))
    part.touch()
    os.truncate(part, step * ends[-1] if ends else 0)  # what the journal does not know of
    write_text(journal, "".join(json.dumps(line) + "\n" for line in lines))
    with open(part, "ab") as data, open(journal, "a", encoding="utf-8") as log:
        for path in files[len(ends) :]:
            own, end = None, ends[-1] if ends else 0
            try:
                x = transform(path)
                x.tofile(data)
                data.flush()
                own, end = x.shape[1:], end + len(x)
                shape = own if shape is None else shape
            except AudioError as error:
                observer.log(f"left out: {error}")
            ends.append(end)
            log.write(json.dumps([end, own]) + "\n")
            log.flush()
            tell(observer, len(ends), len(files))
    if shape is None:
        raise FileError(folder, f"none of {len(files)} recordings can be used")
    write_text(folder / INDEX, json.dumps({"shape": shape, "ends": ends}) + "\n")
    os.replace(part, folder / DATA)


def _lines(journal):
    """Whole lines of a journal: [end, shape of a step] of each recording."""
    if not journal.exists():
        return []
    text = journal.read_text(encoding="utf-8")
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
