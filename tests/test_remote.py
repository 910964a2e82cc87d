"""Addresses, their copies in the spool, and what a store on this machine makes of faults."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from store_support import BUCKET, s3_door, spooling

from acdref import files, remote
from acdref.errors import AcdrefError, FileError
from acdref.remote import (
    Address,
    StoreError,
    ahead,
    here,
    join,
    listing,
    plain,
    refuse_unwritable,
    send,
    stamp,
)
from acdref.tables.manifest import open_recordings
from acdref.tables.walk import find_audio

fsspec = pytest.importorskip("fsspec")
OBJECT = f"s3://{BUCKET}/x/sound.bin"
CONTENT = bytes(range(256)) * 1000


@pytest.fixture(scope="module")
def s3():
    """A door before a store of S3, with one object."""
    with s3_door() as door:
        fsspec.filesystem("s3").pipe_file(OBJECT, CONTENT)
        yield door


@pytest.fixture
def door(s3):
    s3.faults.clear()
    s3.seen.clear()
    return s3


@pytest.fixture(autouse=True)
def spool(tmp_path):
    with spooling(tmp_path) as folder:
        yield folder


@pytest.fixture
def memory():
    """The store in memory, empty."""
    store = fsspec.filesystem("memory")
    store.store.clear()
    store.pseudo_dirs[:] = [""]
    yield store
    store.store.clear()


def read(path, age=0):
    return Path(here(path, age)).read_bytes()


# What an address is


@pytest.mark.parametrize(
    "path", ["a.wav", "C:\\a.wav", "C:/a.wav", "c://a", "csv:out", "/s3://b", "file:///a", ""]
)
def test_paths_are_no_addresses(path):
    assert not remote.is_address(path)


@pytest.mark.parametrize("path", ["s3://b/a", "S3://b/a", "memory://a", "https://host/a?b=c", "git+ssh://x"])
def test_addresses(path):
    assert remote.is_address(path) and remote.is_address(Address(path))


def test_file_is_another_spelling_of_a_path(tmp_path):
    (tmp_path / "a #?%é.txt").write_text("whole")
    address = (tmp_path / "a #?%é.txt").as_uri()
    assert read(address) == b"whole"
    assert plain(address) == str(tmp_path / "a #?%é.txt")
    with pytest.raises(FileError, match="another machine"):
        plain("file://host/a")


@pytest.mark.parametrize(
    ("folder", "name", "expected"),
    [
        ("s3://b", "a.wav", "s3://b/a.wav"),
        ("s3://b/x/", "y/a.wav", "s3://b/x/y/a.wav"),
        ("s3://b/x//y", "a.wav", "s3://b/x//y/a.wav"),  # an empty name is a name
        ("s3://b/x", "./../a.wav", "s3://b/a.wav"),
        ("s3://b/x", "s3://c/a.wav", "s3://c/a.wav"),
        ("s3://b/x", "/sounds/a.wav", "/sounds/a.wav"),
        ("sounds", "memory://a.wav", "memory://a.wav"),
        ("sounds", "a.wav", os.path.join("sounds", "a.wav")),
        ("file:///sounds", "a.wav", os.path.join(plain("file:///sounds"), "a.wav")),
        ("memory://", "a.wav", "memory://a.wav"),
    ],
)
def test_join(folder, name, expected):
    assert join(folder, name) == expected


def test_the_same_object():
    one = remote.canonical("s3://bucket/x.csv")
    assert one == remote.canonical("S3A://bucket/x.csv") == remote.canonical("s3://bucket/x.csv/")
    assert one not in map(remote.canonical, ("s3://Bucket/x.csv", "s3://bucket//x.csv", "gs://bucket/x.csv"))
    with pytest.raises(FileError, match="is an input"):
        files.refuse_inputs("s3a://bucket/x.csv", "other.csv", "s3://bucket/x.csv")
    files.refuse_inputs("s3://bucket/x.csv", "x.csv", "s3://bucket/y.csv")


def test_a_run_asks_an_address_what_it_asks_a_path(memory):
    run = files.place("memory://runs/1")
    memory.pipe_file("/runs/1/last.npz", b"x")
    assert (run / "last.npz").exists() and not (run / "best.npz").exists()
    assert (run / "last.npz").parent == run == "memory://runs/1"


# Reading and writing


def test_copies_are_made_once_and_follow_their_object(memory, spool):
    memory.pipe_file("/b/a", b"old")
    assert read("memory://b/a") == b"old"
    first = stamp("memory://b/a")
    assert here("memory://b/a") == here("memory://b/a") and len(os.listdir(spool)) == 1
    memory.pipe_file("/b/a", b"new!")
    assert read("memory://b/a") == b"new!"
    assert stamp("memory://b/a") != first
    memory.pipe_file("/b/a", b"newer")
    assert read("memory://b/a", age=100) == b"new!"  # asked for what was looked at


def test_the_spool_is_bounded(memory, spool, monkeypatch):
    monkeypatch.setenv("ACDREF_SPOOL_MB", "1")
    for i in range(6):
        memory.pipe_file(f"/{i}", bytes([i]) * 300_000)
        assert read(f"memory://{i}") == bytes([i]) * 300_000
        os.utime(here(f"memory://{i}"), (i, i))
    left = {(spool / name).read_bytes()[0] for name in os.listdir(spool)}
    assert left == {3, 4, 5}  # the last used
    memory.pipe_file("/large", bytes(2_000_000))
    assert len(read("memory://large")) == 2_000_000
    assert len(os.listdir(spool)) == 1


def test_the_spool_keeps_what_is_not_its_own(memory, spool, monkeypatch):
    monkeypatch.setenv("ACDREF_SPOOL_MB", "0")
    os.makedirs(spool)
    for name, age in (("mine.wav", 10**9), ("new.tmp", 0), ("old.tmp", 10**9)):
        (spool / name).write_bytes(b"x")
        os.utime(spool / name, (time.time() - age,) * 2)
    memory.pipe_file("/a", b"a")
    here("memory://a")
    assert {name for name in os.listdir(spool) if len(name) < 40} == {"mine.wav", "new.tmp"}


@pytest.mark.skipif(remote.fcntl is None, reason="locks")
def test_a_spool_of_its_own_ends_with_the_process(tmp_path):
    code = "from acdref import remote; import os, sys; print(remote.spool(), flush=True); sys.stdin.read()"
    left = tmp_path / "acdref-spool-left"
    for folder in (left, tmp_path / "acdref-spool-new", tmp_path / "other"):
        folder.mkdir()
        (folder / "lock").write_bytes(b"")
    for folder in (left, tmp_path / "other"):
        os.utime(folder, (0, 0))
    variables = {name: value for name, value in os.environ.items() if name != "ACDREF_SPOOL_DIR"}
    how = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = [sys.executable, "-c", code]
    with subprocess.Popen(process, env=variables | {"TMPDIR": str(tmp_path)}, **how) as first:
        own = first.stdout.readline().strip()
        os.utime(own, (0, 0))
        with subprocess.Popen(process, env=variables | {"TMPDIR": str(tmp_path)}, **how) as second:
            second.stdout.readline()
            assert os.path.isdir(own) and not left.exists()  # one is at work, the other was killed
            second.stdin.close()
        first.stdin.close()
    assert {path.parent.name for path in tmp_path.glob("*/lock")} == {"acdref-spool-new", "other"}
    assert not os.path.exists(own)


def test_folders_are_walked_in_the_order_of_this_machine(memory, tmp_path):
    names = ("b.wav", "a/z.flac", "a/b/1.wav", "a.b/2.wav", "c.txt", ".x/3.wav", "a/.4.wav", "B.wav")
    for name in names:
        memory.pipe_file(f"/{name}", b"x")
        (tmp_path / "walk" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "walk" / name).write_bytes(b"x")
    there, here = (list(find_audio(root, None)) for root in ("memory://", str(tmp_path / "walk")))
    assert there == [join("memory://", os.path.relpath(path, tmp_path / "walk")) for path in here]
    assert open_recordings("memory://").paths == open_recordings(tmp_path / "walk").paths
    assert open_recordings("memory://a/").paths == ("b/1.wav", "z.flac")


def test_written_whole_or_not_at_all(memory, spool):
    with files.replacing("memory://out/x.csv") as temporary:
        temporary.write_text("whole")
        assert not memory.exists("/out/x.csv")
    assert memory.cat_file("/out/x.csv") == b"whole"
    with pytest.raises(ZeroDivisionError), files.replacing("memory://out/x.csv") as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert memory.cat_file("/out/x.csv") == b"whole" and not os.listdir(spool)
    files.write_text("memory://out/y.json", '{"a": 1}')
    assert files.read_json("memory://out/y.json") == {"a": 1}
    files.write_text("memory://out/y.json", "new")
    assert read("memory://out/y.json", age=100) == b"new"


@pytest.mark.parametrize("way", ["get_file", "put_file"])
def test_half_an_object_is_noticed(memory, way, monkeypatch, tmp_path):
    """Where a store's package does not."""
    whole, times = getattr(memory, way), []

    def half(source, target, **more):
        times.append(whole(source, target, **more))
        if len(times) == 1 and way == "get_file":
            os.truncate(target, 2)
        elif len(times) == 1:
            memory.pipe_file(target, b"ab")

    monkeypatch.setattr(type(memory), way, lambda self, *given, **more: half(*given, **more))
    (tmp_path / "file").write_bytes(b"abcd")
    send(tmp_path / "file", "memory://x")
    assert read("memory://x") == b"abcd" and len(times) == 2


