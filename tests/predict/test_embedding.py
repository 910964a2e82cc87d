"""Embeddings: what torch, or a bare product, makes of the same network; files; the order of the like."""

import copy
import json

import numpy as np
import pytest
from predict_support import CLASSES, TINY, noise, write, write_damaged, write_tiny_weights

from acdref.audio import load
from acdref.checkpoint import load_weights
from acdref.errors import AcdrefError, FileError
from acdref.features.front_ends import front_end
from acdref.nets import ACDNet
from acdref.nets.registry import build
from acdref.ops.activation import sigmoid
from acdref.predict.backend import Adaptive
from acdref.predict.embedding import (
    FORMATS,
    Embedded,
    Embedder,
    Embeddings,
    check_weights,
    embed,
    embeddings,
    nearest,
    read_embeddings,
    similar,
    write_embeddings,
)
from acdref.predict.tagger import Tagger
from acdref.predict.tagging import Failure

META = {"sha256": "ab", "weights": "w.npz", "window": 10.0, "hop": 5.0}
FOUND = Embeddings.of(
    [
        Embedded("a b.wav", np.array([1.5, 0]), 2.5, None),
        Embedded("ü/,\n.wav", np.array([0.0, -2]), 10.0, None),
    ],
    META,
)


@pytest.fixture
def net():
    return ACDNet(TINY, seed=1, backend="numpy")


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_the_last_layer_makes_logits_of_them(backend):
    """Of weights that ship, the dense layer's product with them is what the network says."""
    net, _ = load_weights(backend=backend)
    x = np.random.default_rng(0).standard_normal((2, 140, 257, 2)).astype(np.float32)
    found = embeddings(net, x)
    assert found.shape == (2, 64) and found.dtype == np.float32
    logits = found @ net.params["dense.weight"] + net.params["dense.bias"]
    np.testing.assert_allclose(logits, net.forward(x)[0], atol=2e-4)
    np.testing.assert_allclose(embeddings(net, x[1:]), found[1:], rtol=0, atol=0)


def test_is_the_mean_over_time_of_the_last_map(net):
    """By torch: pooling of the last map, channel by channel."""
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(1).standard_normal((1, 200, 257, 2)).astype(np.float32)
    last = x
    for layer in net.layers[:-3]:
        last, _ = layer.forward(net, last, False)
    assert last.shape[1] > 1
    wanted = torch.from_numpy(last).permute(0, 3, 1, 2).mean(2).flatten(1).numpy()
    np.testing.assert_allclose(embeddings(net, x), wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["conv1d", "mobilenetv2", "resnet50"])
def test_other_networks(name):
    """Where frames or patches have logits of their own, the mean of what these are made of."""
    net = build(name, classes=3, width=0.1, backend="numpy", seed=2)
    front = front_end(net)
    x = front.transform(noise(11, rate=front.rate))[None]
    found, dense = embeddings(net, x), net.layers[-2 if name == "mobilenetv2" else -1]
    assert found.shape == (1, dense.inputs)
    each = {"mobilenetv2": lambda: net.frame_logits(x), "resnet50": lambda: net.patch_logits(x)[0]}
    logits = each.get(name, lambda: net.forward(x)[0][None])()
    weight, bias = net.params["dense.weight"], net.params["dense.bias"]
    np.testing.assert_allclose(found @ weight + bias, logits.mean(axis=1), rtol=1e-4, atol=1e-4)


def test_network_without_a_dense_layer():
    net = build("vgg-gap", classes=3, width=0.1, backend="numpy")
    with pytest.raises(AcdrefError, match="vgg-gap has no dense layer"):
        Embedder(net)


def test_shares_weights_but_no_backend(net):
    tagger = Adaptive(net, "numpy")
    embedder = Embedder(tagger)
    embedder.net.backend = "numba"
    assert net.backend == "numpy" and embedder.net.params is net.params and embedder.asked == "numpy"
    assert Embedder(Adaptive(copy.copy(net), "auto")).asked == "auto"


def test_of_a_recording(net, tmp_path):
    """The mean over windows, weighted by duration, of the samples that predict scores."""
    path = write(tmp_path / "x.wav", noise(14.5))
    broken = write_damaged(tmp_path / "y.wav", good=12)
    (found, failure), x = list(embed(Embedder(net), [path, broken], 10, 10)), load(path)
    front = front_end(net)
    parts = [embeddings(net, front.window(part, 160000)[None])[0] for part in (x[:160000], x[160000:])]
    np.testing.assert_allclose(found.vector, (10 * parts[0] + 4.5 * parts[1]) / 14.5, rtol=1e-5, atol=1e-7)
    assert (found.path, found.seconds, found.note) == (path, 14.5, None)
    assert failure == Failure(broken, "a sample of nan at 12.000 s")


def test_by_the_tagger(tmp_path):
    tagger = Tagger.load(write_tiny_weights(tmp_path / "tiny.npz"), "numpy")
    path = write(tmp_path / "x.wav", noise(7), subtype="FLOAT")
    (found,) = embed(Embedder(tagger.net), [path], 5)
    vector = tagger.embed(path, window=5)
    np.testing.assert_array_equal(vector, found.vector)
    np.testing.assert_array_equal(tagger.embed((noise(7), 16000), window=5), vector)
    weight, bias = (tagger.net.net.params[f"dense.{name}"] for name in ("weight", "bias"))
    whole = tagger.tag(path)
    np.testing.assert_allclose(
        sigmoid(tagger.embed(path) @ weight + bias), list(whole.scores.values()), atol=1e-5
    )
    assert whole.classes == CLASSES


