"""Npz files, weights among them: round trips, atomic writing, every kind of damage, byte-equal files."""

import dataclasses
import hashlib
import io
import json
import os
import sys
import time
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from predict_support import noise
from predict_support import write as write_recording

from acdref import checkpoint
from acdref.cli import main
from acdref.errors import CheckpointError, FileError, TeacherError
from acdref.nets import NETWORKS, ACDNet, ACDNetConfig, Block, build

SMALL = ACDNetConfig(
    classes=2, stem=2, blocks=(Block(3, 2, (2, 2)), Block(2, 1, (1, 2), 2)), attention="separable"
)
CLASSES = ["dog", "Wind, höher"]
search = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def weights(tmp_path):
    """A weights file of a small network."""
    path = tmp_path / "weights.npz"
    checkpoint.save_weights(path, ACDNet(SMALL, seed=1), CLASSES, note="from a test")
    return path


def refused(path, cause=""):
    """Both readers raise one error that names file and cause in one line."""
    for read in (checkpoint.load, checkpoint.load_weights):
        with pytest.raises(CheckpointError) as info:
            read(path)
        assert info.value.path == str(path)
        assert cause in info.value.cause
        assert "\n" not in str(info.value)


# Round trips


@search
@given(
    arrays=st.dictionaries(
        st.text("abc/._-äß", min_size=1, max_size=8).filter(lambda name: not name.startswith("/")),
        hnp.arrays(
            st.sampled_from([np.float32, np.float64, np.int64, np.uint8, np.bool_]),
            hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
        ),
        max_size=5,
    ),
    meta=st.dictionaries(
        st.text(max_size=5), st.none() | st.booleans() | st.integers() | st.text(max_size=5), max_size=4
    ),
)
def test_round_trip(tmp_path, arrays, meta):
    path = tmp_path / "file.npz"
    meta |= {"format": checkpoint.FORMAT, "version": checkpoint.VERSION}
    checkpoint.save(path, arrays, meta)
    loaded, loaded_meta = checkpoint.load(path)
    assert loaded_meta == meta
    assert set(loaded) == set(arrays)
    for name, a in arrays.items():
        assert loaded[name].dtype == a.dtype
        np.testing.assert_array_equal(loaded[name], a)


