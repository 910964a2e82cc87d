"""Scores of windows, recordings and manifests, by networks whose answers are known."""

import numpy as np
import pytest
from predict_support import CLASSES, TINY, Loudness, noise, write, write_damaged

from acdref.audio import decode as audio
from acdref.errors import AudioError
from acdref.features.compressed import features, frames
from acdref.nets import ACDNet
from acdref.predict.scoring import score_manifest, score_recording, score_samples
from acdref.tables.manifest import Manifest

TEN_SECONDS = 160_000


@pytest.mark.parametrize("n", [1, 511, 16_000, 159_999])
def test_short_sound_is_repeated_up_to_ten_seconds(n):
    x = noise(n / 16000)
    net = Loudness()
    repeated = np.concatenate([x] * (TEN_SECONDS // n + 1))[:TEN_SECONDS]
    np.testing.assert_array_equal(score_samples(net, x), score_samples(net, repeated))
    assert net.frames == [frames(TEN_SECONDS)] * 2


@pytest.mark.parametrize("n", [160_000, 160_001, 200_000])
def test_long_sound_is_scored_as_it_is(n):
    x = noise(n / 16000)
    net = Loudness()
    np.testing.assert_array_equal(score_samples(net, x), net.predict_proba(features(x)[None])[0])
    assert net.frames == [frames(n)] * 2


def test_a_real_network():
    net, x = ACDNet(TINY, seed=1, backend="numpy"), noise(10)
    scores = score_samples(net, x)
    assert scores.shape == (3,) and ((scores > 0) & (scores < 1)).all()
    logits, _ = net.forward(features(x)[None])
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
    calls = []
    scores = score_manifest(Loudness(), manifest, progress=lambda *args: calls.append(args))
    assert scores.shape == (3, 3)
    assert calls == [(1, 3), (2, 3), (3, 3)]
    for path, row in zip(paths, scores, strict=True):
        windows = [s.probabilities for s in score_recording(Loudness(), tmp_path / path)]
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
    failures, calls = [], []
    scores = score_manifest(Loudness(), manifest, failures.append, lambda *args: calls.append(args))
    assert np.isnan(scores[:2]).all() and np.isfinite(scores[2]).all()
    assert all(isinstance(error, AudioError) for error in failures)
    assert [error.path for error in failures] == [str(tmp_path / name) for name in manifest.paths[:2]]
    assert calls[-1] == (3, 3)


def test_failures_without_a_listener(tmp_path):
    manifest = Manifest("m.csv", str(tmp_path), ("none.wav",), np.zeros((1, 3)), CLASSES)
    assert np.isnan(score_manifest(Loudness(), manifest)).all()
