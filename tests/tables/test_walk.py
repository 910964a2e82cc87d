"""Folders as people leave them: other files, links, loops, what cannot be read."""

import os
import time

import numpy as np
import pytest
import soundfile

from acdref.tables.walk import PassedOver, find_audio


def touch(folder, *names, content=b""):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def walked(folder):
    """Paths below a folder, and the line about the rest."""
    passed = PassedOver()
    found = list(find_audio(folder, pytest.fail, passed))
    return [os.path.relpath(path, folder) for path in found], str(passed).replace(f"{folder}/", "")


def test_suffixes_of_any_case_in_order(tmp_path):
    touch(tmp_path, "b.WAV", "a.m4a", "B.Mp4", "z/c.webm", "d/e/f.wma", "d/g.OPUS")
    found = ["B.Mp4", "a.m4a", "b.WAV", "d/g.OPUS", "d/e/f.wma", "z/c.webm"]
    assert walked(tmp_path) == (found, "")


def test_what_is_passed_over_is_counted(tmp_path):
    touch(tmp_path, "a.wav", "LICENSE", *(f"s/{i}.TXT" for i in range(9)), "m.json", "s/n.json", "x.wav.part")
    touch(tmp_path, ".hidden.wav", "._a.wav", ".DS_Store", ".git/b.wav", ".git/c.txt")
    counts = "9 .txt, 2 .json, 1 .part, 1 hidden, 1 without ending"
    line = f"passed over 14 files (no recordings by their names): {counts}"
    assert walked(tmp_path) == (["a.wav"], line)
    touch(tmp_path, *(f"x.{letter}" for letter in "abcd"))
    assert walked(tmp_path)[1].endswith("9 .txt, 2 .json, 1 .a, 1 .b, 1 .c, 1 .d, 3 others")


def test_one_file(tmp_path):
    touch(tmp_path, "m.csv")
    assert walked(tmp_path) == ([], "passed over 1 file (no recordings by their names): 1 .csv")


def test_recordings_under_other_names_are_named(tmp_path):
    touch(tmp_path, "notes.txt", content=b"RIFF is a format\n")
    touch(tmp_path, "clip", content=b"\0\0\0\x1cftypM4A ")
    for name, form in (("a.part", "WAV"), ("b", "FLAC"), ("c.bak", "OGG"), ("d.1", "MP3"), ("e", "AIFF")):
        with open(tmp_path / name, "wb") as file:
            soundfile.write(file, np.zeros(8000), 8000, format=form)
    found, line = walked(tmp_path)
    assert found == [] and line.startswith("passed over 7 files")
    named = "a.part, b, c.bak and 3 more"
    assert line.endswith(f"; like recordings inside, and read if given by name: {named}")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert walked(tmp_path)[1].endswith("1 without ending")


def test_linked_folders_are_followed_once(tmp_path):
    touch(tmp_path, "set/real/a.wav", "set/.store/h.wav", "out/b.wav", "out/deep/c.wav")
    folder = tmp_path / "set"
    for link, target in (
        ("0-inside", "real"),  # whose recordings have a name without the link
        ("hidden", ".store"),
        ("l1", "../out"),
        ("l2", "../out"),
        ("l3", "../out/deep"),
    ):
        (folder / link).symlink_to(target)
    assert walked(folder) == (["hidden/h.wav", "l1/b.wav", "l1/deep/c.wav", "real/a.wav"], "")


def test_loops_end(tmp_path):
    touch(tmp_path, "set/a/x.wav", "out/y.wav")
    folder = tmp_path / "set"
    (folder / "self").symlink_to(".")
    (folder / "a" / "back").symlink_to(folder)
    (folder / "out").symlink_to(tmp_path / "out")
    (tmp_path / "out" / "round").symlink_to(tmp_path / "out")
    (tmp_path / "out" / "home").symlink_to(folder)
    (folder / "up").symlink_to(tmp_path)
    found, line = walked(folder)
    assert found == ["a/x.wav", "out/y.wav"]
    assert line == "passed over links to a folder around this one: up"


def test_many_links_between_folders_take_no_time(tmp_path):
    folders = [tmp_path / "out" / str(i) for i in range(12)]
    for one in folders:
        touch(one, "x.wav")
        for other in folders:
            (one / f"to{other.name}").symlink_to(other)
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "link").symlink_to(folders[0])
    begun = time.process_time()
    assert len(walked(tmp_path / "set")[0]) == len(folders)
    assert time.process_time() - begun < 5


def test_linked_files_and_links_to_nothing(tmp_path):
    touch(tmp_path, "a.wav")
    for name, target in (
        ("b.wav", "a.wav"),
        ("c.wav", "gone"),
        ("folder", "/nowhere/at/all"),
        ("loop", "loop"),
    ):
        (tmp_path / name).symlink_to(target)
    found, line = walked(tmp_path)
    assert found == ["a.wav", "b.wav", "c.wav"]  # the last is for its reader to refuse
    counts = "2 files (no recordings by their names): 2 without ending"
    assert line == f"passed over {counts}; links to nowhere: folder, loop"