def test_what_goes_with_a_file_lies_on_this_machine(tmp_path):
    assert files.beside("out.npz", ".part") == "out.npz.part"
    one = files.beside("s3://b/out.npz", ".part")
    assert one == files.beside("s3a://b/out.npz", ".part") != files.beside("s3://c/out.npz", ".part")
    assert one.startswith(str(tmp_path / "cache")) and one.endswith("-out.npz.part")


def test_one_run_of_this_machine_in_a_folder():
    if files.fcntl is None:
        pytest.skip("no locks")
    with files.claimed("s3://b/run"), pytest.raises(files.BusyError), files.claimed("s3://b/run"):
        pass
    with files.claimed("s3://b/run"):
        pass


def test_copies_are_made_ahead(memory, monkeypatch):
    for i in range(9):
        memory.pipe_file(f"/{i}", b"x")
    taken, asked = [], []
    pairs = [(i, f"memory://{i}") for i in range(9)]

    def recordings():
        for each in [*pairs[:3], None, *pairs[3:], (9, "local.wav"), (10, None)]:
            asked.append(each)
            yield each

    for each in ahead(recordings()):
        taken.append(each)
        if each == pairs[0]:
            until = time.monotonic() + 20
            while "memory://2" not in remote._copies:
                assert time.monotonic() < until
                time.sleep(0.01)
        if each in (None, (9, "local.wav"), (10, None)):
            assert asked == taken  # nothing is asked for before it is needed
    assert taken == [*pairs[:3], None, *pairs[3:], (9, "local.wav"), (10, None)]


