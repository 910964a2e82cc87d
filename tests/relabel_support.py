"""Small label files of every format, and a small ontology."""

import json
from pathlib import Path

import numpy as np
import pytest

from acdref.labels import Ontology

SHARED = Path(__file__).parents[1] / ".." / "shared"

NODES = [
    {"id": "/m/music", "name": "Music", "child_ids": ["/m/guitar"]},
    {"id": "/m/guitar", "name": "Guitar", "child_ids": ["/m/electric", "/m/acoustic"]},
    {"id": "/m/electric", "name": "Electric guitar", "child_ids": []},
    {"id": "/m/acoustic", "name": "Acoustic guitar", "child_ids": []},
    {"id": "/m/dog", "name": "Dog, domestic", "child_ids": []},
]
ONTOLOGY = Ontology(NODES)

AUDIOSET = """# Segments csv created Sun Mar  5 10:54:25 2017
# num_ytids=3, num_segs=3, num_unique_labels=3, num_positive_labels=4
# YTID, start_seconds, end_seconds, positive_labels
--4gqARaEJE, 0.000, 10.000, "/m/dog,/m/electric"
-0BIyqJj9ZU, 30.000, 40.000, "/m/guitar"
zCmRCAdMSWc, 9.500, 19.500, "/m/dog"
"""
FSD50K = """fname,labels,mids,split
64760,"Electric_guitar,Dog_and_domestic","/m/electric,/m/dog",train
16399,Guitar,/m/guitar,val
7,,,train
"""
MANIFEST = """path,note,classes,unknown,fold
a.wav,"x, y",Electric guitar;Dog,,1
b/c.wav,,Guitar,Dog,2
d.wav,,,,2
"""
STRONG = (
    "filename\tonset\toffset\tevent_label\n"
    "one_0\t0.3\t1.5\t/m/electric\n"
    "one_0\t0.0\t9.785\t/m/dog\n"
    "one_0\t2.5\t2.6\t/m/electric\n"
    "two_5000\t\t\t\n"
    "three_0\t8.0\t8.0\t/m/guitar\n"
)
FRAMED = (
    "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\tpresent\n"
    "one_0\t0.000\t0.960\t/m/electric\tPRESENT\n"
    "one_0\t0.000\t0.960\t/m/dog\tNOT_PRESENT\n"
    "one_0\t0.960\t1.920\t/m/dog\tPRESENT\n"
    "two_0\t0.000\t0.960\t/m/guitar\tNOT_PRESENT\n"
)
TEXTS = {
    "audioset": AUDIOSET,
    "fsd50k": FSD50K,
    "manifest": MANIFEST,
    "strong": STRONG,
    "framed": FRAMED,
}


def write(path, text):
    """Write a text or bytes; returns the path."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def write_ontology(path):
    return write(path, json.dumps(NODES))


def write_scores(path, ids, classes, scores):
    """An npz file of scores."""
    np.savez(path, ids=np.array(ids), classes=np.array(classes), scores=np.asarray(scores))
    return path


def shared(name):
    """The path of a file beside the project; the test is skipped where there is none."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"needs {name} of the specification")
    return path
