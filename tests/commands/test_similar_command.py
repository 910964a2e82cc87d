"""`acdref similar`: by a path that the file has, or by a recording."""

import csv
import io
import json

import pytest
from predict_support import TINY, noise, program, write, write_tiny_weights

from acdref.checkpoint import save_weights
from acdref.nets import ACDNet
from acdref.predict.embedding import nearest, read_embeddings


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("similar")
    write_tiny_weights(folder / "tiny.npz")
    for i, level in enumerate((0.01, 0.1, 0.3, 0.5)):
        write(folder / "in" / f"{i}.wav", noise(4 + i, level, seed=i))
    how = ("--weights", folder / "tiny.npz", "--backend", "numpy", "--window", 3)
    assert program("embed", *how, "--out", folder / "x.npz", folder / "in")[0] == 0
    return folder


def test_by_a_path_in_the_file(folder):
    """No weights are read for it; the query itself is not found."""
    found, query = read_embeddings(folder / "x.npz"), str(folder / "in" / "1.wav")
    code, out, err = program("similar", query, folder / "x.npz", "--weights", "none.npz")
    rows = list(csv.DictReader(io.StringIO(out)))
    wanted = nearest(found, found.vectors[1], 10, 1)
    assert (code, err) == (0, "") and [row["path"] for row in rows] == [path for path, _ in wanted]
    assert query not in {row["path"] for row in rows} and len(rows) == 3
    table = program("similar", "--format", "table", "--top", 1, query, folder / "x.npz")[1]
    assert table == f"{wanted[0][1]:6.3f}  {wanted[0][0]}\n"


def test_by_a_recording(folder):
    """Its copy is the most similar: same weights, same windows."""
    copy = folder / "copy.wav"
    copy.write_bytes((folder / "in" / "2.wav").read_bytes())
    how = ("--weights", folder / "tiny.npz", "--backend", "numpy", "--format", "jsonl", "--top", 2)
    code, out, err = program("similar", *how, copy, folder / "x.npz")
    first, *rest = map(json.loads, out.splitlines())
    assert (code, err, len(rest)) == (0, "", 1)
    assert first == {"schema": "acdref.similar/1", "path": f"{folder}/in/2.wav", "similarity": 1.0}


def test_other_weights_are_refused(folder):
    other = folder / "other.npz"
    save_weights(other, ACDNet(TINY, seed=2, backend="numpy"), ("hum", "dog", "rain"))
    query = write(folder / "q.wav", noise(1))
    code, out, err = program("similar", "--weights", other, query, folder / "x.npz")
    cause = f"made with other weights (tiny.npz) than {other}: name them by --weights"
    assert (code, out) == (1, "") and err.startswith(f"acdref: {folder}/x.npz: {cause}")


def test_what_cannot_be_used(folder):
    how = ("similar", "--weights", folder / "tiny.npz")
    assert program(*how, "none.wav", folder / "x.npz") == (1, "", "acdref: none.wav: no such file\n")
    code, out, err = program(*how, "none.wav", folder / "tiny.npz")
    assert (code, out) == (1, "") and "damaged, or not what acdref embed writes" in err
