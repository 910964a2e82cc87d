"""What --quick of the recipes about time uses: made-up soundscapes."""

from pathlib import Path

CLASSES = ("dog", "cat", "alarm", "gunshot", "clapping", "voice")


def soundscapes(folder, classes=CLASSES, count=96, seed=0, most=4):
    """The manifest of a folder of soundscapes, which are made if it is not there.

    Each has up to `most` events, long and loud, so that a small network learns something in little time.  A
    quarter is to be measured on; of the labels of the others 30 to 50 % are missing.
    """
    from acdref.synth import write_soundscapes

    path = Path(folder) / "manifest.csv"
    if not path.exists():
        easy = {"most": most, "lengths": (0.5, 4.0), "snr": (10.0, 30.0)}
        write_soundscapes(folder, classes, count, seed, missing=(0.3, 0.5), val_fraction=0.25, **easy)
    return str(path)