@pytest.mark.parametrize("backend", ["numpy", "auto"])
def test_network_round_trip(weights, backend):
    net, meta = checkpoint.load_weights(weights, backend)
    expected = ACDNet(SMALL, seed=1)
    assert net.config == SMALL
    assert meta["classes"] == CLASSES
    assert meta["note"] == "from a test"
    assert meta["network"] == "acdnet"
    for own, other in ((net.params, expected.params), (net.state, expected.state)):
        assert list(own) == list(other)
        for name in own:
            np.testing.assert_array_equal(own[name], other[name])
    x = np.random.default_rng(0).standard_normal((1, 30, 257, 2))
    np.testing.assert_allclose(net.predict_proba(x), expected.predict_proba(x), atol=1e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_round_trip(tmp_path, name):
    net = build(name, classes=2, width=1 / 16, seed=3, backend="numpy")
    checkpoint.save_weights(tmp_path / "w.npz", net, CLASSES)
    again, meta = checkpoint.load_weights(tmp_path / "w.npz", "numpy")
    assert type(again) is type(net) and again.config == net.config
    assert meta["network"] == name
    for own, stored in ((again.params, net.params), (again.state, net.state)):
        assert list(own) == list(stored)
        for key, a in own.items():
            np.testing.assert_array_equal(a, stored[key])


def test_an_unknown_network(tmp_path):
    net = build("conv1d", classes=2, width=1 / 16)
    meta = checkpoint.network_meta(net, CLASSES) | {"network": "conv3d"}
    checkpoint.save(tmp_path / "w.npz", checkpoint.network_arrays(net), meta)
    with pytest.raises(CheckpointError, match="there is no network 'conv3d'"):
        checkpoint.load_weights(tmp_path / "w.npz")


def write_old_conv1d(path, classes=CLASSES):
    """Weights as they were written when the layer table of the 1-D network was a reconstruction."""
    net = build("conv1d", classes=len(classes), width=1 / 16)
    table = [(64, 17), (64, 15), (64, 15), (64, 14), (512, 11), (64, 10), (512, 9), (128, 7), (128, 7)]
    layers = [{"channels": c // 16, "size": size, "stride": 3} for c, size in table]
    arrays, before = {}, 1
    for number, layer in enumerate(layers, 1):
        channels = layer["channels"]
        arrays[f"params/conv{number}.weight"] = np.zeros((layer["size"], 1, before, channels), np.float32)
        before = channels
    meta = checkpoint.network_meta(net, classes)
    checkpoint.save(path, arrays, meta | {"config": {"classes": len(classes), "layers": layers}})
    return path


def test_weights_of_the_reconstructed_network_are_refused_by_name(tmp_path):
    path = write_old_conv1d(tmp_path / "old.npz")
    words = r"old\.npz: weights of the 1-D network \(conv1d\) of before, .* a reconstruction: train again"
    for read in (checkpoint.load, checkpoint.load_weights):
        with pytest.raises(CheckpointError, match=words):
            read(path)


@pytest.mark.parametrize(
    "words",
    [
        "predict {0}/a.wav --weights {0}/old.npz",
        "evaluate {0}/m.csv --weights {0}/old.npz",
        "train {0}/m.csv --out {0}/run --init {0}/old.npz",
        "recipe relabel-transfer {0}/m.csv --out {0}/out --ontology {0}/o.json --target t --init {0}/old.npz",
        "info --weights {0}/old.npz",
    ],
)
def test_commands_refuse_weights_of_the_reconstructed_network(words, tmp_path, monkeypatch, capsys):
    write_old_conv1d(tmp_path / "old.npz")
    (tmp_path / "m.csv").write_text("path,classes\na.wav,t\nb.wav,u\n")
    nodes = [{"id": name, "name": name, "child_ids": []} for name in "tu"]
    (tmp_path / "o.json").write_text(json.dumps(nodes))
    for name in "ab":
        write_recording(tmp_path / f"{name}.wav", noise(0.5))
    monkeypatch.setattr(sys, "argv", ["acdref", *words.format(tmp_path).split()])
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    assert (ended.value.code, printed.out) == (1, "")
    assert f"{tmp_path}/old.npz: weights of the 1-D network (conv1d) of before" in printed.err
    assert not any((tmp_path / name).exists() for name in ("run", "out"))


def test_more_arrays_beside_the_network_do_no_harm(tmp_path):
    """A checkpoint of a training run is a weights file too."""
    path, net = tmp_path / "last.npz", ACDNet(SMALL)
    arrays = checkpoint.network_arrays(net) | {"m.dense.bias": np.ones(2), "steps": np.array(3)}
    checkpoint.save(path, arrays, checkpoint.network_meta(net, CLASSES))
    loaded, _ = checkpoint.load_weights(path)
    np.testing.assert_array_equal(loaded.params["dense.weight"], net.params["dense.weight"])


def test_equal_content_makes_byte_equal_files(tmp_path, monkeypatch):
    """Whenever and under whatever name it is written."""
    files = [tmp_path / name for name in ("one.npz", "two")]
    for year, path in zip((1_000_000_000, 1_700_000_000), files, strict=True):
        monkeypatch.setattr(time, "time", lambda year=year: year)
        checkpoint.save_weights(path, ACDNet(SMALL, seed=1), CLASSES, b=1, a=2)
    assert files[0].read_bytes() == files[1].read_bytes()
    checkpoint.save_weights(files[1], ACDNet(SMALL, seed=2), CLASSES, b=1, a=2)
    assert files[0].read_bytes() != files[1].read_bytes()


def test_no_pickle_and_readable_by_numpy_alone(weights):
    with np.load(weights, allow_pickle=False) as archive:
        assert archive["params/dense.weight"].shape == (128, 2)
        assert json.loads(archive["meta"].tobytes())["classes"] == CLASSES
        assert archive["sha256"].shape == (32,)


# Atomic writing


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_while_writing_keeps_the_old_file(weights, monkeypatch, error):
    before = weights.read_bytes()

    def half_written(file, **entries):
        file.write(b"PK\x03\x04 half")
        raise error

    monkeypatch.setattr(np, "savez", half_written)
    expected = CheckpointError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected) as info:
        checkpoint.save_weights(weights, ACDNet(SMALL, seed=2), CLASSES)
    if isinstance(error, OSError):
        assert str(info.value) == f"{weights}: No space left on device"
    assert weights.read_bytes() == before
    assert list(weights.parent.iterdir()) == [weights]


def test_a_reader_never_sees_half_a_file(weights, monkeypatch):
    """The old file is there, whole, until the very end of writing."""
    before, write, seen = weights.read_bytes(), np.savez, []

    def watched(file, **entries):
        write(file, **entries)
        file.flush()
        seen.append(weights.read_bytes())

    monkeypatch.setattr(np, "savez", watched)
    checkpoint.save_weights(weights, ACDNet(SMALL, seed=2), CLASSES)
    assert seen == [before]
    assert weights.read_bytes() != before
    assert list(weights.parent.iterdir()) == [weights]


def test_where_nothing_can_be_written(tmp_path):
    net = ACDNet(SMALL)
    with pytest.raises(CheckpointError, match=r"nowhere/weights\.npz: No such file or directory"):
        checkpoint.save_weights(tmp_path / "nowhere" / "weights.npz", net, CLASSES)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "inside").touch()
    with pytest.raises(CheckpointError, match="folder: Is a directory"):
        checkpoint.save_weights(folder, net, CLASSES)
    assert list(tmp_path.iterdir()) == [folder]


# Damage


def test_missing_and_folder(tmp_path):
    refused(tmp_path / "nothing.npz", "No such file or directory")
    refused(tmp_path, "Is a directory")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00",
        b"PK",
        b"PK\x03\x04",
        b"PK\x05\x06" + bytes(18),
        b"epoch,loss\n1,0.5\n",
        b"\x93NUMPY",
        bytes(4096),
    ],
    ids=["empty", "zero byte", "PK", "zip start", "empty zip", "text", "npy start", "zeros"],
)
def test_not_a_weights_file(tmp_path, content):
    path = tmp_path / "weights.npz"
    path.write_bytes(content)
    refused(path, "not a weights file of acdref")


