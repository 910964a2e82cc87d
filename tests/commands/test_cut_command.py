"""`acdref cut`: the events that predict has written, as sound files."""

import numpy as np
import pytest
import soundfile
from predict_support import noise, program, write, write_tiny_weights

HEAD = "path,onset,offset,label,peak,mean,recording_seconds,note,error,schema\n"


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "in" / "a.wav", np.stack([noise(6), noise(6, seed=1)], 1))
    write(tmp_path / "in" / "b.flac", noise(4, rate=8000), 8000)
    return tmp_path


def events(folder, *rows):
    lines = [f"{folder}/in/{name},{on},{off},{label},{peak},,,,,\n" for name, on, off, label, peak in rows]
    (folder / "events.csv").write_text(HEAD + "".join(lines))
    return folder / "events.csv"


def test_events_with_what_is_around_them(folder):
    tags = events(
        folder, ("a.wav", 0.25, 2, "dog", 0.9), ("a.wav", 1, 2.5, "x/y", 0.4), ("b.flac", 3, 4, "dog", 0.9)
    )
    out = folder / "clips"
    assert program("cut", tags, "--out", out) == (
        0,
        f"{out}: 3 clips; 2 of 2 recordings with events cut\n",
        "",
    )
    x, _ = soundfile.read(folder / "in" / "a.wav", dtype="int16")
    y, _ = soundfile.read(folder / "in" / "b.flac", dtype="int16")
    wanted = {
        "a_0.250-2.000_dog.flac": (x[: round(2.5 * 16000)], 16000),
        "a_1.000-2.500_x_y.flac": (x[8000:48000], 16000),
        "b_3.000-4.000_dog.flac": (y[20000:], 8000),
    }
    assert sorted(path.name for path in out.iterdir()) == sorted(wanted)
    for name, (samples, rate) in wanted.items():
        found, own = soundfile.read(out / name, dtype="int16")
        np.testing.assert_array_equal(found, samples)
        assert own == rate


def test_only_some(folder):
    tags = events(
        folder, ("a.wav", 0, 1, "dog", 0.9), ("a.wav", 2, 3, "dog", 0.4), ("a.wav", 2, 3, "hum", 0.9)
    )
    how = ("--classes", "dog", "--threshold", 0.5, "--pad", 0, "--format", "wav")
    assert program("cut", "-", "--out", folder / "out", *how, stdin=tags.read_bytes())[0] == 0
    assert [path.name for path in (folder / "out").iterdir()] == ["a_0.000-1.000_dog.wav"]
    assert soundfile.info(folder / "out" / "a_0.000-1.000_dog.wav").frames == 16000


def test_names_are_the_same_whatever_else_is_cut(folder):
    """Of two recordings of one name the second is told by its folder, though the first has no such event."""
    write(folder / "in" / "more" / "a.wav", noise(3))
    tags = events(folder, ("a.wav", 0, 1, "hum", 0.9), ("more/a.wav", 0, 1, "dog", 0.4))
    for number, flags in enumerate([(), ("--classes", "dog"), ("--class-threshold", "hum=1")]):
        out = folder / f"out{number}"
        assert program("cut", tags, "--out", out, "--pad", 0, *flags)[0] == 0, flags
        assert "more_a_0.000-1.000_dog.flac" in [path.name for path in out.iterdir()]
    assert len(list(out.iterdir())) == 1
    code, _, err = program("cut", tags, "--out", out, "--classes", "dgo")
    assert (code, err) == (0, f"acdref: {tags}: nothing of class 'dgo' (it has dog, hum)\n")


def test_a_recording_that_is_gone(folder):
    tags = events(folder, ("gone.wav", 0, 1, "dog", 0.9), ("b.flac", 0, 1, "dog", 0.9))
    code, out, err = program("cut", tags, "--out", folder / "out")
    assert (code, err) == (3, f"acdref: {folder}/in/gone.wav: no such file\n")
    assert "1 clips; 1 of 2 recordings" in out
    (folder / "in" / "b.flac").unlink()
    assert program("cut", tags, "--out", folder / "none")[0] == 1 and not (folder / "none").exists()


def test_into_the_folder_of_the_recordings(folder):
    """Twice the same names, and never that of a recording, though it be called like a clip."""
    taken = folder / "in" / "a_0.000-1.000_dog.flac"
    before = write(taken, noise(3)) and taken.read_bytes()
    rows = ("a.wav", 0, 1, "dog", 0.9), (taken.name, 0, 1, "dog", 0.9)
    for _ in range(2):
        assert program("cut", events(folder, *rows), "--out", folder / "in")[0] == 0
        assert taken.read_bytes() == before
        assert sorted(path.name for path in (folder / "in").iterdir()) == [
            "a.wav",
            "a_0.000-1.000_dog-2.flac",
            "a_0.000-1.000_dog.flac",
            "a_0.000-1.000_dog_0.000-1.000_dog.flac",
            "b.flac",
        ]


def test_what_predict_writes(folder):
    """Events, and of windows those that overlap as one event."""
    weights = write_tiny_weights(folder / "tiny.npz")
    common = ("predict", "--weights", weights, "--backend", "numpy", "--window", 2, "--hop", 1)
    for form, flags in (("jsonl", ["--events", "--threshold", 0]), ("csv", [])):
        tags = folder / f"tags.{form}"
        assert program(*common, *flags, "--out", tags, folder / "in" / "a.wav")[0] == 0
        how = ("--threshold", 0, "--classes", "hum")
        assert program("cut", tags, "--out", folder / form, *how)[0] == 0
        assert [path.name for path in (folder / form).iterdir()] == ["a_0.000-6.000_hum.flac"]


def test_what_cannot_be_read(folder):
    code, out, err = program("cut", folder / "none.csv", "--out", folder / "out")
    assert (code, out, err) == (1, "", f"acdref: {folder}/none.csv: No such file or directory\n")
