"""The tagger of Python: what `acdref predict` says, of files and of samples in memory."""

import csv
import io
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile
from predict_support import (
    CLASSES,
    ROOT,
    Loudness,
    noise,
    program,
    write,
    write_damaged,
    write_tiny_weights,
)

import acdref
from acdref.checkpoint import load_weights, save_weights
from acdref.errors import AudioError, CheckpointError
from acdref.predict.tagger import Tagger
from acdref.predict.tagging import predict

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture
def tagger(tmp_path):
    return Tagger.load(write_tiny_weights(tmp_path / "tiny.npz"), "numpy")


def rows_of(found):
    return [(w.path, w.start, w.end, w.scores.tolist(), w.note) for w in found]


@pytest.mark.parametrize(
    ("seconds", "rate", "channels"), [(23.2, 16000, 1), (0.084, 44100, 2), (11, 48000, 3)]
)
def test_is_what_predict_says(tagger, tmp_path, seconds, rate, channels):
    """Of a file and of its samples: rows, scores of the whole, notes, bit for bit."""
    x = np.stack([noise(seconds, seed=seed, rate=rate) for seed in range(channels)], axis=1)
    path = write(tmp_path / "x.wav", x, rate)
    found = tagger.tag(path)
    assert rows_of(found.windows) == rows_of(predict(tagger.net, [path]))
    options = "--weights", tmp_path / "tiny.npz", "--backend", "numpy"
    _, out, _ = program("predict", *options, "--format", "csv", path)
    for row, window in zip(csv.DictReader(io.StringIO(out)), found.windows, strict=True):
        assert [float(row["start"]), float(row["end"])] == [window.start, window.end]
        assert [np.float32(row[name]) for name in found.classes] == list(window.scores)
        assert row["note"] == (window.note or "")
    (tmp_path / "m.csv").write_text("path,classes\nx.wav,\n")
    assert program("predict", *options, "--scores", tmp_path / "s.npz", tmp_path / "m.csv")[0] == 0
    with np.load(tmp_path / "s.npz") as file:
        np.testing.assert_array_equal(
            file["scores"][0], np.array(list(found.scores.values()), file["scores"].dtype)
        )
    stored, _ = soundfile.read(path, dtype="int16", always_2d=True)
    same = tagger.tag((stored, rate))
    assert [row[1:] for row in rows_of(same.windows)] == [row[1:] for row in rows_of(found.windows)]
    assert same.scores == found.scores and same.notes == found.notes
    assert bool(found.notes) == (seconds < 0.3)


def test_windows_and_hops(tagger, tmp_path):
    path = write(tmp_path / "x.wav", noise(7.3))
    found = tagger.tag(path, window=3, hop=2)
    assert rows_of(found.windows) == rows_of(predict(tagger.net, [path], 3, 2))
    assert [w.start for w in found.windows] == [0, 2, 4, 6][: len(found.windows)] and found.seconds == 7.3
    expected = np.average(
        [w.scores for w in found.windows], axis=0, weights=[w.end - w.start for w in found.windows]
    )
    np.testing.assert_allclose(list(found.scores.values()), expected, rtol=1e-7)


