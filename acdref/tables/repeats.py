"""Refuse a label file in which a clip occurs twice, in memory that does not grow with the file."""

import tempfile

import numpy as np

from acdref.errors import FileError

_HELD = 1 << 17  # hashes in memory at a time: 1 MB
_PIECE = 4096


def refusing_repeats(file):
    """The clips of a label file, as they come, and an error at its end if one stands in several places.

    Parameters
    ----------
    file : LabelFile

    Yields
    ------
    Clip

    Raises
    ------
    FileError
        Naming both lines of a clip that occurs twice.

    Notes
    -----
    64-bit hashes of the clips go into a temporary file, 8 bytes each, which is searched one residue class at
    a time.  Hashes that occur twice are looked up in the label file: a mere collision is no repeat.
    """
    with tempfile.TemporaryFile() as spool:
        count, hashes = 0, []
        for clip in file:
            count += 1
            hashes.append(hash(_key(clip)))
            if len(hashes) == _PIECE:
                spool.write(np.array(hashes, dtype=np.int64).tobytes())
                hashes.clear()
            yield clip
        spool.write(np.array(hashes, dtype=np.int64).tobytes())
        parts = count // _HELD + 1
        twice = set()
        for part in range(parts):
            values, times = np.unique(_residue_class(spool, part, parts), return_counts=True)
            twice.update(values[times > 1][:1].tolist())  # one is enough to refuse the file
    first = {}
    for clip in file if twice else ():
        key = _key(clip)
        if hash(key) in twice and first.setdefault(key, clip.line) != clip.line:
            raise FileError(file.path, f"line {clip.line}: {clip.id} is already in line {first[key]}")


def _residue_class(spool, part, parts):
    spool.seek(0)
    held = [np.zeros(0, dtype=np.int64)]
    while data := spool.read(8 * _PIECE):
        hashes = np.frombuffer(data, dtype=np.int64)
        held.append(hashes[hashes % parts == part])
    return np.concatenate(held)


def _key(clip):
    return clip.id if clip.absent is None else (clip.id, clip.details)
