"""Made-up recordings with doubtful labels, so that a recipe runs without any: what ``--quick`` uses."""

import csv
import io
from pathlib import Path

import numpy as np

from acdref.files import replacing, write_text
from acdref.synth import sound

RATE = 16000


def mislabel(labels, classes, share, rng):
    """Give a share of clips another class.

    Parameters
    ----------
    labels : (N,) int array
        Classes of clips.
    classes : int
    share : float
        Rounded to whole clips.
    rng : numpy.random.Generator

    Returns
    -------
    (N,) int array

    Examples
    --------
    >>> mislabel(np.zeros(10, int), 3, 0.2, np.random.default_rng(0))
    array([0, 0, 0, 0, 2, 0, 1, 0, 0, 0])
    """
    labels = np.array(labels)
    wrong = rng.permutation(len(labels))[: round(share * len(labels))]
    labels[wrong] = (labels[wrong] + rng.integers(1, classes, len(wrong))) % classes
    return labels


def single_sounds(folder, classes, each=20, held_out=8, seconds=2.0, verified=0.4, wrong=0.3, seed=0):
    """Sounds of one class each, of which few are verified and many of the others have a wrong label.

    Parameters
    ----------
    folder : str or path-like
        Gets FLAC files and ``manifest.csv``; nothing is done if that is there.
    classes : sequence of str
        Of :data:`acdref.synth.CLASSES`.
    each, held_out : int
        Sounds of each class to train on, and to measure on (``split`` is "val"), which have true labels.
    seconds : float
    verified : float
        Share of the sounds to train on whose label is verified, and true.
    wrong : float
        Share of the others that have another class.
    seed : int

    Returns
    -------
    Path
        The manifest, with a column ``truth``.
    """
    folder = Path(folder)
    path = folder / "manifest.csv"
    if path.exists():
        return path
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(classes)), each)
    checked = np.zeros(len(truth), dtype=bool)
    for c in range(len(classes)):
        checked[rng.permutation(np.flatnonzero(truth == c))[: round(verified * each)]] = True
    given = truth.copy()
    given[~checked] = mislabel(truth[~checked], len(classes), wrong, rng)
    rows = [("train", given[i], truth[i], checked[i]) for i in range(len(truth))]
    rows += [("val", c, c, True) for c in range(len(classes)) for _ in range(held_out)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", "classes", "split", "verified", "truth"])
    for i, (split, label, true, flag) in enumerate(rows):
        write_sound(folder / f"{i:04d}.flac", sound(classes[true], np.random.default_rng([seed, i]), seconds))
        writer.writerow([f"{i:04d}.flac", classes[label], split, int(flag), classes[true]])
    write_text(path, text.getvalue())
    return path


def write_sound(path, samples):
    """Write samples at 16 kHz as a 16-bit FLAC file."""
    import soundfile

    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        soundfile.write(temporary, samples, RATE, format="FLAC", subtype="PCM_16")
