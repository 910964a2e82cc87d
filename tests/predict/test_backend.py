"""When "auto" changes from NumPy to Numba, and what happens where Numba is missing or broken."""

from types import SimpleNamespace

import numpy as np
import pytest
from predict_support import TINY, noise

from acdref.errors import AcdrefError
from acdref.nets import ACDNet, Conv1DConfig
from acdref.ops import kernel
from acdref.predict import backend
from acdref.predict.backend import COMPILING_PAYS, LOADING_PAYS, Adaptive
from acdref.predict.scoring import score_samples

TEN_SECONDS = np.zeros((1, 625, 1, 2), np.float32)  # 625 frames of 16 ms


class Recorder:
    """A network that remembers the backend of each call."""

    def __init__(self):
        self.config = SimpleNamespace(attention="linear")
        self.backend = "unset"
        self.calls = []

    def predict_proba(self, x):
        self.calls.append(self.backend)
        return np.zeros((len(x), 1))


@pytest.fixture
def machine(monkeypatch):
    """Numba as this test wants it: `installed`, `works`; `warm` has the sets of kernels that are compiled."""
    machine = SimpleNamespace(installed=True, works=True, warm=set(), imports=0)

    def problem():
        machine.imports += 1
        return None if machine.installed and machine.works else "it is broken"

    monkeypatch.setattr(kernel, "available", lambda: machine.installed)
    monkeypatch.setattr(kernel, "is_warm", lambda job: job in machine.warm)
    monkeypatch.setattr(kernel, "mark_warm", machine.warm.add)
    monkeypatch.setattr(kernel, "problem", problem)
    return machine


def backends(count, **options):
    """The backend of each of so many calls with 10 s of sound."""
    net = Recorder()
    adaptive = Adaptive(net, **options)
    for _ in range(count):
        adaptive.predict_proba(TEN_SECONDS)
    return net.calls


def test_short_job_is_done_by_numpy_without_a_look_at_numba(machine):
    machine.warm = {"inference-linear"}
    assert backends(LOADING_PAYS // 10) == ["numpy"] * 5
    assert machine.imports == 0


def test_compiled_kernels_are_used_once_loading_pays(machine):
    machine.warm = {"inference-linear"}
    assert backends(8) == ["numpy"] * 5 + ["numba"] * 3


def test_kernels_are_compiled_once_that_pays(machine):
    assert backends(COMPILING_PAYS // 10 + 2) == ["numpy"] * 30 + ["numba"] * 2
    assert machine.warm == {"inference-linear"}


def test_the_next_job_finds_them_compiled(machine):
    backends(31)
    assert backends(6) == ["numpy"] * 5 + ["numba"]


def test_nothing_is_marked_as_compiled_by_numpy(machine):
    backends(30)
    backends(3, backend="numpy")
    assert machine.warm == set()


def test_kernels_of_another_attention_are_others(machine):
    machine.warm = {"inference-separable"}
    assert backends(7) == ["numpy"] * 7


def test_sound_counts_not_calls(machine):
    machine.warm = {"inference-linear"}
    net = Recorder()
    adaptive = Adaptive(net)
    for x in (np.zeros((2, 625, 1, 2)), np.zeros((1, 1875, 1, 2)), TEN_SECONDS):
        adaptive.predict_proba(x)
    assert net.calls == ["numpy", "numpy", "numba"]


def test_sound_of_other_front_ends_counts_in_seconds_too(machine):
    """80 000 samples at 8 kHz are as much sound as 625 frames of 16 ms, and the kernels are others."""
    machine.warm = {"inference-Conv1DConfig"}
    net = Recorder()
    net.config, net.front_end = Conv1DConfig(), "waveform"
    adaptive = Adaptive(net)
    assert adaptive.front_end == "waveform"
    for _ in range(7):
        adaptive.predict_proba(np.zeros((1, 80_000)))
    assert net.calls == ["numpy"] * 5 + ["numba"] * 2


def test_without_numba(machine):
    machine.installed = False
    assert backends(100) == ["numpy"] * 100


@pytest.mark.parametrize("warm", [set(), {"inference-linear"}])
def test_broken_numba_is_no_reason_to_stop(machine, warm):
    machine.works, machine.warm = False, warm
    said = []
    assert backends(70, say=said.append) == ["numpy"] * 70
    assert said == ["continuing with NumPy: it is broken"]
    assert machine.imports == 1


def test_changes_are_announced(machine):
    said = []
    backends(70, say=said.append)
    backends(70, say=said.append)
    assert said == ["compiling kernels (once on this machine)", "loading compiled kernels"]


@pytest.mark.parametrize("name", ["numpy", "numba"])
def test_named_backend_is_kept(machine, name):
    machine.warm = {"inference-linear"}
    assert backends(70, backend=name) == [name] * 70


def test_numba_by_name_where_it_is_missing(machine):
    machine.installed = False
    with pytest.raises(AcdrefError, match="the numba backend cannot be used: it is broken"):
        Adaptive(Recorder(), "numba")


def test_unknown_backend():
    with pytest.raises(ValueError, match="auto, numpy, numba"):
        Adaptive(Recorder(), "torch")


def test_descriptions(machine):
    config = Recorder().config
    name, reason = backend.describe(config)
    assert name == "numba" and f"after {COMPILING_PAYS} s" in reason and "not yet compiled" in reason
    machine.warm = {"inference-linear"}
    name, reason = backend.describe(config)
    assert name == "numba" and f"after {LOADING_PAYS} s" in reason and "not yet" not in reason
    machine.installed = False
    assert backend.describe(config) == ("numpy", "it is broken")


def test_backends_agree():
    pytest.importorskip("numba")
    x = noise(10)
    a, b = (score_samples(Adaptive(ACDNet(TINY, seed=1), name), x) for name in ("numpy", "numba"))
    np.testing.assert_allclose(a, b, atol=2e-6, rtol=0)
