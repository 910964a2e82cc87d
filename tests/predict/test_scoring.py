"""Scores of windows, recordings and manifests, by networks whose answers are known."""

import threading

import numpy as np
import pytest
from predict_support import CLASSES, TINY, Loudness, noise, write, write_damaged

from acdref.audio import decode as audio
from acdref.checkpoint import load_weights
from acdref.errors import AudioError
from acdref.features.compressed import features, frames
from acdref.features.front_ends import without_offset
from acdref.files import resource
from acdref.nets import ACDNet
from acdref.ops.threads import set_threads
from acdref.predict.backend import Adaptive
from acdref.predict.scoring import Heard, score_manifest, score_recording, score_recordings, score_samples
from acdref.tables.manifest import Manifest

TEN_SECONDS = 160_000


@pytest.mark.parametrize("n", [1, 511, 16_000, 159_999])
def test_short_sound_is_repeated_up_to_ten_seconds(n):
    x = noise(n / 16000)
    net = Loudness()
    x = without_offset(x)
    repeated = np.concatenate([x] * (TEN_SECONDS // n + 1))[:TEN_SECONDS]
    # The mean goes before the repetition: that of the last copy, which is cut, would be another one.
    expected = net.predict_proba(features(repeated)[None])[0]
    np.testing.assert_allclose(score_samples(net, x), expected, atol=1e-6)
    assert net.frames == [frames(TEN_SECONDS)] * 2


OFFSETS = (-0.1, -0.03, -0.01, -0.003, 0.003, 0.01, 0.03, 0.1, 0.5)


def sounds_like_nothing_else(seconds, rate, seed=0):
    """A tone, and noise with pauses in which it is all but silent."""
    x = noise(seconds, 0.05, seed, rate) + np.float32(1e-4)
    t = np.arange(len(x)) / rate
    return (x * (np.sin(7 * t) > 0) + 0.1 * np.sin(3000 * t) + noise(seconds, 1e-4, seed + 1, rate)).astype(
        "f4"
    )


@pytest.mark.parametrize(("seconds", "rate"), [(0.08, 16000), (1.3, 44100), (21.7, 16000), (24, 48000)])
@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_an_offset_changes_no_tag(tmp_path, seconds, rate, backend):
    """With the shipped weights, at any rate and length, in the tail and at the edges."""
    if backend == "numba":
        pytest.importorskip("numba")
    net, _ = load_weights(resource("weights", "acdnet.npz"), backend=backend)
    x = sounds_like_nothing_else(seconds, rate)
    path = write(tmp_path / "x.wav", x, rate, subtype="FLOAT")
    expected = [s.probabilities for s in score_recording(net, path)]
    for offset in OFFSETS if seconds < 20 else (-0.1, 0.003, 0.5):
        path = write(tmp_path / "x.wav", x + np.float32(offset), rate, subtype="FLOAT")
        found = [s.probabilities for s in score_recording(net, path)]
        np.testing.assert_allclose(found, expected, atol=1e-4)
        np.testing.assert_array_equal(np.greater(found, 0.5), np.greater(expected, 0.5))


def test_offsets_of_channels_change_nothing(tmp_path):
    net, x = Loudness(), np.stack([noise(3, seed=seed, rate=44100) for seed in (1, 2)], axis=1)
    (expected,) = score_recording(net, write(tmp_path / "x.wav", x, 44100, subtype="FLOAT"))
    (found,) = score_recording(net, write(tmp_path / "y.wav", x + np.float32([0.05, -0.3]), 44100))
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-5)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "DOUBLE"])
def test_an_offset_of_whole_steps_changes_nothing_in_any_format(tmp_path, subtype):
    net, x = Loudness(), np.round(noise(3) * 128) / 128
    for name, offset in (("x.wav", 0), ("y.wav", 0.25)):
        write(tmp_path / name, x + offset, subtype=subtype)
    (expected,), (found,) = (score_recording(net, tmp_path / name) for name in ("x.wav", "y.wav"))
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-5)


@pytest.mark.parametrize("n", [160_000, 160_001, 200_000])
def test_long_sound_is_scored_as_it_is(n):
    x = noise(n / 16000)
    net = Loudness()
    np.testing.assert_array_equal(
        score_samples(net, x), net.predict_proba(features(without_offset(x))[None])[0]
    )
    assert net.frames == [frames(n)] * 2


def test_a_real_network():
    net, x = ACDNet(TINY, seed=1, backend="numpy"), noise(10)
    scores = score_samples(net, x)
    assert scores.shape == (3,) and ((scores > 0) & (scores < 1)).all()
    logits, _ = net.forward(features(without_offset(x))[None])
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(-logits[0])), rtol=1e-5)


