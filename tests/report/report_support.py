"""Recordings for pages, and what pages hold, as a program reads it."""

import base64
import json
import re

import numpy as np

from acdref.labels.events import cell_scores
from acdref.predict.events import Timeline
from acdref.report import Recording, write_report

CLASSES = ("hum", "dog", "rain")
HOSTILE = "</script><img src=x onerror=alert(1)>&amp;\"'\n\u2028 x"
"""As the name of a class; with a slash, it cannot be that of a file."""
HOSTILE_FILE = "<img src=x onerror=alert(1)>&amp;\"'\n %23#?.wav"


def timeline(path, scores, window=2.0, hop=1.0, seconds=None, **more):
    """A recording of which windows have these scores (S, C)."""
    starts = hop * np.arange(len(scores))
    ends = np.minimum(starts + window, seconds or np.inf)
    cells, borders = cell_scores(scores, np.stack([starts, ends], axis=1))
    return Timeline(path, borders, cells, **more)


def failed(path, error):
    return Timeline(path, np.zeros(0), np.zeros((0, 0)), error=error)


def walk(rng, windows, classes=3):
    """Scores that come and go, (windows, classes)."""
    steps = np.cumsum(rng.normal(0, 0.8, (windows, classes)), axis=0) - 1
    return 1 / (1 + np.exp(-np.clip(steps, -6, 6)))


def write(out, recordings, classes=CLASSES, thresholds=None, **more):
    """A page; recordings may be timelines of files that are not there."""
    recordings = (r if isinstance(r, Recording) else Recording(r, r.path) for r in recordings)
    return write_report(out, recordings, classes, thresholds or [0.5] * len(classes), **more)


def parts(page):
    """Name -> JSON of all parts of a page: of the file, or of the folder around it."""
    text = page.read_text(encoding="utf-8")
    found = {
        "meta": json.loads(re.search(r'<script type="application/json" id="meta">(.*?)</script>', text)[1])
    }
    for name, part in re.findall(r'<script type="application/json" id="part-(\w+)">(.*?)</script>', text):
        found[name] = json.loads(part)
    if "data" in found["meta"]:
        for file in page.parent.glob(f"{found['meta']['data']}-*.js"):
            name, part = re.fullmatch(
                r'report\.put\("(\w+)",(.*)\);\n', file.read_text(encoding="utf-8")
            ).groups()
            found[name] = json.loads(part)
    return found


def rows(page):
    """The recordings of a page: dicts, with `cells` (C, K)."""
    every = parts(page)
    meta, found = every["meta"], []
    for number in range(meta["lists"]):
        part = every[f"list{number}"]
        cells = np.frombuffer(base64.b64decode(part["cells"]), "<u2")
        for values in part["rows"]:
            row = dict(zip(meta["fields"], values, strict=True))
            size = row["count"] * len(meta["classes"])
            row["cells"], cells = cells[:size].reshape(len(meta["classes"]), -1), cells[size:]
            found.append(row)
        assert not len(cells)
    return found


def item(page, number):
    """The bytes of an item of a page."""
    every = parts(page)
    starts = every["meta"]["items"]
    part = max(k for k, start in enumerate(starts) if start <= number)
    return base64.b64decode(every[f"items{part}"][number - starts[part]])