def test_trouble_ahead_is_told_by_who_reads(memory):
    assert list(ahead([(0, "memory://missing")])) == [(0, "memory://missing")]
    with pytest.raises(StoreError, match="no such object"):
        here("memory://missing")


# A store with S3's interface


def test_objects_and_folders(door):
    assert read(OBJECT) == CONTENT
    assert "x" in listing(f"s3://{BUCKET}")[0] and listing(f"s3://{BUCKET}/x/") == ([], ["sound.bin"])
    assert remote.is_folder(f"s3://{BUCKET}/x") and not remote.is_folder(OBJECT)
    with pytest.raises(StoreError, match="a folder of objects"):
        here(f"s3://{BUCKET}/x")


@pytest.mark.parametrize("fault", ["busy", "cut", "slow"])
def test_a_fault_passes(door, fault):
    door.faults[:] = [(fault, f"GET /{BUCKET}/x/sound.bin")]
    assert read(OBJECT) == CONTENT and not door.faults


@pytest.mark.parametrize("fault", ["busy", "cut", "slow"])
def test_a_fault_leaves_no_half_object(door, fault, tmp_path):
    address = f"s3://{BUCKET}/{fault}"
    (tmp_path / "file").write_bytes(CONTENT)
    door.faults[:] = [(fault, f"PUT /{BUCKET}/{fault}")]
    send(tmp_path / "file", address)
    assert not door.faults and read(address) == CONTENT


def test_what_cannot_be_sent_is_kept(door, tmp_path, spool):
    address = f"s3://{BUCKET}/never.csv"
    door.faults[:] = [("busy", "PUT")] * 99
    with pytest.raises(FileError, match=r"\(3 tries\); what was written is kept as ") as caught:
        files.write_text(address, "hours of work")
    assert str(caught.value).startswith(f"{address}: ")
    kept = str(caught.value).partition(" kept as ")[2]
    assert kept.startswith(str(tmp_path / "cache")) and Path(kept).read_text() == "hours of work"
    assert len([asked for asked in door.seen if asked.startswith("PUT")]) == 3
    door.faults.clear()
    assert not Address(address).exists() and not os.listdir(spool)


def test_a_busy_store_is_not_asked_for_ever(door):
    door.faults[:] = [("busy", "HEAD")] * 99
    with pytest.raises(StoreError, match=r"the store answers 503: .*\(3 tries\)") as caught:
        here(OBJECT)
    assert caught.value.filename == OBJECT and len(door.seen) == 3