@pytest.mark.parametrize(("window", "hop"), [(10.0, None), (10.0, 4.0), (2.5, 2.5), (3.0, 5.0)])
def test_windows_of_a_recording(tmp_path, window, hop):
    path = write(tmp_path / "a.wav", noise(23.2))
    net = Loudness()
    scores = list(score_recording(net, path, window, hop))
    blocks = list(audio.blocks(path, 16000, window, hop))
    assert [(s.start, s.end) for s in scores] == [(b.start, b.end) for b in blocks]
    for s, b in zip(scores, blocks, strict=True):
        np.testing.assert_array_equal(s.probabilities, score_samples(net, b.samples))


def test_other_rates_and_channels(tmp_path):
    path = write(tmp_path / "44.wav", noise(20, rate=44100).reshape(-1, 2), 44100)
    (score,) = score_recording(Loudness(), path)
    assert (score.start, score.end) == (0.0, 10.0)
    np.testing.assert_array_equal(score.probabilities, score_samples(Loudness(), audio.load(path)))


def test_networks_get_sound_at_their_own_rate(tmp_path):
    """A second of 1 kHz at 44.1 kHz, heard at 8 kHz, repeated to 10 s."""

    class Heard:
        front_end = "waveform"

        def predict_proba(self, x):
            self.x = x
            return np.zeros((1, 3))

    tone = np.sin(2 * np.pi * 1000 * np.arange(44100) / 44100)
    net = Heard()
    (score,) = score_recording(net, write(tmp_path / "a.wav", tone, 44100))
    assert net.x.shape == (1, 80_000)
    assert (score.start, score.end) == (0.0, 1.0)
    spectrum = np.abs(np.fft.rfft(net.x[0]))
    assert spectrum.argmax() * 0.1 == pytest.approx(1000)


def test_manifest_means_over_windows(tmp_path):
    paths = ("a.wav", "sub/b.flac", "c.wav")
    for path, seconds, level in zip(paths, (4, 25, 10), (0.01, 0.1, 0.3), strict=True):
        write(tmp_path / path, noise(seconds, level))
    manifest = Manifest("m.csv", str(tmp_path), paths, np.zeros((3, 3)), CLASSES)
    calls, told = [], {}
    scores = score_manifest(
        Loudness(), manifest, progress=lambda *args: calls.append(args), on_windows=told.__setitem__
    )
    assert scores.shape == (3, 3) and list(told) == [0, 1, 2]
    assert calls == [(1, 3), (2, 3), (3, 3)]
    for path, row in zip(paths, scores, strict=True):
        windows = [s.probabilities for s in score_recording(Loudness(), tmp_path / path)]
        np.testing.assert_array_equal([s.probabilities for s in told[paths.index(path)]], windows)
        assert len(windows) == (3 if path == "sub/b.flac" else 1)
        # The windows of 25 s last 10, 10 and 5 s; a short one counts for what it holds.
        expected = windows[0] if len(windows) == 1 else 0.4 * windows[0] + 0.4 * windows[1] + 0.2 * windows[2]
        np.testing.assert_allclose(row, expected, rtol=1e-6)


def test_failures_leave_nan_and_do_not_stop(tmp_path):
    write(tmp_path / "good.wav", noise(1))
    write_damaged(tmp_path / "late.wav", good=12)
    manifest = Manifest(
        "m.csv", str(tmp_path), ("none.wav", "late.wav", "good.wav"), np.zeros((3, 3)), CLASSES
    )
    failures, calls, told = [], [], {}
    scores = score_manifest(
        Loudness(), manifest, failures.append, lambda *args: calls.append(args), told.__setitem__
    )
    assert list(told) == [2]
    assert np.isnan(scores[:2]).all() and np.isfinite(scores[2]).all()
    assert all(isinstance(error, AudioError) for error in failures)
    assert [error.path for error in failures] == [str(tmp_path / name) for name in manifest.paths[:2]]
    assert calls[-1] == (3, 3)


def test_failures_without_a_listener(tmp_path):
    manifest = Manifest("m.csv", str(tmp_path), ("none.wav",), np.zeros((1, 3)), CLASSES)
    assert np.isnan(score_manifest(Loudness(), manifest)).all()


@pytest.fixture
def several(tmp_path):
    """A folder of recordings of one to three windows, and what makes threads of a number."""
    for i, seconds in enumerate((3, 25, 10, 0.5, 12, 30, 1)):
        write(tmp_path / f"{i}.wav", noise(seconds, 0.02 * (i + 1), i))
    yield [(i, str(tmp_path / f"{i}.wav")) for i in range(7)]
    set_threads(None)


