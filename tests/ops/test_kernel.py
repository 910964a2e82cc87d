"""Lazy compilation: where kernels are cached, what happens where they cannot be, life without Numba."""

import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
from ops_support import needs_numba

from acdref.ops import kernel

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def fresh_choice(monkeypatch):
    """No choice of folder is remembered from or for other tests."""
    for name in ("ACDREF_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    kernel._cache.cache_clear()
    yield
    kernel._cache.cache_clear()


def test_own_variable_comes_first(monkeypatch, tmp_path):
    monkeypatch.setenv("ACDREF_CACHE_DIR", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    folder = kernel.cache_directory()
    assert folder.is_dir()
    assert folder.parent == tmp_path / "own"
    assert not (tmp_path / "xdg").exists()


def test_xdg_then_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert kernel.cache_directory().parent == tmp_path / "home" / ".cache" / "acdref"
    kernel._cache.cache_clear()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert kernel.cache_directory().parent == tmp_path / "xdg" / "acdref"


def test_folder_belongs_to_the_version_of_the_source(monkeypatch, tmp_path):
    """Numba does not see a change in what a kernel calls: another source, another folder."""
    monkeypatch.setenv("ACDREF_CACHE_DIR", str(tmp_path))
    source = tmp_path / "ops"
    source.mkdir()
    monkeypatch.setattr(kernel, "__file__", str(source / "kernel.py"))
    names = []
    for text in ("a = 1\n", "a = 2\n", "a = 1\n"):
        (source / "conv.py").write_text(text)
        kernel._cache.cache_clear()
        names.append(kernel.cache_directory().name)
    assert names[0] == names[2] != names[1]


def test_no_folder_where_none_can_be_written(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("ACDREF_CACHE_DIR", str(tmp_path / "file"))
    assert kernel.cache_directory() is None


def ran(code, **environment):
    """What Python code has printed to stdout and stderr in a new process, from the project's root."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT, env=os.environ | {"ACDREF_NUM_THREADS": "1"} | environment,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr


def run(code, **environment):
    return ran(code, **environment)[0]


PRELU = (
    "import numpy as np\n"
    "from acdref.ops.activation import prelu\n"
    "print(prelu(np.array([[-2.0, 3.0]]), np.array([0.5, 0.5]), backend='numba').tolist())\n"
)


@needs_numba
def test_kernels_are_cached_and_read_again(tmp_path):
    cache = str(tmp_path / "cache")
    assert run(PRELU, ACDREF_CACHE_DIR=cache) == "[[-1.0, 3.0]]"
    compiled = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nbc")}
    assert compiled
    assert run(PRELU, ACDREF_CACHE_DIR=cache) == "[[-1.0, 3.0]]"
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nbc")} == compiled


@needs_numba
def test_what_is_only_loaded_does_not_make_numba_ready_to_compile(tmp_path):
    """That would import SciPy and more, and take longer than the kernels; and compiling works behind it."""
    code = PRELU + "import sys; print('numba.np.linalg' in sys.modules)\n"
    both = [run(code, ACDREF_CACHE_DIR=str(tmp_path)).split()[-1] for _ in range(2)]
    assert both == ["True", "False"]
    pytest.importorskip("scipy")  # by which Numba compiles the product that follows
    code += "import numba; print(numba.njit(lambda a: a.dot(a).sum())(np.ones((2, 2))))"
    assert run(code, ACDREF_CACHE_DIR=str(tmp_path)).split()[-2:] == ["False", "8.0"]


@needs_numba
def test_works_without_a_cache(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    out, told = ran(PRELU, ACDREF_CACHE_DIR=str(tmp_path / "file"))
    assert out == "[[-1.0, 3.0]]"
    assert told.count("\n") == 1 and "file/kernels-" in told and "compiled, and not kept" in told
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@needs_numba
@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="has no such owners and modes")
@pytest.mark.parametrize("place", [".", "kernels-*"])
@pytest.mark.parametrize("mode", [0o777, 0o775, "owner"])
def test_a_cache_that_others_can_write_is_not_used(tmp_path, place, mode):
    """It holds code: pickles, and what the processor runs."""
    cache = tmp_path / "cache"
    run(PRELU, ACDREF_CACHE_DIR=str(cache))
    (folder,) = tmp_path.glob(f"cache/{place}")
    if mode == "owner":
        if os.geteuid() != 0:
            pytest.skip("takes root")
        os.chown(folder, 12345, -1)
    else:
        folder.chmod(mode)
    for path in tmp_path.rglob("*.nb?"):
        path.write_bytes(b"cos\nsystem\n(S'echo planted'\ntR.")
    out, told = ran(PRELU, ACDREF_CACHE_DIR=str(cache))
    assert out == "[[-1.0, 3.0]]"
    assert told.count("\n") == 1 and f"{folder}: others can write there" in told


@needs_numba
def test_two_processes_may_compile_at_once(tmp_path):
    command = [sys.executable, "-c", PRELU]
    environment = os.environ | {"ACDREF_CACHE_DIR": str(tmp_path)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    both = [subprocess.Popen(command, cwd=ROOT, env=environment, **pipes) for _ in range(3)]
    for process in both:
        out, told = process.communicate(timeout=120)
        assert (process.returncode, out, told) == (0, "[[-1.0, 3.0]]\n", "")
    assert ran(PRELU, ACDREF_CACHE_DIR=str(tmp_path))[1] == ""


@needs_numba
def test_numba_that_shall_compile_nothing_means_numpy():
    code = (
        "import numpy as np\n"
        "from acdref.nets import ACDNet\n"
        "from acdref.ops import kernel\n"
        "from acdref.predict.backend import Adaptive\n"
        "net = Adaptive(ACDNet(), 'numba').net\n"
        "print(kernel.available(), kernel.problem(), ACDNet().backend, net.backend)\n"
    )
    out, told = ran(code, NUMBA_DISABLE_JIT="1")
    assert out == "False NUMBA_DISABLE_JIT is set numpy numpy"
    assert told == "acdref: NUMBA_DISABLE_JIT is set: NumPy does the work\n"
    for nothing in ("0", "", "perhaps"):
        code = "from acdref.ops import kernel\nprint(kernel.available(), kernel.disabled())"
        assert run(code, NUMBA_DISABLE_JIT=nothing) == "True False"


@needs_numba
def test_a_kernel_and_its_plain_function():
    @kernel.kernel
    def add(x, y):
        for i in range(x.size):
            y[i] += x[i]

    assert add.__name__ == "add"
    y = np.ones(3)
    add.function(np.arange(3.0), y)
    add(np.arange(3.0), y)
    np.testing.assert_array_equal(y, [1, 3, 5])


@needs_numba
def test_kernels_compile_once_for_written_and_computed_numbers(monkeypatch, tmp_path):
    monkeypatch.setenv("ACDREF_CACHE_DIR", str(tmp_path))
    inner = kernel.compile_function(lambda x, i: x + i)
    outer = kernel.compile_function(lambda i: inner(3, 0) + inner(2, 1) + inner(i, i))
    assert outer(5) == 16
    assert len(inner.signatures) == 1


def test_importing_the_operations_imports_no_numba():
    assert run("import sys, acdref.nets, acdref.ops.attention; print('numba' in sys.modules)") == "False"


def test_without_numba():
    """Numba absent: NumPy is chosen, everything works."""
    code = (
        "import importlib.util, numpy as np\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *a: None if name == 'numba' else find(name, *a)\n"
        "from acdref.nets import ACDNet\n"
        "from acdref.ops.kernel import available\n"
        "net = ACDNet()\n"
        "print(available(), net.backend, net.predict_proba(np.zeros((1, 130, 257, 2))).shape)\n"
    )
    assert run(code) == "False numpy (1, 11)"


def versions(**replaced):
    """A version of any distribution, for `importlib.metadata.version`."""
    return lambda name: replaced.get(name, "1.0")


@pytest.fixture
def marks(monkeypatch, tmp_path):
    """A fresh folder of kernels, with a Numba 1.0 as far as marks see."""
    monkeypatch.setenv("ACDREF_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr("importlib.metadata.version", versions())


def test_marks_of_compiled_kernels(marks):
    assert not kernel.is_warm("job")
    kernel.mark_warm("job")
    assert kernel.is_warm("job")
    assert not kernel.is_warm("other job")
    kernel.mark_warm("job")
    assert kernel.is_warm("job")


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("importlib.metadata.version", versions(numba="1.1")),
        ("platform.python_version", lambda: "3.99.0"),
        ("acdref.ops.kernel._processor", lambda: "another processor"),
    ],
)
def test_mark_belongs_to_versions_and_processor(marks, monkeypatch, name, other):
    kernel.mark_warm("job")
    monkeypatch.setattr(name, other)
    assert not kernel.is_warm("job")


@pytest.mark.parametrize("name", ["NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES"])
def test_mark_belongs_to_the_processor_that_numba_is_told(marks, monkeypatch, name):
    kernel.mark_warm("job")
    monkeypatch.setenv(name, "haswell")
    assert not kernel.is_warm("job")


def test_processor_is_described_by_what_lasts():
    first = kernel._processor()
    assert first.strip() and first == kernel._processor()
    assert "mhz" not in first.lower()


def test_no_mark_where_none_can_be_written(marks, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("ACDREF_CACHE_DIR", str(tmp_path / "file"))
    kernel.mark_warm("job")
    assert not kernel.is_warm("job")


def test_no_mark_without_numba(marks, monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.version", missing)
    kernel.mark_warm("job")
    assert not kernel.is_warm("job")


def test_problem_says_what_to_install(monkeypatch):
    monkeypatch.setattr(kernel, "available", lambda: False)
    assert "pip install" in kernel.problem()


def test_problem_of_a_numba_that_does_not_fit(monkeypatch):
    """Numba refuses a NumPy that is too new when it is imported."""
    monkeypatch.setattr(kernel, "available", lambda: True)
    monkeypatch.setitem(sys.modules, "numba", None)  # makes the import fail
    assert kernel.problem().startswith("Numba cannot be imported (import of numba halted")