@pytest.mark.parametrize(
    ("address", "code", "cause"),
    [
        (f"s3://{BUCKET}/missing", errno.ENOENT, "no such object"),
        ("s3://nowhere/missing", errno.ENOENT, "no such bucket"),
        ("memory://missing", errno.ENOENT, "no such object"),
        ("http://127.0.0.1:9/x", errno.ECONNREFUSED, r"no connection: .*\(3 tries\)"),
    ],
)
def test_refusals(door, address, code, cause):
    with pytest.raises(StoreError, match=cause) as caught:
        here(address)
    assert (caught.value.errno, caught.value.filename) == (code, address)
    if code == errno.ENOENT:
        assert len(set(door.seen)) == len(door.seen)  # asked once


@pytest.fixture
def strangers(door, monkeypatch):
    """Who opens a store from now on has other credentials."""

    def become(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)
        fsspec.get_filesystem_class("s3").clear_instance_cache()

    yield become
    monkeypatch.undo()
    fsspec.get_filesystem_class("s3").clear_instance_cache()


def test_wrong_credentials(door, strangers):
    strangers(AWS_ACCESS_KEY_ID="stranger")
    with pytest.raises(StoreError, match=r"refused \(403\)"):
        here(OBJECT)
    assert len(door.seen) == 1
    with pytest.raises(StoreError, match=r"refused \(403\): InvalidAccessKeyId"):
        listing(f"s3://{BUCKET}/x")
    with pytest.raises(FileError, match=r"refused \(403\)"):
        Address(OBJECT).exists()
    with pytest.raises(FileError, match=r"refused \(403\)"):  # before any work, not after
        refuse_unwritable(f"s3://{BUCKET}/new.csv")


def test_no_credentials_and_no_network(strangers):
    strangers(AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    with pytest.raises(StoreError, match="no credentials"):
        here(OBJECT)
    strangers(AWS_ACCESS_KEY_ID="good", AWS_SECRET_ACCESS_KEY="x", AWS_ENDPOINT_URL="http://127.0.0.1:9")
    with pytest.raises(StoreError, match=r"no connection: .*\(3 tries\)"):
        here(OBJECT)


def test_the_web_is_only_read(door):
    address = f"{door.url}/{BUCKET}/x/sound.bin"
    fsspec.filesystem("s3").chmod(OBJECT, "public-read")
    door.faults[:] = [("cut", "GET")]
    assert read(address) == CONTENT
    with pytest.raises(StoreError, match="no such object"):
        here(address + "x")
    with pytest.raises(StoreError, match="the web has no folders"):
        listing(f"{door.url}/{BUCKET}/")
    with pytest.raises(FileError, match="http:// is read only"):
        refuse_unwritable(f"{door.url}/{BUCKET}/y.csv")


@pytest.mark.parametrize(
    ("address", "cause"),
    [
        ("s3://nowhere/x.csv", "no such bucket: nowhere"),
        (f"s3://{BUCKET}/x", "a folder of objects"),
        ("ftp://host/x.csv", "ftp:// is read only"),
    ],
)
def test_where_nothing_can_be_written(door, address, cause):
    with pytest.raises(FileError, match=cause) as caught:
        refuse_unwritable(address)
    assert caught.value.path == address
    refuse_unwritable(f"s3://{BUCKET}/new/x.csv")


def test_objects_and_folders_in_place_of_each_other(door):
    refuse_unwritable(f"s3://{BUCKET}/x", folder=True)
    refuse_unwritable(f"s3://{BUCKET}/new/", folder=True)
    with pytest.raises(FileError, match=r"sound\.bin: not a folder"):
        refuse_unwritable(OBJECT, folder=True)
    with pytest.raises(FileError, match="nowhere/x: no such bucket: nowhere"):
        refuse_unwritable("s3://nowhere/x", folder=True)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    install = r"pip install 'acdref\[remote\]'"
    with pytest.raises(AcdrefError, match=f"s3://b/x: s3:// needs .* fsspec and s3fs: {install} s3fs$"):
        here("s3://b/x")
    with pytest.raises(AcdrefError, match=f"memory:// needs the packages fsspec: {install}$"):
        here("memory://x")
    assert here("local.wav") == "local.wav"


def test_an_unknown_store():
    with pytest.raises(FileError, match="fsspec does not know strange://"):
        here("strange://b/x")
    assert not remote.is_folder("https://host/x") and remote.is_folder("https://host/x/")
