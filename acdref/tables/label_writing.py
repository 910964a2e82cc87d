"""Writing the formats of :mod:`acdref.tables.label_files`, clip by clip; a file appears when it is whole."""

import contextlib
import csv
import shutil
import tempfile

from acdref.errors import FileError
from acdref.files import replacing


@contextlib.contextmanager
def writing(path, format, like, names=None, unknown=False):
    """Context in which a label file is written.

    Parameters
    ----------
    path : str or path-like
        The file appears when the block ends, and stays as it was if the block fails.
    format : str
        One of :data:`acdref.tables.label_files.FORMATS`.
    like : LabelFile
        Where the clips come from: its header and further columns are kept as far as the format has them.
    names : dict of str to str, optional
        Display names of labels, for FSD50K's column ``labels``.
    unknown : bool
        Whether a manifest gets the column ``unknown`` even if `like` has none.

    Yields
    ------
    callable
        ``write(clip)``, with a :class:`acdref.tables.label_files.Clip`.

    Raises
    ------
    FileError
        If the file cannot be written, or a label cannot be in it.
    """
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as stream:
        if format == "audioset":
            with _audioset(stream, like, path) as write:
                yield write
        else:
            yield _WRITERS[format](stream, path, like, names or {}, unknown)


@contextlib.contextmanager
def _audioset(stream, like, path):
    """Rows first, into another file: the comment lines before them count what they hold."""
    clips, labels, distinct = 0, 0, set()

    def write(clip):
        nonlocal clips, labels
        clips += 1
        labels += len(clip.present)
        distinct.update(clip.present)
        start, end = clip.details
        rows.write(f'{clip.id}, {start}, {end}, "{_joined(path, clip.present, ",")}"\n')

    with tempfile.TemporaryFile("w+", encoding="utf-8", newline="") as rows:
        yield write
        counts = f"num_ytids={clips}, num_segs={clips}, num_unique_labels={len(distinct)}"
        for comment in like.header:
            if comment.startswith("# num_ytids="):
                comment = f"# {counts}, num_positive_labels={labels}"
            stream.write(comment + "\n")
        rows.seek(0)
        shutil.copyfileobj(rows, stream)


def _fsd50k(stream, path, like, names, unknown):
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(like.header)

    def spelled(mid):
        # As FSD50K makes its names from AudioSet's.
        return like.names.get(mid) or names.get(mid, mid).replace(", ", "_and_").replace(" ", "_")

    def write(clip):
        row = dict(zip(like.extra, clip.details, strict=True))
        row |= {"fname": clip.id, "mids": _joined(path, clip.present, ",")}
        row["labels"] = _joined(path, map(spelled, clip.present), ",")
        writer.writerow([row[name] for name in like.header])

    return write


def _manifest(stream, path, like, names, unknown):
    header = list(like.header) if like.format == "manifest" else ["path", "classes", *like.extra]
    if unknown and "unknown" not in header:
        header.insert(header.index("classes") + 1, "unknown")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)

    def write(clip):
        row = dict(zip(like.extra, clip.details, strict=False))  # the details of events have no columns
        row |= {"path": clip.id, "classes": _joined(path, clip.present, ";")}
        row["unknown"] = _joined(path, clip.unknown, ";")
        writer.writerow([row[name] for name in header])

    return write


def _strong(stream, path, like, names, unknown):
    stream.write("\t".join(like.header) + "\n")

    def write(clip):
        for onset, offset, label in clip.details:
            stream.write(f"{clip.id}\t{onset!r}\t{offset!r}\t{label}\n")
        if not clip.details:
            stream.write(f"{clip.id}\t\t\t\n")

    return write


def _framed(stream, path, like, names, unknown):
    header = ["segment_id", "start_time_seconds", "end_time_seconds", "label", "present"]
    stream.write("\t".join(like.header if like.format == "framed" else header) + "\n")

    def write(clip):
        start, end = clip.details
        verdicts = [(clip.present, "PRESENT"), (clip.absent, "NOT_PRESENT")]
        for label, verdict in ((label, verdict) for labels, verdict in verdicts for label in labels):
            stream.write(f"{clip.id}\t{start:.3f}\t{end:.3f}\t{label}\t{verdict}\n")

    return write


_WRITERS = {"fsd50k": _fsd50k, "manifest": _manifest, "strong": _strong, "framed": _framed}


def _joined(path, labels, separator):
    labels = list(labels)
    for label in labels:
        if separator in label or '"' in label:
            raise FileError(path, f"the label {label!r} cannot be written in this format")
    return separator.join(labels)