def test_notes_are_kept(net, tmp_path):
    (found,) = embed(Embedder(net), [write(tmp_path / "x.wav", np.zeros(100))])
    assert "too short" in found.note and "silent" in found.note


@pytest.mark.parametrize("name", ["x.npz", "x.PARQUET"])
def test_written_and_read(tmp_path, name):
    if name != "x.npz":
        pytest.importorskip("pyarrow")
    write_embeddings(tmp_path / name, FOUND)
    found = read_embeddings(tmp_path / name)
    assert found.paths == FOUND.paths and found.meta == FOUND.meta
    np.testing.assert_array_equal(found.vectors, FOUND.vectors)
    np.testing.assert_array_equal(found.seconds, FOUND.seconds)
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_read_by_numpy_and_pyarrow(tmp_path):
    write_embeddings(tmp_path / "x.npz", FOUND)
    with np.load(tmp_path / "x.npz") as file:
        assert file["paths"].tolist() == FOUND.paths and file["embeddings"].dtype == np.float32
        assert json.loads(file["meta"].tobytes())["schema"] == "acdref.embeddings/1"
    parquet = pytest.importorskip("pyarrow.parquet")
    write_embeddings(tmp_path / "x.parquet", FOUND)
    assert parquet.read_table(tmp_path / "x.parquet").to_pylist()[0] == {
        "path": "a b.wav",
        "seconds": 2.5,
        "embedding": [1.5, 0],
    }


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"embeddings": np.array([[1.0, np.inf]] * 2)}, "not finite"),
        ({"embeddings": np.ones((3, 2))}, r"\(3, 2\) for 2 paths"),
        ({"embeddings": np.ones(2)}, r"\(2,\) for 2 paths"),
        ({"embeddings": np.ones((2, 2), int)}, "other types"),
        ({"meta": np.frombuffer(b'{"schema": "x/9"}', np.uint8)}, "schema 'x/9': this acdref reads"),
        ({"meta": np.frombuffer(b'{"schema": "acdref.embeddings/1"}', np.uint8)}, "damaged, or not what"),
        ({"meta": np.frombuffer(b"[1]", np.uint8)}, "damaged, or not what"),
        ({"paths": np.array([{}, {}])}, "damaged, or not what"),
    ],
)
def test_what_is_no_file_of_embeddings(tmp_path, change, cause):
    write_embeddings(tmp_path / "x.npz", FOUND)
    with np.load(tmp_path / "x.npz") as file:
        arrays = dict(file) | change
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(FileError, match=cause):
        read_embeddings(tmp_path / "x.npz")


def test_damaged_parquet(tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "x.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(FileError, match=r"x\.parquet: damaged, or not what"):
        read_embeddings(tmp_path / "x.parquet")
    with pytest.raises(FileError, match="No such file"):
        read_embeddings(tmp_path / "none.npz")


def test_weights_must_be_the_same():
    check_weights(FOUND, "x.npz", "w.npz", "ab")
    with pytest.raises(FileError, match=r"x\.npz: made with other weights \(w\.npz\) than v\.npz"):
        check_weights(FOUND, "x.npz", "v.npz", "ac")


def test_order_is_that_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics.pairwise")
    rng = np.random.default_rng(3)
    for _ in range(20):
        n, size = rng.integers(2, 40, 2)
        vectors = rng.standard_normal((n, size)).astype(np.float32) * 10.0 ** rng.integers(-4, 4, (n, 1))
        vectors[rng.integers(n)] = 0
        own = int(rng.integers(n))
        wanted = metrics.cosine_similarity(vectors[own : own + 1].astype(float), vectors.astype(float))[0]
        np.testing.assert_allclose(similar(vectors[own], vectors), wanted, atol=1e-12)
        found = Embeddings([f"{i}" for i in range(n)], vectors, np.ones(n), {})
        order = sorted((i for i in range(n) if i != own), key=lambda i: -round(wanted[i], 9))
        got = nearest(found, vectors[own], int(n), own)
        assert [path for path, _ in got] == [f"{i}" for i in order]
        assert got[:1] == nearest(found, vectors[own], 1, own)
        assert len(nearest(found, vectors[own], 2)) == 2


def test_formats():
    rows = [("a,b.wav", 0.5), ("c\x1b.wav", -0.1234567)]
    csv, jsonl, table = ("".join(FORMATS[name](rows)) for name in ("csv", "jsonl", "table"))
    assert csv.splitlines()[:2] == ["path,similarity,schema", '"a,b.wav",0.5,acdref.similar/1']
    assert json.loads(jsonl.splitlines()[1]) == {
        "schema": "acdref.similar/1",
        "path": "c\x1b.wav",
        "similarity": -0.123457,
    }
    assert table.splitlines()[0] == " 0.500  a,b.wav" and "\x1b" not in table
