import errno
import math
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from acdref import files
from acdref.errors import FileError, ManifestError, TeacherError
from acdref.files import (
    BusyError,
    cache_folder,
    claimed,
    json_number,
    make_folder,
    read_json,
    refuse_inputs,
    refuse_pipes,
    replacing,
    resource,
    set_aside,
    sha256,
    weights_file,
    write_text,
)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"ACDREF_CACHE_DIR": "mine", "XDG_CACHE_HOME": "xdg"}, Path("mine")),
        ({"ACDREF_CACHE_DIR": "", "XDG_CACHE_HOME": "xdg"}, Path("xdg", "acdref")),
        ({"ACDREF_CACHE_DIR": "", "XDG_CACHE_HOME": ""}, Path("~/.cache/acdref").expanduser()),
    ],
)
def test_cache_folder(monkeypatch, variables, expected):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == expected


@pytest.fixture
def old(tmp_path):
    """A file with contents, alone in its folder."""
    path = tmp_path / "x.txt"
    path.write_text("old")
    return path


def unchanged(path):
    assert path.read_text() == "old"
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_the_new_file_takes_the_place_of_the_old_at_the_end(old, kind):
    with replacing(kind(old)) as temporary:
        assert temporary.parent == old.parent  # a file cannot be renamed to another file system
        temporary.write_text("new")
        assert old.read_text() == "old"
    assert old.read_text() == "new"
    assert os.listdir(old.parent) == ["x.txt"]


def test_relative_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_text("x.txt", "new")
    (tmp_path / "folder").mkdir()
    write_text("folder/x.txt", "new")
    assert (tmp_path / "x.txt").read_text() == (tmp_path / "folder" / "x.txt").read_text() == "new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failure_in_the_block_keeps_the_old_file(old, error):
    with pytest.raises(error), replacing(old) as temporary:
        temporary.write_text("half")
        raise error
    unchanged(old)


def test_errors_of_the_system_name_the_file_and_the_cause(old):
    with pytest.raises(ManifestError) as caught, replacing(old, ManifestError) as temporary:
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device", str(temporary))
    assert caught.value.path == str(old)
    assert caught.value.cause == "No space left on device"
    unchanged(old)


def test_a_failure_at_renaming_keeps_the_old_file(old, monkeypatch):
    def fail(source, target):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(FileError, match=r"x\.txt: Permission denied"):
        write_text(old, "new")
    unchanged(old)


def test_places_where_no_file_can_be(old):
    folder = old.parent / "folder"
    folder.mkdir()
    for path in (folder, f"{folder}{os.sep}", f"{folder}{os.sep}.", folder / "none" / "x", old / "x"):
        with pytest.raises(FileError) as caught:
            write_text(path, "new")
        assert caught.value.path == str(path)
    assert os.listdir(folder) == []
    assert sorted(os.listdir(old.parent)) == ["folder", "x.txt"]


