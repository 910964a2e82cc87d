"""A folder of tiny soundscapes whose events are known."""

import numpy as np
import soundfile

RATE = 16000
EVENTS = (
    ("0.wav", 0.0, 0.5, "tone"),
    ("0.wav", 1.0, 2.6, "noise"),
    ("1.wav", 0.4, 2.9, "tone"),
    ("2.wav", 2.0, 2.4, "noise"),
    ("4.wav", 0.2, 1.0, "noise"),
    ("4.wav", 1.2, 2.8, "tone"),
    ("5.wav", 0.9, 1.3, "tone"),
)
"""3.wav is annotated too, without events; nobody has looked at 6.wav."""


def write_soundscape_corpus(folder):
    """Seven recordings of 3 s, of which 4 and 5 are to be measured on; returns the manifest's path."""
    rng = np.random.default_rng(0)
    t = np.arange(3 * RATE) / RATE
    sounds = {"tone": 0.3 * np.sin(2 * np.pi * 1000 * t), "noise": 0.1 * rng.standard_normal(len(t))}
    rows, lines = ["path,classes,unknown,split"], ["filename\tonset\toffset\tevent_label"]
    for i in range(7):
        name, x = f"{i}.wav", 1e-3 * rng.standard_normal(len(t))
        events = [event for event in EVENTS if event[0] == name]
        for _, onset, offset, label in events:
            x += np.where((t >= onset) & (t < offset), sounds[label], 0)
            lines.append(f"{name}\t{onset}\t{offset}\t{label}")
        if not events and i != 6:
            lines.append(f"{name}\t\t\t")
        soundfile.write(folder / name, x, RATE)
        present = sorted({label for *_, label in events})
        if i == 0:
            present.remove("tone")  # a weak label is missing
        unknown = "noise" if i == 1 else ""
        rows.append(f"{name},{';'.join(present)},{unknown},{'val' if i in (4, 5) else 'train'}")
    (folder / "events.tsv").write_text("\n".join(lines) + "\n")
    path = folder / "manifest.csv"
    path.write_text("\n".join(rows) + "\n")
    return path
