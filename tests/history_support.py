"""Folders of runs as training leaves them, without the training."""

import json

from acdref.files import write_table
from acdref.tables.history import CONFIG, METRICS

OPTIONS = {
    "manifest": "m.csv",
    "val_fold": "2",
    "epochs": 4,
    "lr": 0.003,
    "keep": None,
    "augment": {"room": 0.2},
}


def write_run(folder, ap=((0.2, 0.4), (0.6, 0.8), (0.5, 0.5)), classes=("dog", "cat"), **options):
    """A run with an epoch for each row of `ap`; without classes, it has no validation."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(json.dumps(OPTIONS | options))
    rows = []
    for epoch, row in enumerate(ap, start=1):
        rows.append({"epoch": epoch, "loss": 1 / epoch, "lr": 0.003 / epoch})
        if classes:
            known = [x for x in row if x == x]
            rows[-1] |= {"val_mAP": sum(known) / len(known), "val_accuracy": 0.9}
            rows[-1] |= {f"AP {name}": x for name, x in zip(classes, row, strict=True)}
    if rows:
        write_table(folder / METRICS, rows[0], [row.values() for row in rows])
    return folder