def test_one_array_in_npy(tmp_path):
    path = tmp_path / "weights.npz"
    with open(path, "wb") as file:
        np.save(file, np.ones(3))
    refused(path, "not a weights file of acdref")


def test_pickles_are_refused(tmp_path):
    class Harm:
        def __reduce__(self):
            return open, (str(tmp_path / "harm"), "w")

    for name in ("npy", "npz"):
        path = tmp_path / f"weights.{name}"
        array = np.array([Harm()], object)
        with open(path, "wb") as file:
            np.save(file, array) if name == "npy" else np.savez(file, array, meta=array, sha256=array)
        refused(path, "not a weights file of acdref")
    assert not (tmp_path / "harm").exists()


def test_other_npz(tmp_path):
    path = tmp_path / "other.npz"
    for write in (np.savez, np.savez_compressed):
        with open(path, "wb") as file:
            write(file, a=np.ones(3), meta=np.zeros(2))
        refused(path, "not a weights file of acdref")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "no arrays here")
    refused(path, "not a weights file of acdref")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("meta.npy", b"not an array")
    refused(path, "not a weights file of acdref")


def test_truncated_anywhere(weights):
    content = weights.read_bytes()
    for end in {*range(0, len(content), 211), *range(len(content) - 60, len(content))}:
        weights.write_bytes(content[:end])
        refused(weights)


def test_flipped_anywhere(weights):
    """A changed byte is refused, or did not matter: times and padding in the zip's directory."""
    content = weights.read_bytes()
    expected, _ = checkpoint.load(weights)
    rng = np.random.default_rng(0)
    for at in {*range(0, len(content), 53), *range(len(content) - 200, len(content))}:
        damaged = bytearray(content)
        damaged[at] ^= int(rng.integers(1, 256))
        weights.write_bytes(damaged)
        try:
            arrays, meta = checkpoint.load(weights)
        except CheckpointError:
            continue
        assert meta["classes"] == CLASSES
        assert set(arrays) == set(expected)
        for name, a in arrays.items():
            np.testing.assert_array_equal(a, expected[name])


@search
@given(data=st.data())
def test_any_damage_is_one_error(tmp_path, data):
    """Whatever happens to a file's bytes, reading ends in an array or in a CheckpointError."""
    path = tmp_path / "weights.npz"
    checkpoint.save(path, {"a": np.arange(3.0)}, {"format": checkpoint.FORMAT, "version": 1})
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        arrays, _ = checkpoint.load(path)
    except CheckpointError:
        return
    np.testing.assert_array_equal(arrays["a"], np.arange(3.0))


