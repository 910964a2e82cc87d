"""Scores of a teacher as files: written row by row, and read so beside the label file that they belong to.

=====  ===================================================================================================
npz    arrays ``ids`` (or ``paths``), (N,) text; ``classes``, (C,) text; ``scores``, (N, C) in [0, 1] or NaN;
       also what `acdref teach` writes (:mod:`acdref.clap.scores`), whose cosines become probabilities
csv    a column ``path`` (or ``id``, ``fname``) and one column per class; also what `acdref predict` writes
jsonl  what `acdref predict` writes
=====  ===================================================================================================

Of a recording with several windows the mean counts, weighted by duration; a recording with an error, an empty
cell and a class that is left out have no score.  Rows are in the order of the clips; rows of further clips
may stand between them.
"""

import os

import numpy as np

from acdref.errors import FileError
from acdref.files import replacing
from acdref.tables import _score_npz, _score_text

# first bytes of a file -> (function to its classes, function to its rows)
_READERS = {
    b"PK": (_score_npz.read_classes, _score_npz.read_rows),
    b"{": (_score_text.read_jsonl_classes, _score_text.read_jsonl_rows),
    b"": (_score_text.read_csv_classes, _score_text.read_csv_rows),
}
_WRITERS = {".npz": _score_npz.write, ".csv": _score_text.write_csv}


class ScoreFile:
    """A file of scores.

    Parameters
    ----------
    path : str or path-like
    decision : Decision, optional
        For cosines of `acdref teach`: the rows are the labels that it makes of them.
    scale : float, optional
        For cosines of `acdref teach` without `decision`: ``exp(logit_scale)``, where the file does not tell.

    Attributes
    ----------
    path : str
    classes : tuple of str

    Raises
    ------
    FileError
        If it cannot be read, has no such arrays or columns, names a class twice, or holds no cosines for
        `decision` and `scale`; while its rows are read, for a score outside [0, 1] or a damaged row.
    """

    def __init__(self, path, decision=None, scale=None):
        self.path = str(path)
        try:
            with open(path, "rb") as file:
                first = file.read(2)
        except OSError as error:
            raise FileError(self.path, error.strerror or str(error)) from None
        if first == b"PK" and _score_npz.holds(self.path, "cosines"):
            self.classes, self._read_rows = _of_teacher(self.path, decision, scale)
        else:
            if decision is not None or scale is not None:
                raise FileError(self.path, "holds no cosines of acdref teach, but scores")
            read_classes, self._read_rows = next(
                readers for bytes, readers in _READERS.items() if first.startswith(bytes)
            )
            self.classes = read_classes(self.path)
        if not self.classes or len(set(self.classes)) < len(self.classes):
            raise FileError(self.path, "names no class, or one twice")

    def rows(self):
        """(where, id, scores) of each row: where as words, scores (C,) float64."""
        for where, id, scores in self._read_rows(self.path):
            bad = ~((scores >= 0) & (scores <= 1) | np.isnan(scores))
            if bad.any():
                c = int(bad.argmax())
                cause = f"{where}: the score {scores[c]:g} of {self.classes[c]!r} is outside [0, 1]"
                raise FileError(self.path, cause)
            yield where, id, scores

    def beside(self):
        """A callable from lists of clips (in the order of their file, call by call) to scores (n, C).

        It raises FileError for a clip that has no row after those already taken.
        """
        rows = self.rows()

        def take(clips):
            scores = np.empty((len(clips), len(self.classes)))
            for i, clip in enumerate(clips):
                scores[i] = find(clip)
            return scores

        def find(clip):
            for _, id, scores in rows:
                if id == clip.id:
                    return scores
            cause = f"has no row for {clip.id!r} (line {clip.line} of the labels) after the clips before it"
            first = next((id for _, id, _ in self.rows()), None)
            order = f"rows must be in the order of the clips, under the same names (the first is {first!r})"
            raise FileError(self.path, f"{cause}; {order}")

        return take


def _of_teacher(path, decision, scale):
    """Classes, and a function to the rows, of cosines: as labels or as probabilities."""
    from acdref.clap.scores import TeacherScores

    scores = TeacherScores.load(path)
    values = scores.values("softmax", scale) if decision is None else decision.labels(scores)

    def rows(path):
        for i, (id, row) in enumerate(zip(scores.paths, values, strict=True), 1):
            yield f"row {i}", id, row

    return scores.classes, rows


def write_scores(path, ids, classes, rows):
    """Write a file of scores; the old one stays until the new one is complete.

    Parameters
    ----------
    path : str or path-like
        Ends in ``.npz`` or ``.csv``.
    ids : sequence of str, (N,)
        As the label file spells them, in its order.
    classes : sequence of str, (C,)
    rows : iterable of (C,) arrays
        Scores in [0, 1] or NaN, one row for each of `ids`; taken one at a time.

    Raises
    ------
    FileError
        For another ending, a class name that a CSV file cannot have, or a file that cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_scores(f"{folder}/s.npz", ["a.wav", "b.wav"], ["dog"], [[0.5], [np.nan]])
    ...     for where, id, scores in ScoreFile(f"{folder}/s.npz").rows():
    ...         print(id, scores)
    a.wav [0.5]
    b.wav [nan]
    """
    write = writer(path, classes)
    with replacing(path) as temporary:
        write(temporary, ids, classes, rows)


def writer(path, classes):
    """The function that writes scores of these classes to a file of this name; FileError if there is none."""
    ending = os.path.splitext(os.fspath(path))[1].lower()
    if ending not in _WRITERS:
        raise FileError(path, "scores are written to a name that ends in .npz or .csv")
    for name in classes:
        if ending == ".csv" and name in _score_text.RESERVED:
            raise FileError(path, f"csv has a column {name!r} that is no class: use a name that ends in .npz")
    return _WRITERS[ending]