def test_a_killed_process_leaves_the_old_file(old):
    code = (
        "import os, sys\nfrom acdref.files import replacing\nwith replacing(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('half')\n    os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code, old]).returncode == 9
    assert old.read_text() == "old"


def test_text_is_written_as_it_is(tmp_path):
    write_text(tmp_path / "x", "é\r\n\n\r")
    assert (tmp_path / "x").read_bytes() == "é\r\n\n\r".encode()


def test_text_that_is_none(old):
    with pytest.raises(UnicodeEncodeError):
        write_text(old, "\ud800")
    unchanged(old)


def test_sha256(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of FIPS 180-2
    assert sha256(tmp_path / "x") == expected
    with pytest.raises(FileError, match="none: No such file"):
        sha256(tmp_path / "none")


def holding(path, kind):
    """A process that writes a file, or works in a folder, until it is killed."""
    code = (
        f"import sys, time\nfrom acdref.files import {kind}\nwith {kind}(sys.argv[1]) as at:\n"
        "    if at: at.write_text('half')\n    print(flush=True)\n    time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE)
    process.stdout.readline()
    return process


needs_locks = pytest.mark.skipif(os.name == "nt", reason="Windows has no such locks")


@needs_locks
def test_the_second_run_is_refused_until_the_first_is_dead(old):
    first = holding(old, "replacing")
    try:
        with pytest.raises(BusyError, match=r"x\.txt: another run is writing it"), replacing(old):
            pass
        assert (old.parent / ".x.txt.tmp").read_text() == "half" and old.read_text() == "old"
    finally:
        first.kill()
        first.communicate()
    with replacing(old) as temporary:
        temporary.write_text("n")  # shorter than what the dead one has left
    assert old.read_text() == "n"
    assert os.listdir(old.parent) == ["x.txt"]


@needs_locks
def test_what_was_renamed_just_before_it_was_locked_is_not_written(tmp_path, monkeypatch):
    path, locked, flock = tmp_path / "x", [], files.fcntl.flock

    def late(descriptor, how):
        if not locked:
            os.replace(path, tmp_path / "done")
        locked.append(descriptor)
        flock(descriptor, how)

    monkeypatch.setattr(files.fcntl, "flock", late)
    with files.open_alone(path) as file:
        file.write(b"new")
    assert len(locked) == 2 and path.read_bytes() == b"new" and (tmp_path / "done").read_bytes() == b""


@needs_locks
def test_one_run_in_a_folder(tmp_path):
    place = tmp_path / "deep" / "out"
    first = holding(place, "claimed")
    try:
        with pytest.raises(BusyError, match="out: another run is writing it"), claimed(place):
            pass
        assert place.is_dir()
    finally:
        first.kill()
        first.communicate()
    with claimed(place):
        (place / "x").touch()
        with pytest.raises(BusyError), claimed(f"{tmp_path}/deep/../deep/out"):
            pass
    with claimed(place):
        pass
    assert os.listdir(place) == ["x"]


def test_a_folder_that_got_nothing_is_not_left(tmp_path):
    with pytest.raises(ValueError), claimed(tmp_path / "deep" / "out"):
        raise ValueError
    assert os.listdir(tmp_path) == []
    (tmp_path / "empty").mkdir()
    with claimed(tmp_path / "empty"):
        pass
    assert os.listdir(tmp_path) == ["empty"]
    (tmp_path / "file").touch()
    for wrong in ("file", "file/out"):
        with pytest.raises(FileError, match="file"), claimed(tmp_path / wrong):
            pass


def without_locks(monkeypatch, kind):
    if kind == "windows":
        monkeypatch.setattr(files, "fcntl", None)
        return

    def flock(descriptor, how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(files.fcntl, "flock", flock)


@pytest.mark.parametrize("kind", ["windows", pytest.param("network", marks=needs_locks)])
def test_where_there_are_no_locks_two_do_not_write_into_one_file(old, monkeypatch, kind):
    without_locks(monkeypatch, kind)
    with replacing(old) as here:
        here.write_text("here")
        with monkeypatch.context() as patch:
            patch.setattr(os, "getpid", lambda: -1)
            with replacing(old) as there:
                there.write_text("there")
        assert old.read_text() == "there"
    assert old.read_text() == "here"
    with claimed(old.parent), claimed(old.parent):
        pass
    with files.open_alone(old) as one, files.open_alone(old) as two:
        assert one.read() == two.read() == b"here"


@needs_locks
def test_what_dead_processes_have_left_under_their_numbers_goes(old):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    kept = [".y.txt.{}.tmp", ".x.txt.{}.tmp.gz", ".x.txt.{}x.tmp"]
    for name in (".x.txt.{}.tmp", *kept):
        (old.parent / name.format(dead.pid)).touch()
    (old.parent / f".x.txt.{os.getpid()}.tmp").touch()
    write_text(old, "new")
    names = ["x.txt", f".x.txt.{os.getpid()}.tmp", *(name.format(dead.pid) for name in kept)]
    assert sorted(os.listdir(old.parent)) == sorted(names)


def test_a_link_in_the_place_of_the_temporary_file_is_not_followed(old):
    (old.parent / "precious").write_text("mine")
    (old.parent / ".x.txt.tmp").symlink_to("precious")
    write_text(old, "new")
    assert (old.parent / "precious").read_text() == "mine" and old.read_text() == "new"


def test_a_link_stays_one(old):
    """What it leads to is replaced, beside which the temporary file stands."""
    folder = old.parent / "elsewhere"
    folder.mkdir()
    link = folder / "link.txt"
    link.symlink_to(old)
    with replacing(link) as temporary:
        assert temporary.parent == old.parent
        temporary.write_text("new")
    assert link.is_symlink() and old.read_text() == "new" and os.listdir(folder) == ["link.txt"]


def test_a_file_is_on_the_disk_before_its_name_and_the_name_before_the_end(old, monkeypatch):
    order, fsync, replace = [], os.fsync, os.replace

    def synced(descriptor):
        order.append("folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", lambda a, b: (order.append("name"), replace(a, b)))
    write_text(old, "new")
    assert [one for one in order if one != "folder"] == ["file", "name"]
    if os.path.isdir("/proc/self/fd"):
        assert order == ["file", "name", "folder"]
        make_folder(old.parent / "a" / "b")
        assert order[3:] == ["folder"] * 2
    order.clear()
    with replacing(old, durable=False) as temporary:
        temporary.write_text("newer")
    assert order == ["name"]


def test_a_file_system_that_cannot_sync_a_folder(old, monkeypatch):
    def fsync(descriptor):
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", fsync)
    write_text(old, "new")
    assert old.read_text() == "new"


def test_what_cannot_be_brought_to_the_disk_takes_no_place(old, monkeypatch):
    def fsync(descriptor):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(FileError, match=r"x\.txt: Input/output error"):
        write_text(old, "new")
    unchanged(old)


def test_set_aside(old):
    assert set_aside(old) == f"{old}.1"
    old.write_text("second")
    assert set_aside(old) == f"{old}.2"
    assert (old.parent / "x.txt.1").read_text() == "old"


def test_what_json_cannot_say_is_null():
    assert [json_number(value) for value in (1.5, math.nan, math.inf, -math.inf)] == [1.5, None, None, None]


def test_an_output_that_is_an_input_is_refused(tmp_path):
    given = tmp_path / "given.csv"
    given.write_text("mine")
    (tmp_path / "link.csv").symlink_to(given)
    os.link(given, tmp_path / "hard.csv")
    for name in ("given.csv", "link.csv", "hard.csv", "./given.csv"):
        with pytest.raises(FileError, match="is an input, and would be replaced"):
            refuse_inputs(f"{tmp_path}/{name}", None, tmp_path / "none.csv", given)
    refuse_inputs(tmp_path / "new.csv", given)
    refuse_inputs(None, None)
    with pytest.raises(FileError):
        refuse_inputs("new.csv", "new.csv")  # not there yet, but the same


# JSON that somebody else has written


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (b"", "Expecting value"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b'{"a": 1, "b": 2, "a": 3}', "the name 'a' twice"),
        (b"\xff\xfe[\x00", "utf-8"),
        (b"[1] 2", "Extra data"),
    ],
)
def test_json_that_is_none(tmp_path, text, cause):
    path = tmp_path / "x.json"
    path.write_bytes(text)
    with pytest.raises(TeacherError, match=cause) as info:
        read_json(path, TeacherError)
    assert str(info.value).startswith(f"{path}: is not JSON: ") and "\n" not in str(info.value)


def test_json_with_a_byte_order_mark_and_huge_numbers(tmp_path):
    (tmp_path / "x.json").write_bytes(b"\xef\xbb\xbf[1e999, 1" + b"0" * 5000 + b", 999999999999999999]")
    assert read_json(tmp_path / "x.json") == [math.inf, math.inf, 999_999_999_999_999_999]
    with pytest.raises(FileError, match="No such file"):
        read_json(tmp_path / "y.json")


def test_pipes_are_refused_where_a_file_is_read_twice(tmp_path):
    (tmp_path / "file").touch()
    refuse_pipes(tmp_path / "file")
    refuse_pipes(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", os.devnull):
        with pytest.raises(FileError, match="not a regular file"):
            refuse_pipes(path)


def test_a_pipe_that_nobody_writes_to_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_PATIENCE", 50)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="nobody writes to"):
        open(tmp_path / "pipe", opener=files.patient)  # noqa: SIM115
    monkeypatch.setattr(files, "_PATIENCE", 5000)
    writing = threading.Timer(0.1, (tmp_path / "pipe").write_text, args=("x" * 100_000,))
    writing.start()
    with open(tmp_path / "pipe", opener=files.patient) as file:
        assert len(file.read()) == 100_000
    writing.join()


@pytest.mark.parametrize("where", ["_clear", "_lock"])
def test_interrupted_before_the_block_nothing_is_left(old, monkeypatch, where):
    function, calls = getattr(files, where), []

    def once(*args, **kwargs):
        calls.append(args)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return function(*args, **kwargs)

    monkeypatch.setattr(files, where, once)
    with pytest.raises(KeyboardInterrupt), replacing(old):
        pass
    unchanged(old)


class TestWeightsFile:
    def test_shipped_weights_have_a_name_and_are_the_default(self):
        assert weights_file("acdnet") == weights_file() == str(resource("weights", "acdnet.npz"))

    @pytest.mark.parametrize("named", ["dog", "acdnet.npz", "./acdnet", b"acdnet", Path("acdnet")])
    def test_a_file_is_itself(self, named):
        assert weights_file(named) == named

    def test_a_run_of_that_name_is_no_file(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "acdnet").mkdir()
        assert weights_file("acdnet") == weights_file()

    def test_a_file_here_goes_first(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "acdnet").write_text("")
        assert weights_file("acdnet") == "acdnet"
        assert weights_file() == str(resource("weights", "acdnet.npz"))