def test_changed_array_under_the_old_digest(weights):
    with np.load(weights) as archive:
        entries = dict(archive)
    for name in ("params/dense.bias", "meta", "sha256"):
        changed = {key: a.copy() for key, a in entries.items()}
        changed[name][0] += 1
        np.savez(weights, **changed)
        refused(weights, "damaged: its ")
    np.savez(weights, **{name: a for name, a in entries.items() if name != "params/dense.bias"})
    refused(weights, "damaged")
    np.savez(weights, **{name: a for name, a in entries.items() if name != "sha256"})
    refused(weights, "not a weights file of acdref")


def write(path, arrays, meta):
    """A file with a right digest, whatever it holds."""
    entries = arrays | {
        "meta": np.frombuffer(meta if isinstance(meta, bytes) else json.dumps(meta).encode(), np.uint8)
    }
    digest = hashlib.sha256()
    for name in sorted(entries):
        a = np.ascontiguousarray(entries[name])
        digest.update(f"{name} {a.dtype.str} {a.shape}\n".encode() + a.tobytes())
    buffer = io.BytesIO()
    np.savez(buffer, **entries, sha256=np.frombuffer(digest.digest(), np.uint8))
    path.write_bytes(buffer.getvalue())


def parts():
    net = ACDNet(SMALL)
    return checkpoint.network_arrays(net), checkpoint.network_meta(net, CLASSES)


def test_digest_is_as_documented(tmp_path):
    """sha256 over names, dtypes, shapes and contents: another program can write the format."""
    path, (arrays, meta) = tmp_path / "weights.npz", parts()
    write(path, arrays, meta)
    assert checkpoint.load_weights(path)[0].config == SMALL


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"format": "other"}, "not a weights file of acdref (format 'other')"),
        ({"version": 3}, "format version 3: this acdref reads 1 and 2"),
        ({"version": None}, "format version None: this acdref reads 1 and 2"),
    ],
)
def test_other_format_or_version(tmp_path, change, cause):
    path, (arrays, meta) = tmp_path / "weights.npz", parts()
    write(path, arrays, meta | change)
    refused(path, cause)


def test_thresholds_are_kept(tmp_path):
    checkpoint.save_weights(tmp_path / "w.npz", ACDNet(SMALL), CLASSES, thresholds=[0.25, 1])
    assert checkpoint.load_weights(tmp_path / "w.npz")[1]["thresholds"] == [0.25, 1]


@pytest.mark.parametrize("said", [{}, {"version": 1}, {"version": 1, "thresholds": [0.1, 0.2]}])
def test_weights_that_say_nothing_of_thresholds_have_a_half(tmp_path, said):
    path, (arrays, meta) = tmp_path / "weights.npz", parts()
    write(path, arrays, meta | said)
    assert checkpoint.load_weights(path)[1]["thresholds"] == [0.5, 0.5]


@pytest.mark.parametrize("thresholds", [None, 0.5, [0.5], [0.5] * 3, [0.5, "a"], [0.5, True], [0.5, 1.5]])
def test_thresholds_that_make_no_sense(tmp_path, thresholds):
    path, (arrays, meta) = tmp_path / "weights.npz", parts()
    write(path, arrays, meta | {"thresholds": thresholds})
    refused(path, "its threshold")


@pytest.mark.parametrize("meta", [b"", b"{", b"[]", b"3", b"\xff\xfe", b'"acdref-weights"'])
def test_meta_that_is_no_object(tmp_path, meta):
    path, (arrays, _) = tmp_path / "weights.npz", parts()
    write(path, arrays, meta)
    refused(path, "not a weights file of acdref")


def config(**changes):
    return {"config": dataclasses.asdict(SMALL) | changes}