@pytest.mark.parametrize(
    "dtype",
    ["int8", "uint8", "int16", "uint16", ">i2", "int32", "int64", "float16", "float32", ">f4", "float64"],
)
def test_samples_of_any_type_are_one_sound(tagger, dtype):
    """Eighths of full scale, which every type holds."""
    x = np.random.default_rng(0).integers(-7, 8, 20000) / 8
    expected = tagger.tag((x, 16000)).scores
    dtype = np.dtype(dtype)
    if dtype.kind != "f":
        half = 2 ** (8 * dtype.itemsize - 1)
        x = (x * 8).astype(np.int64) * (half // 8) + (half if dtype.kind == "u" else 0)
    assert tagger.tag((x.astype(dtype), 16000)).scores == expected
    assert tagger.tag((x.astype(dtype)[:, None].repeat(2, axis=1), 16000.0)).scores == expected
    assert tagger.tag((np.asfortranarray(x.astype(dtype)[:, None]), np.int32(16000))).scores == expected


def test_lists_will_do(tagger):
    assert (
        tagger.tag(([0.5, -0.5] * 8000, 16000)).scores
        == tagger.tag((np.tile([0.5, -0.5], 8000), 16000)).scores
    )


@pytest.mark.parametrize(
    ("samples", "rate", "cause"),
    [
        (np.zeros(0), 16000, "zero frames"),
        (np.zeros((0, 2)), 16000, "zero frames"),
        (
            np.zeros((2, 44100)),
            44100,
            "float64 of shape .2, 44100., not floats or integers .n,. or .n, channels.",
        ),
        (np.zeros((5, 0)), 16000, "shape .5, 0."),
        (np.zeros((1, 5, 1)), 16000, "shape .1, 5, 1."),
        (np.float32(1), 16000, r"float32 of shape ..,"),
        (np.zeros(5, bool), 16000, "bool of shape"),
        (np.zeros(5, complex), 16000, "complex128 of shape"),
        (["a", "b"], 16000, "<U1 of shape"),
        (np.r_[np.zeros(16000), np.nan], 16000, "a sample of nan at 1.000 s"),
        (np.r_[np.zeros(40000), -np.inf], 16000, "a sample of -inf at 2.500 s"),
        (np.full(5, 1e300), 16000, "a sample of inf at 0.000 s"),
        (np.zeros(5), 0, "a sampling rate of 0, not a whole number from 1000 to 768000 Hz"),
        (np.zeros(5), -16000, "rate of -16000"),
        (np.zeros(5), 1e6, "rate of 1000000.0"),
        (np.zeros(5), 44100.5, "rate of 44100.5"),
        (np.zeros(5), np.nan, "rate of nan"),
        (np.zeros(5), np.inf, "rate of inf"),
        (np.zeros(5), None, "rate of None"),
        (np.zeros(5), "16000", "rate of '16000'"),
    ],
)
def test_what_is_no_recording(tagger, samples, rate, cause):
    with pytest.raises(AudioError, match=cause):
        tagger.tag((samples, rate))


def test_samples_without_a_rate(tagger):
    with pytest.raises(AudioError, match="without their rate"):
        tagger.tag(noise(1))


def test_files_that_cannot_be_used(tagger, tmp_path):
    with pytest.raises(AudioError, match=r"none\.wav: no such file"):
        tagger.tag(tmp_path / "none.wav")
    with pytest.raises(AudioError, match=r"a\.wav: a sample of nan at 12\.000 s"):
        tagger.tag(write_damaged(tmp_path / "a.wav", good=12))
    with pytest.raises(CheckpointError):
        Tagger.load(tmp_path / "none.npz")
    with pytest.raises(ValueError, match="backend must be one of"):
        Tagger.load(backend="torch")


@pytest.mark.parametrize(
    ("samples", "notes"),
    [
        (np.zeros(16000), ["it is silent"]),
        (np.full(16000, 0.3), ["it is silent"]),
        (0.3 + noise(1, 1e-4), ["it is all but silent"]),
        (np.stack([noise(1), -noise(1)], axis=1), ["its channels cancel each other"]),
        (32768 * noise(1), ["samples up to"]),
        (np.zeros(160), ["0.010 s are too short", "it is silent"]),
        (0.01 + noise(1), []),
    ],
)
def test_notes(tagger, samples, notes):
    found = tagger.tag((samples, 16000))
    assert len(found.notes) == len(notes)
    assert all(note.startswith(start) for note, start in zip(found.notes, notes, strict=True))
    assert found.windows[-1].note == ("; ".join(found.notes) or None)


def test_tags_are_the_surest_first():
    found = Tagger(Loudness(), CLASSES).tag((noise(2, 0.07), 16000))
    assert list(found.scores) == list(CLASSES)
    hum, dog, rain = (found.scores[name] for name in CLASSES)
    assert hum > 0.5 > dog and rain < 0.5
    assert found.tags() == {"hum": hum}
    assert list(found.tags(0)) == sorted(CLASSES, key=lambda name: -found.scores[name])
    assert found.tags(hum) == {"hum": hum} and found.tags(np.nextafter(hum, 2)) == {}


@pytest.mark.parametrize(("n", "tags"), [(4799, 0), (4800, 1)])
def test_what_is_too_short_to_know_has_to_be_surer(n, tags):
    class Sure:
        front_end, score = "compressed-stft", 0.98

        def predict_proba(self, x):
            return np.array([[self.score, 0.1, 0.4]], np.float32)

    net = Sure()
    assert len(Tagger(net, CLASSES).tag((noise(1)[:n], 16000)).tags()) == tags
    assert len(Tagger(net, CLASSES).tag((noise(1)[:n], 16000)).tags(0.5)) == 1
    net.score = 0.995
    assert len(Tagger(net, CLASSES).tag((noise(1)[:n], 16000)).tags()) == 1


def test_an_offset_changes_nothing(tagger):
    x = noise(3, rate=44100)
    expected = list(tagger.tag((x, 44100)).scores.values())
    for offset in (-0.1, 0.003, 0.5):
        np.testing.assert_allclose(list(tagger.tag((x + offset, 44100)).scores.values()), expected, atol=1e-5)


def test_importing_acdref_stays_cheap_and_has_it():
    code = (
        "import acdref; assert 'numpy' not in sys.modules and 'Tagger' in dir(acdref); acdref.Tagger.load()"
    )
    block = "".join(f"sys.modules[{name!r}] = None\n" for name in ("numba", "scipy", "onnxruntime"))
    done = subprocess.run([sys.executable, "-c", f"import sys\n{block}{code}"], cwd=ROOT)
    assert done.returncode == 0
    assert acdref.Tagger is Tagger


def test_readme_says_what_predict_says(tmp_path, monkeypatch, capsys):
    """Its snippet, run where there is a recording, and the table of `acdref predict`."""
    code = next(
        c
        for c in re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.S)
        if "Tagger" in c
    )
    rng = np.random.default_rng(3)
    write(tmp_path / "dog.wav", 0.3 * rng.standard_normal((44100 * 13, 2)), 44100)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, str(README), "exec"), names := {})
    tags, *rows = capsys.readouterr().out.splitlines()
    found = names["found"]
    assert tags == str(found.tags())
    _, out, _ = program("predict", "--format", "csv", tmp_path / "dog.wav")
    predicted = list(csv.DictReader(io.StringIO(out)))
    events = names["tagger"].events("dog.wav")
    assert rows[2:] == [f"{event.label} {event.onset} {event.offset}" for event in events]
    rows = rows[:2]
    assert len(rows) == len(predicted) == 2
    for row, window in zip(predicted, found.windows, strict=True):
        assert [np.float32(row[name]) for name in found.classes] == list(window.scores)


