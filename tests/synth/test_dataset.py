"""What `write_dataset` makes: reproducible, complete or visibly not, careful with others' files."""

import csv
import errno
import os

import numpy as np
import pytest
import soundfile

from acdref.errors import FileError
from acdref.files import BusyError
from acdref.synth import CLASSES, dataset, scene, write_dataset


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def read(path, delimiter):
    with open(path, newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def test_same_seed_same_bytes_other_seed_other_bytes(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_dataset(tmp_path / name, count=4, seed=seed, seconds=0.5)
    a, b, c = (contents(tmp_path / name) for name in "abc")
    assert a == b
    assert all(a[name] != c[name] for name in a if name.startswith("scene-"))


def test_a_larger_dataset_begins_with_the_smaller(tmp_path):
    write_dataset(tmp_path / "small", count=3, seed=0, seconds=0.5)
    write_dataset(tmp_path / "large", count=6, seed=0, seconds=0.5)
    small, large = contents(tmp_path / "small"), contents(tmp_path / "large")
    for name in small:
        if name != "synth.json":
            assert large[name].startswith(small[name])


def test_reading_back(tmp_path):
    rows = write_dataset(tmp_path, count=10, seed=4, seconds=1.0, val_fraction=0.3)
    manifest, events = read(tmp_path / "manifest.csv", ","), read(tmp_path / "events.tsv", "\t")
    assert [(r["path"], tuple(filter(None, r["classes"].split(";"))), r["split"]) for r in manifest] == rows
    assert [r["split"] for r in manifest].count("val") == 3
    for index, row in enumerate(manifest):
        audio, labels, found = scene(np.random.default_rng([4, index]), seconds=1.0)
        read_back, sr = soundfile.read(tmp_path / row["path"], dtype="float32")
        assert sr == 16000
        np.testing.assert_allclose(read_back * 32768 / 32767, audio, atol=0.51 / 32767)
        assert set(filter(None, row["classes"].split(";"))) == {
            c for c, y in zip(CLASSES, labels, strict=True) if y
        }
        listed = [e for e in events if e["filename"] == row["path"]]
        mine = [e for e in listed if e["event_label"]]
        assert mine or listed == [
            {"filename": row["path"], "onset": "", "offset": "", "event_label": ""}
        ]  # annotated, nothing heard
        assert [e["event_label"] for e in mine] == [e.name for e in found]
        np.testing.assert_allclose([float(e["onset"]) for e in mine], [e.start for e in found], atol=6e-4)
        np.testing.assert_allclose([float(e["offset"]) for e in mine], [e.end for e in found], atol=6e-4)


def test_files_are_16_bit_flac(tmp_path):
    write_dataset(tmp_path, count=1, seed=0, seconds=0.5)
    info = soundfile.info(tmp_path / "scene-00000.flac")
    assert (info.format, info.subtype, info.channels, info.frames) == ("FLAC", "PCM_16", 1, 8000)


@pytest.mark.parametrize(("fraction", "expected"), [(0, 0), (0.2, 4), (0.5, 10), (1, 20)])
def test_split_is_spread_evenly(fraction, expected):
    splits = [dataset._split(index, fraction) for index in range(20)]
    assert splits.count("val") == expected
    assert abs(splits[:10].count("val") - expected / 2) <= 1


def test_running_again_replaces_the_whole_dataset(tmp_path):
    write_dataset(tmp_path / "again", count=5, seed=0, seconds=0.5)
    write_dataset(tmp_path / "again", count=2, seed=1, seconds=0.5)
    write_dataset(tmp_path / "fresh", count=2, seed=1, seconds=0.5)
    assert contents(tmp_path / "again") == contents(tmp_path / "fresh")


@pytest.mark.parametrize("name", ["notes.txt", "manifest.csv", "scene-00000.flac", "synth.json"])
def test_other_files_are_refused_and_untouched(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(FileError, match=name):
        write_dataset(tmp_path, count=1, seed=0, seconds=0.5)
    assert contents(tmp_path) == {name: b"mine"}


def test_a_file_added_to_a_dataset_is_refused_too(tmp_path):
    write_dataset(tmp_path, count=1, seed=0, seconds=0.5)
    (tmp_path / "recording.wav").write_text("mine")
    before = contents(tmp_path)
    with pytest.raises(FileError, match=r"recording\.wav"):
        write_dataset(tmp_path, count=1, seed=1, seconds=0.5)
    assert contents(tmp_path) == before


def test_force_keeps_other_files(tmp_path):
    for name in ("notes.txt", "scene-00007.flac"):
        (tmp_path / name).write_text("mine")
    write_dataset(tmp_path, count=1, seed=0, seconds=0.5, force=True)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (tmp_path / "scene-00007.flac").read_text() == "mine"
    assert len(read(tmp_path / "manifest.csv", ",")) == 1


def test_an_interrupted_run_has_no_manifest_and_can_be_repeated(tmp_path):
    write_dataset(tmp_path / "whole", count=3, seed=0, seconds=0.5)
    write_dataset(tmp_path / "cut", count=2, seed=9, seconds=0.5)

    def interrupt(done, count):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_dataset(tmp_path / "cut", count=3, seed=0, seconds=0.5, progress=interrupt)
    assert "manifest.csv" not in contents(tmp_path / "cut")
    write_dataset(tmp_path / "cut", count=3, seed=0, seconds=0.5)
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_a_leftover_of_a_killed_run_is_cleared(tmp_path):
    write_dataset(tmp_path, count=1, seed=0, seconds=0.5)
    (tmp_path / ".scene-00001.flac.123.tmp").write_bytes(b"half")
    write_dataset(tmp_path, count=1, seed=0, seconds=0.5)
    assert ".scene-00001.flac.123.tmp" not in contents(tmp_path)


def test_full_disk(tmp_path, monkeypatch):
    def full(source, target):
        if str(target).endswith("00001.flac"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    replace = os.replace
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(FileError, match=r"scene-00001\.flac: No space left on device"):
        write_dataset(tmp_path, count=3, seed=0, seconds=0.5)
    assert sorted(contents(tmp_path)) == ["scene-00000.flac", "synth.json"]


def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    for target in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(FileError, match="file"):
            write_dataset(target, count=1, seed=0, seconds=0.5)


def test_bad_parameters_make_no_folder(tmp_path):
    for options in (
        {"count": 0},
        {"seed": -1},
        {"val_fraction": 1.5},
        {"seconds": 0},
        {"max_classes": 0},
        {"sr": 1},
    ):
        with pytest.raises(ValueError, match=next(iter(options))):
            write_dataset(tmp_path / "new", **{"count": 1, "seed": 0, **options})
    assert not (tmp_path / "new").exists()


def test_the_second_run_is_refused(tmp_path):
    def progress(done, count):
        with pytest.raises(BusyError, match="out: another run is writing it"):
            write_dataset(tmp_path / "out", 1, seed=0, seconds=0.5)

    assert len(write_dataset(tmp_path / "out", 2, seed=0, seconds=0.5, progress=progress)) == 2