@pytest.mark.parametrize(
    "change",
    [
        {"config": None},
        {"config": {}},
        {"config": "acdnet"},
        config(classes=3),
        config(classes="two"),
        config(layers=3),
        config(attention="softmax"),
        config(bins=2),
        config(bins=None),
        config(stem=-1),
        config(stem=2.5),
        config(blocks=[]),
        config(blocks=[{"channels": 3}]),
        config(blocks=[3]),
        config(blocks=3),
        config(bins=1_000_000_000),
        config(bins=128),
        config(stem=True),
        config(stem=0),
        config(stem=1e300),
        config(stem=[16] * 100_000),
        config(blocks=[{"channels": 3, "dilation": 2, "pool": [2, 2, 2]}]),
        config(blocks=[{"channels": 3, "dilation": 2, "pool": [0, 2]}]),
        {"network": ["acdnet"]},
        {"network": "conv1d"},
        {"network": "conv1d", "config": 3},
        {"network": "vgg-gap", "config": {"front_end": "none"}},
        {"network": "vgg-gap", "config": {"output": "none"}},
        {"classes": ["dog", "dog"]},
        {"classes": ["dog", None]},
        {"classes": ["dog", 3]},
        {"classes": ["dog", " "]},
        {"classes": {"dog": 1, "cat": 2}},
        {"classes": None},
        {"classes": ["dog"]},
        {"classes": 2},
    ],
    ids=lambda change: str(change)[:60],
)
def test_configuration_that_makes_no_sense(tmp_path, change):
    path, (arrays, meta) = tmp_path / "weights.npz", parts()
    write(path, arrays, meta | change)
    with pytest.raises(CheckpointError) as info:
        checkpoint.load_weights(path)
    assert info.value.path == str(path)
    assert "\n" not in str(info.value) and len(info.value.cause) < 300


@pytest.mark.parametrize("shape", [(1 << 40,), (3, 1 << 30), (4,)])
def test_a_shape_that_the_file_does_not_hold(tmp_path, shape):
    """The header's promise is compared with the file, and with the network, before memory is asked for."""
    path, (arrays, meta) = tmp_path / "weights.npz", parts()
    write(path, arrays, meta)
    header = io.BytesIO()
    dtype = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, dtype)
    rewrite(path, "params/dense.bias.npy", header.getvalue() + bytes(8))
    refused(path, "the array params/dense.bias of shape")