class TestThresholdsOfTheWeights:
    @pytest.fixture
    def low(self, tmp_path):
        path = write_tiny_weights(tmp_path / "low.npz")
        net, meta = load_weights(path, "numpy")
        save_weights(path, net, meta["classes"], thresholds=[0.0, 1.0, *[0.5] * (len(CLASSES) - 2)])
        return Tagger.load(path, "numpy")

    def test_are_those_of_its_tags(self, low):
        found = low.tag((noise(1), 16000))
        assert low.thresholds[:2] == (0.0, 1.0)
        assert CLASSES[0] in found.tags()
        assert CLASSES[1] not in found.tags()
        assert set(found.tags(0.0)) == set(CLASSES)

    def test_short_sounds_need_more(self, low):
        found = low.tag((noise(0.1), 16000))
        assert set(found.tags()) == {name for name, score in found.scores.items() if score >= 0.99}

    def test_a_file_of_before_has_a_half(self, tagger):
        assert tagger.thresholds == (0.5,) * len(CLASSES)


class TestEvents:
    def test_are_what_predict_says(self, tagger, tmp_path):
        path = write(tmp_path / "x.wav", noise(7.3), 16000)
        options = "--weights", tmp_path / "tiny.npz", "--backend", "numpy", "--events", "--format", "csv"
        for given, more in ({}, ()), ({"threshold": 0.4, "gap": 1.0}, ("--threshold", 0.4, "--event-gap", 1)):
            _, out, _ = program("predict", *options, *more, path)
            rows = [row for row in csv.DictReader(io.StringIO(out)) if row["label"]]
            found = tagger.events(path, **given)
            assert [event.label for event in found] == [row["label"] for row in rows]
            for event, row in zip(found, rows, strict=True):
                for name in ("onset", "offset", "peak", "mean"):
                    assert getattr(event, name) == pytest.approx(float(row[name]), abs=1e-6)
        assert found

    def test_samples_and_silence(self, tagger):
        assert tagger.events((noise(5), 16000), threshold=1.0) == []
        events = tagger.events((noise(5), 16000), threshold=0.0)
        assert {(event.label, event.onset, event.offset) for event in events} == {
            (name, 0.0, 5.0) for name in CLASSES
        }


def test_as_a_picture(tmp_path):
    """Names are text, whatever they are; the surest class first, its bar the longest; tags are bold."""
    names = ("<b>&", '"dog"', "rain")
    found = Tagger.load(write_tiny_weights(tmp_path / "x.npz", names), "numpy").tag((np.zeros(16000), 16000))
    page = found._repr_html_()
    tree = ElementTree.fromstring(page)
    order = sorted(found.scores, key=lambda name: -found.scores[name])
    rows = tree.findall("tbody/tr")
    assert [row.find("th").text for row in rows] == order and "<b>" not in page
    for name, row in zip(order, rows, strict=True):
        number, bar = row.findall("td")
        assert number.text == f"{found.scores[name]:.2f}"
        assert bar.find("div").get("style").startswith(f"width:{100 * found.scores[name]:.0f}%")
        assert ("bold" in row.find("th").get("style")) == (name in found.tags())
    assert tree.find("caption").text == "1.0 s; it is silent"
