"""`acdref embed`: a file of embeddings, whatever some recordings are like."""

import json

import numpy as np
import pytest
from predict_support import noise, program, write, write_damaged, write_tiny_weights

from acdref.predict.embedding import read_embeddings
from acdref.predict.tagger import Tagger


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("embed")
    write_tiny_weights(folder / "tiny.npz")
    write(folder / "in" / "ä b.wav", noise(12.5))
    write(folder / "in" / "c.flac", noise(3, rate=44100), 44100)
    write_damaged(folder / "in" / "d.wav", good=2)
    (folder / "in" / "e.wav").write_text("not audio")
    return folder


def test_embeddings_of_what_can_be_used(folder):
    out, weights = folder / "x.npz", folder / "tiny.npz"
    how = ("--weights", weights, "--backend", "numpy", "--window", 5, "--hop", 2.5)
    code, text, err = program("embed", *how, "--out", out, folder / "in")
    assert (code, text) == (3, f"{out}: embeddings of 2 of 4 recordings\n")
    assert err.splitlines() == [
        f"acdref: {folder}/in/d.wav: a sample of nan at 2.000 s",
        f"acdref: {folder}/in/e.wav: text, not audio",
    ]
    found, tagger = read_embeddings(out), Tagger.load(weights, "numpy")
    assert found.paths == [str(folder / "in" / name) for name in ("c.flac", "ä b.wav")]
    for path, vector in zip(found.paths, found.vectors, strict=True):
        np.testing.assert_array_equal(vector, np.float32(tagger.embed(path, 5, 2.5)))
    assert found.seconds.tolist() == [3.0, 12.5]
    assert {
        "network": "acdnet",
        "weights": "tiny.npz",
        "window": 5.0,
        "hop": 2.5,
    }.items() <= found.meta.items()
    with np.load(out, allow_pickle=False) as file:
        assert json.loads(file["meta"].tobytes()) == found.meta


def test_several_threads_and_a_list_on_stdin(folder):
    """Bit for bit the same, in Parquet too."""
    pytest.importorskip("pyarrow")
    paths = [folder / "in" / name for name in ("c.flac", "ä b.wav")]
    stdin = "".join(f"{path}\n" for path in paths).encode()
    vectors = []
    for threads, out in ((1, folder / "1.npz"), (2, folder / "2.parquet")):
        how = ("--weights", folder / "tiny.npz", "--backend", "numpy", "--threads", threads)
        assert program("embed", *how, "--out", out, "-", stdin=stdin)[::2] == (0, "")
        assert read_embeddings(out).paths == list(map(str, paths))
        vectors.append(read_embeddings(out).vectors)
    np.testing.assert_array_equal(*vectors)


def test_nothing_is_written_of_nothing(folder):
    out = folder / "none.npz"
    code, text, err = program(
        "embed", "--weights", folder / "tiny.npz", "--out", out, folder / "in" / "e.wav"
    )
    assert (code, text) == (1, "") and err.count("\n") == 1 and not out.exists()
    code, _, err = program("embed", "--weights", folder / "tiny.npz", "--out", out, "-")
    assert (code, err) == (1, "acdref: no recordings were given\n")


@pytest.mark.parametrize(
    ("out", "code", "words"),
    [
        ("x.csv", 2, "its ending names no format"),
        ("x", 2, "names no format"),
        ("in/c.flac", 1, "is an input"),
    ],
)
def test_outputs_that_are_refused(folder, out, code, words):
    done = program("embed", "--out", folder / out, folder / "in" / "c.flac")
    assert done[0] == code and words in done[2]