class Told(ACDNet):
    """A network that remembers which thread scored, with what, and fails at the windows it is told to."""

    def __init__(self, full=()):
        super().__init__(TINY, seed=1, backend="numpy")
        self.threads, self.full = [], full

    def predict_proba(self, x):
        self.threads.append(threading.get_ident())
        found = super().predict_proba(x)
        if found[0, 0].item() in self.full:
            raise MemoryError
        return found


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_many_recordings_are_those_one_by_one_bit_for_bit(several, threads):
    set_threads(threads)
    net = Told()
    found = list(score_recordings(net, several))
    for i, path in several:
        alone = [*score_recording(net, path), None]
        scores = [heard.scores for heard in found if heard.recording == i]
        assert [s and s[:2] for s in scores] == [s and s[:2] for s in alone]
        for a, b in zip(scores[:-1], alone[:-1], strict=True):
            np.testing.assert_array_equal(a.probabilities, b.probabilities)
    assert [heard.recording for heard in found] == sorted(heard.recording for heard in found)
    assert len(set(net.threads[:12])) <= threads and (threads == 1) == (len(set(net.threads)) == 1)


def test_windows_that_are_long_and_networks_of_others_are_scored_one_by_one(several):
    set_threads(4)
    net, other = Told(), Loudness()
    list(score_recordings(net, several, window=60.0))
    assert set(net.threads) == {threading.get_ident()}
    other.predict_proba = lambda x, once=other.predict_proba: (
        net.threads.append(threading.get_ident()),
        once(x),
    )[1]
    list(score_recordings(other, several))
    assert set(net.threads) == {threading.get_ident()}


def test_a_window_without_memory_costs_the_rest_of_its_recording(several):
    set_threads(3)
    second = [s.probabilities[0].item() for s in score_recording(Told(), several[1][1])][1]
    found = list(score_recordings(Told({second}), several))
    count = [sum(heard.scores is not None for heard in found if heard.recording == i) for i in range(7)]
    assert count == [1, 1, 1, 1, 2, 3, 1]
    assert [heard.recording for heard in found if isinstance(heard.error, MemoryError)] == [1]
    manifest = Manifest("m.csv", "/", [path for _, path in several], np.zeros((7, 3)), CLASSES)
    with pytest.raises(MemoryError):
        score_manifest(Told({second}), manifest)


def test_recordings_without_a_path_pass_in_their_places(several):
    first, second = several[:2]
    found = score_recordings(Told(), [("x", None), first, None, ("y", None), second])
    assert [heard.recording for heard in found] == ["x", 0, 0, "y", 1, 1, 1, 1]
    assert next(score_recordings(Told(), [("x", None)])) == Heard(0, "x")


@pytest.mark.parametrize("pays", [0.0, 9.9, 20, 35, 60])
def test_backends_change_at_the_same_window_whatever_the_number_of_threads(several, monkeypatch, pays):
    """And nothing is under way when they do."""
    monkeypatch.setattr("acdref.predict.backend.LOADING_PAYS", pays)
    monkeypatch.setattr("acdref.predict.backend.compiled", lambda config, kernels: True)
    monkeypatch.setattr("acdref.predict.backend.kernel.available", lambda: True)
    monkeypatch.setattr("acdref.predict.backend.kernel.problem", lambda: None)
    monkeypatch.setattr("acdref.predict.backend.kernel.mark_warm", lambda job: None)

    class Which(Told):
        def predict_proba(self, x):
            before = self.backend
            found = np.full((1, 3), before == "numba", np.float32)
            threading.Event().wait(0.005)
            assert self.backend == before
            return found

    rows = []
    for threads in (1, 2, 5):
        set_threads(threads)
        found = score_recordings(Adaptive(Which()), several)
        rows.append([heard.scores.probabilities[0].item() for heard in found if heard.scores])
    alone = Adaptive(Which())
    one_by_one = [s.probabilities[0].item() for _, path in several for s in score_recording(alone, path)]
    assert rows[0] == rows[1] == rows[2] == one_by_one
    assert rows[0] == sorted(rows[0]) and 1.0 in rows[0]


def test_notes_come_with_their_window(several, tmp_path):
    write(tmp_path / "short.wav", noise(0.1))
    write_damaged(tmp_path / "late.wav", good=12)
    paths = [several[1], ("short", str(tmp_path / "short.wav")), ("late", str(tmp_path / "late.wav"))]
    printed = iter("abcdefghi")
    set_threads(3)
    found = list(score_recordings(Told(), paths, printed=lambda: next(printed)))
    assert "".join(heard.printed for heard in found) == "abcdefgh"
    assert [len(heard.notes) for heard in found] == [0, 0, 0, 0, 1, 0, 0, 0]
    assert "too short" in found[4].notes[0] and isinstance(found[-1].error, AudioError)