def rewrite(path, entry, content, compression=zipfile.ZIP_STORED):
    """Another content for an entry of a zip file."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, old in entries.items():
            archive.writestr(name, content if name == entry else old)


def test_an_array_that_would_grow_beyond_measure(weights):
    """A bomb: refused by what the directory says of it, for weights and for whatever else is read."""
    content = io.BytesIO()
    np.save(content, np.zeros(checkpoint._SMALL // 4 + 1, np.float32))
    rewrite(weights, "params/dense.bias.npy", content.getvalue(), zipfile.ZIP_DEFLATED)
    refused(weights, "the array params/dense.bias would grow from")
    with pytest.raises(FileError, match="would grow"):
        checkpoint.read_arrays(weights, {"params/dense.bias": "f"}, "an example")


def test_a_size_that_is_not_the_networks(tmp_path):
    """Moments count, too: nothing is unpacked for them."""
    path, (arrays, meta) = tmp_path / "weights.npz", parts()
    write(path, arrays | {"adam/m.dense.bias": np.zeros(3)}, meta)
    refused(path, "adam/m.dense.bias is of shape (3,) instead of (2,)")


def test_encrypted_and_repeated_entries(weights):
    content = bytearray(weights.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.find(mark)
        while place >= 0:
            content[place + flags] |= 1
            place = content.find(mark, place + 1)
    encrypted = weights.with_name("encrypted.npz")
    encrypted.write_bytes(content)
    refused(encrypted, "is encrypted")
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(weights, "a") as archive:
        archive.writestr("params/dense.bias.npy", b"")
    refused(weights, "has the array params/dense.bias 2 times")


def test_meta_that_is_nested_too_deeply_or_names_something_twice(tmp_path):
    path, (arrays, meta) = tmp_path / "weights.npz", parts()
    text = json.dumps(meta)
    for bad in (b"[" * 100_000, b'{"format": "x", ' + text[1:].encode()):
        write(path, arrays, bad)
        refused(path, "its meta is no JSON object")


@pytest.mark.skipif(sys.platform == "win32", reason="no FIFOs")
def test_a_fifo_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "w.npz")
    refused(tmp_path / "w.npz", "not a regular file")


def test_configuration_missing(tmp_path):
    path, (arrays, meta) = tmp_path / "weights.npz", parts()
    for name in ("config", "classes"):
        write(path, arrays, {key: value for key, value in meta.items() if key != name})
        with pytest.raises(CheckpointError, match=f"configuration makes no sense: it has no {name}"):
            checkpoint.load_weights(path)


@pytest.mark.parametrize("name", ["d\0g", "\ud800"])
def test_classes_that_no_output_can_hold(tmp_path, name):
    path, (arrays, meta) = tmp_path / "weights.npz", parts()
    write(path, arrays, meta | {"classes": [name, *meta["classes"][1:]]})
    refused(path, "is no text")


@pytest.mark.parametrize(
    ("name", "value", "cause"),
    [
        ("params/dense.bias", None, "params/dense.bias is missing"),
        ("state/stem.conv_norm.var", None, "state/stem.conv_norm.var is missing"),
        ("params/dense.bias", np.zeros(3, np.float32), "params/dense.bias is of shape (3,) instead of (2,)"),
        ("params/dense.bias", np.float32([0, np.nan]), "params/dense.bias has values that are not finite"),
        ("state/stem.conv_norm.mean", np.float32([np.inf, 0]), "has values that are not finite"),
        ("params/dense.bias", np.array(["a", "b"]), "params/dense.bias is not an array of numbers"),
        ("params/dense.bias", np.complex64([1, 2]), "params/dense.bias is not an array of numbers"),
    ],
)
def test_arrays_that_do_not_fit(tmp_path, name, value, cause):
    path, (arrays, meta) = tmp_path / "weights.npz", parts()
    arrays = {key: a for key, a in arrays.items() if key != name} | ({} if value is None else {name: value})
    write(path, arrays, meta)
    with pytest.raises(CheckpointError) as info:
        checkpoint.load_weights(path)
    assert cause in info.value.cause


def with_other_axes(arrays):
    """The arrays, each with an axis of length 1 more or fewer."""
    return {
        name: a.reshape([n for n in a.shape if n != 1]) if 1 in a.shape else a[..., None, :]
        for name, a in arrays.items()
    }


def test_arrays_whose_shapes_differ_by_axes_of_length_one(tmp_path):
    """Files of earlier versions: what belongs to a parameter, a moment or an average too, gets its shape."""
    path, (arrays, meta) = tmp_path / "last.npz", parts()
    moments = {f"optimiser/{m}.{name}": a + 1 for m in "mv" for name, a in ACDNet(SMALL).params.items()}
    moments |= {f"average/average.{name}": a + 2 for name, a in arrays.items()}
    moments |= {f"best/{name}": a + 3 for name, a in arrays.items()}
    for stored in (arrays | moments, with_other_axes(arrays | moments)):
        checkpoint.save(path, stored | {"progress": np.ones((1, 2))}, meta)
        net, _ = checkpoint.load_weights(path, "numpy")
        found, _ = checkpoint.load(path)
        checkpoint.restore_network(path, net, found)
        assert found["progress"].shape == (1, 2)
        for name, a in checkpoint.network_arrays(net).items():
            assert a.shape == arrays[name].shape
            np.testing.assert_array_equal(a, arrays[name])
        for name, a in moments.items():
            assert found[name].shape == a.shape
            np.testing.assert_array_equal(found[name], a)


@pytest.mark.parametrize("change", [lambda a: a.T, lambda a: a[None, :-1], lambda a: a.reshape(-1)])
def test_arrays_whose_shapes_differ_otherwise(tmp_path, change):
    path, (arrays, meta) = tmp_path / "weights.npz", parts()
    name = next(name for name, a in arrays.items() if a.ndim == 2 and 1 < a.shape[0] != a.shape[1] > 1)
    write(path, arrays | {name: change(arrays[name])}, meta)
    with pytest.raises(CheckpointError, match=f"{name} is of shape .* instead of"):
        checkpoint.load_weights(path)


# The one reader of npz files


KINDS = {"names": "U", "values": "f"}


def write_npz(path):
    np.savez(path, names=["a", "b"], values=np.arange(2.0), more=[1])
    return path


def test_arrays_as_they_were_written(tmp_path):
    arrays = checkpoint.read_arrays(write_npz(tmp_path / "x.npz"), KINDS, "it")
    assert list(arrays) == ["names", "values"]
    assert arrays["names"].tolist() == ["a", "b"]
    np.testing.assert_array_equal(arrays["values"], [0, 1])


@pytest.mark.parametrize("content", [b"", b"path,classes\n", b"PK\x03\x04", b"\x80\x04pickle"])
def test_other_files(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(TeacherError, match=r"x: damaged, or not it: not an npz file$"):
        checkpoint.read_arrays(tmp_path / "x", KINDS, "it", TeacherError)


def test_a_single_array_a_folder_and_nothing(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(2))
    for name, cause in (("x.npy", "not an npz file"), ("", "Is a directory"), ("none", "No such file")):
        with pytest.raises(FileError, match=cause):
            checkpoint.read_arrays(tmp_path / name, KINDS, "it")


@pytest.mark.parametrize(
    ("arrays", "cause"),
    [
        ({"names": ["a"]}, "values"),
        ({"names": [1], "values": [1.0]}, "names is int64"),
        ({"names": ["a"], "values": np.array([None])}, "Python objects"),
    ],
    ids=["missing", "kind", "objects"],
)
def test_other_arrays(tmp_path, arrays, cause):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(FileError, match=f"damaged, or not it: .*({cause})"):
        checkpoint.read_arrays(tmp_path / "x.npz", KINDS, "it")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write_npz(tmp_path_factory.mktemp("npz") / "x.npz")


@given(st.data())
def test_damage_is_an_error_or_does_no_harm(whole, data):
    content = bytearray(whole.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    del content[data.draw(st.sampled_from([len(content), place]), label="cut") :]
    damaged = whole.with_name("damaged.npz")
    damaged.write_bytes(content)
    try:
        arrays = checkpoint.read_arrays(damaged, KINDS, "it")
    except FileError as error:
        assert "\n" not in str(error)
    else:
        assert [array.dtype.kind for array in arrays.values()] == ["U", "f"]


def tampered(path, flags=0, method=None):
    """The file with other flags or another compression method in the headers of its entries."""
    content = bytearray(path.read_bytes())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = content.find(mark)
        while start >= 0:
            content[start + at] |= flags
            if method is not None:
                content[start + at + 2] = method
            start = content.find(mark, start + 1)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("change", "cause"), [({"flags": 1}, "encrypted"), ({"method": 99}, "compression method")]
)
def test_encrypted_or_compressed_in_an_unknown_way(tmp_path, weights, change, cause):
    path = tampered(write_npz(tmp_path / "x.npz"), **change)
    with pytest.raises(FileError, match=rf"x\.npz: damaged, or not it: .*{cause}"):
        checkpoint.read_arrays(path, KINDS, "it")
    refused(tampered(weights, **change), "not a weights file of acdref")


def test_a_message_of_several_lines_is_cut_to_one(tmp_path):
    """NumPy's about a header that is too long, for one."""
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("a.npy", b"\x93NUMPY\x02\x00" + (20_000).to_bytes(4, "little") + b" " * 20_000)
    with pytest.raises(FileError, match=r"damaged, or not it: .*large") as caught:
        checkpoint.read_arrays(tmp_path / "x.npz", {"a": "f"}, "it")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_chunks(tmp_path, save):
    a = np.arange(70.0).reshape(10, 7)
    save(tmp_path / "x.npz", a=a, empty=a[:0], fortran=np.asfortranarray(a), objects=np.array([None]))
    with checkpoint.Arrays(tmp_path / "x.npz") as arrays:
        assert arrays.names == ["a", "empty", "fortran", "objects"]
        assert arrays.header("a") == ((10, 7), np.dtype(float))
        for count in (1, 4, 10, 11):
            chunks = list(arrays.chunks("a", count))
            assert [len(chunk) for chunk in chunks[:-1]] == [count] * (len(chunks) - 1)
            np.testing.assert_array_equal(np.concatenate(chunks), a)
        assert list(arrays.chunks("empty", 4)) == []
        np.testing.assert_array_equal(arrays.read("fortran"), a)
        for name, cause in (
            ("fortran", "Fortran order"),
            ("objects", "objects"),
            ("none", "has no array none"),
        ):
            with pytest.raises(FileError, match=cause):
                list(arrays.chunks(name, 4))


def test_a_network_keeps_its_own_type_and_memory():
    arrays, _ = parts()
    given = {name: a.astype(np.float64) for name, a in arrays.items()}
    net = ACDNet(SMALL, backend="numpy")
    checkpoint.restore_network("file", net, given)
    for name, a in checkpoint.network_arrays(net).items():
        assert a.dtype == np.float32
        assert not np.shares_memory(a, given[name])
