"""Compiled kernels on the disk: whatever happens to their files, the right kernel runs."""

import errno
import itertools
import os
from pathlib import Path

import pytest
from ops_support import needs_numba

from acdref.ops import kernel

pytestmark = needs_numba

# Numba's, which get into a kernel's file: of as many digits each, or the files' lengths differ by chance.
NUMBERS = itertools.count(10_000)


@pytest.fixture(autouse=True)
def fresh_choice(monkeypatch, tmp_path):
    """A folder of this test's own, and nothing said before."""
    monkeypatch.setenv("ACDREF_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(kernel, "_told", set())
    if kernel.available():
        monkeypatch.setattr("numba.core.bytecode.FunctionIdentity._unique_ids", NUMBERS)
    kernel._cache.cache_clear()
    yield
    kernel._cache.cache_clear()


def twice(x):
    return x * 2


def damage(path, kind):
    text = path.read_bytes()
    if kind == "folder":
        path.unlink()
        path.mkdir()
    elif kind == "unreadable":
        path.chmod(0)
    else:
        middle = len(text) // 2
        bit = text[:middle] + bytes([text[middle] ^ 4]) + text[middle + 1 :]
        kinds = {"empty": b"", "cut": text[:100], "bit": bit, "more": text + b"0", "zeros": bytes(len(text))}
        path.write_bytes(kinds[kind])


@pytest.mark.parametrize("ending", ["nbi", "nbc"])
@pytest.mark.parametrize("kind", ["empty", "cut", "bit", "more", "zeros", "folder", "unreadable"])
def test_damaged_kernels_are_compiled_anew(tmp_path, capfd, kind, ending):
    if kind == "unreadable" and hasattr(os, "geteuid") and os.geteuid() == 0:
        pytest.skip("root reads everything")
    first = kernel.compile_function(twice)
    assert first(2.5) == 5 and capfd.readouterr().err == ""
    (path,) = tmp_path.rglob(f"*.{ending}")
    whole = path.read_bytes()
    damage(path, kind)
    again = kernel.compile_function(twice)
    assert again(2.5) == 5 and not again.stats.cache_hits
    told = capfd.readouterr().err.splitlines()
    assert str(path) in told[0] and "compiled anew" in told[0] and len(told) == 1
    if kind != "folder":
        assert path.read_bytes()[:32] != bytes(32) and len(path.read_bytes()) == len(whole)
        third = kernel.compile_function(twice)
        assert third(2.5) == 5 and third.stats.cache_hits and capfd.readouterr().err == ""
    assert not list(tmp_path.rglob("*.tmp"))


def test_kernels_of_two_kinds_of_numbers_keep_apart(tmp_path):
    """Also when one's file is in the other's place: the check sum covers the name."""
    first = kernel.compile_function(twice)
    assert (first(2.5), first(2)) == (5, 4)
    one, two = tmp_path.rglob("*.nbc")
    one.write_bytes(two.read_bytes())
    again = kernel.compile_function(twice)
    assert (again(2.5), again(2)) == (5, 4) and sum(again.stats.cache_hits.values()) == 1


def test_where_kernels_cannot_be_kept(tmp_path, monkeypatch, capfd):
    """A full disk, or a folder that is read only: said once."""
    before = kernel.compile_function(twice)
    assert before(2.5) == 5

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    compiled = kernel.compile_function(twice)
    assert compiled(2.5) == 5 and compiled.stats.cache_hits  # what is there serves
    assert compiled(2) == 4
    told = capfd.readouterr().err
    assert told.count("\n") == 1 and "No space left on device: compiled kernels are not kept" in told
    assert not list(tmp_path.rglob("*.tmp"))


def test_what_numba_itself_is_told_of_folders_does_not_matter(tmp_path, monkeypatch):
    import numba

    monkeypatch.setattr(numba.config, "CACHE_DIR", "/nowhere")
    monkeypatch.setattr(numba.config, "CACHE_LOCATOR_CLASSES", "nowhere.Nothing", raising=False)
    compiled = kernel.compile_function(twice)
    assert compiled(1) == 2
    assert len(list(tmp_path.rglob("*.nbc"))) == 1 and numba.config.CACHE_DIR == "/nowhere"


def test_what_cannot_be_understood_is_compiled_anew(tmp_path, monkeypatch, capfd):
    from numba.core.compiler import CompileResult

    first = kernel.compile_function(twice)
    assert first(2.5) == 5

    def fail(*arguments):
        raise EOFError

    monkeypatch.setattr(CompileResult, "_rebuild", fail)
    again = kernel.compile_function(twice)
    assert again(2.5) == 5
    assert "EOFError: its kernels are compiled anew\n" in capfd.readouterr().err
