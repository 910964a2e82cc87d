"""Logarithmic spectrograms: librosa, torchaudio's and madmom's formulas, definitions, hostile input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acdref import features
from acdref.features.papers import (
    a_weighted_mel,
    a_weighting,
    decibel_mel,
    log_filterbank,
    log_filters,
    log_mel_patches,
)

# function, rate, fewest samples, shape of so many samples
FUNCTIONS = {
    "a_weighted_mel": (a_weighted_mel, 32000, 513, lambda n: (1 + n // 192, 128)),
    "log_filterbank": (log_filterbank, 32000, 1, lambda n: (-(-n // 128), 128)),
    "log_mel_patches": (log_mel_patches, 16000, 15600, lambda n: ((n - 400) // 160 // 96 or 1, 96, 64)),
    "decibel_mel": (decibel_mel, 16000, 257, lambda n: (1 + n // 160, 64)),
}
each = pytest.mark.parametrize("name", FUNCTIONS)


def sound(n, seed=0):
    """Noise, a tone and a click over half a silence: quiet bins beside loud ones."""
    rng = np.random.default_rng(seed)
    x = 1e-4 * rng.standard_normal(n)
    x[: n // 2] += 0.3 * np.sin(0.2 * np.arange(n // 2)) + 0.1 * rng.standard_normal(n // 2)
    x[3 * n // 4] = 0.9
    return x.astype(np.float32)


def test_a_weighted_mel_as_librosa():
    """The published code: perceptual weighting of the power spectrogram, then the mel bank."""
    librosa = pytest.importorskip("librosa")
    x = sound(50001)
    spectrum = librosa.stft(x.astype(np.float64), n_fft=1024, hop_length=192, pad_mode="reflect")
    power = np.abs(spectrum) ** 2
    frequencies = librosa.fft_frequencies(sr=32000, n_fft=1024)
    with np.errstate(divide="ignore"):
        weighted = librosa.perceptual_weighting(power, frequencies, ref=1.0, amin=1e-10, top_db=99.0)
    expected = librosa.feature.melspectrogram(S=weighted, sr=32000, n_mels=128).T
    np.testing.assert_allclose(a_weighted_mel(x), expected, rtol=0, atol=1e-5)


def test_a_weighting_as_librosa_and_as_in_the_standards():
    f = 1000 * 10.0 ** np.arange(-1.5, 1.3, 0.3)  # the octaves from 31.5 Hz to 16 kHz
    standard = [-39.4, -26.2, -16.1, -8.6, -3.2, 0, 1.2, 1.0, -1.1, -6.6]
    np.testing.assert_allclose(a_weighting(f), standard, atol=0.06)
    librosa = pytest.importorskip("librosa")
    np.testing.assert_allclose(a_weighting(f), librosa.A_weighting(f), rtol=0, atol=1e-12)
    assert a_weighting(0) == a_weighting(1) == -80


def madmom_filters():
    """The filterbank step by step, with loops, as its authors describe it."""
    frequency, frequencies = 440.0, []
    while frequency > 20:
        frequency /= 2 ** (1 / 26)
    k = round(26 * np.log2(frequency / 440)) + 1
    while 440 * 2 ** (k / 26) <= 14000:
        frequencies.append(440 * 2 ** (k / 26))
        k += 1
    spectrum = np.arange(512) * 31.25
    corners = []
    for frequency in frequencies:
        nearest = int(np.abs(spectrum - frequency).argmin())
        if nearest not in corners:
            corners.append(max(nearest, 1))
    bank = np.zeros((len(corners) - 2, 512))
    for row, start, centre, stop in zip(bank, corners, corners[1:], corners[2:], strict=False):
        row[start:centre] = np.linspace(0, 1, centre - start, endpoint=False)
        row[centre:stop] = np.linspace(1, 0, stop - centre, endpoint=False)
        row /= row.sum()
    return bank, len(frequencies), len(corners)


def test_log_filters_by_hand():
    bank, frequencies, corners = madmom_filters()
    assert (frequencies, corners) == (245, 130)  # and so the printed 128 filters
    assert log_filters().shape == (128, 512)
    np.testing.assert_allclose(log_filters(), bank, rtol=0, atol=1e-12)


def test_log_filterbank_by_its_definition():
    x = sound(3000)
    y = log_filterbank(x)
    normal = x.astype(np.float64) / np.abs(x.astype(np.float64)).max()
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1024) / 1023)  # symmetric
    dft = np.exp(-2j * np.pi * np.outer(np.arange(512), np.arange(1024)) / 1024)
    for t, row in enumerate(y):
        frame = np.zeros(1024)
        rest = normal[128 * t : 128 * t + 1024]
        frame[: len(rest)] = rest
        magnitude = np.abs(dft @ (frame * window))
        np.testing.assert_allclose(row, np.log10(1 + madmom_filters()[0] @ magnitude), atol=1e-6)
    assert len(y) == 24
    np.testing.assert_array_equal(log_filterbank(x * np.float32(0.5)), y)  # peak-normalised


def test_log_mel_patches_with_librosas_filters():
    librosa = pytest.importorskip("librosa")
    x = sound(40000)
    y = log_mel_patches(x)
    bank = librosa.filters.mel(
        sr=16000, n_fft=512, n_mels=64, fmin=125, fmax=7500, htk=True, norm=None, dtype=np.float64
    )
    n = np.arange(400)
    window = np.sin(np.pi * n / 400) ** 2
    dft = np.exp(-2j * np.pi * np.outer(np.arange(257), n) / 512)
    assert y.shape == (2, 96, 64)
    for t, row in enumerate(y.reshape(-1, 64)):
        magnitude = np.abs(dft @ (window * x[160 * t : 160 * t + 400]))
        np.testing.assert_allclose(row, np.log(bank @ magnitude + 0.01), atol=1e-5)


def test_decibel_mel_as_torchaudio():
    """torchaudio's MelSpectrogram and AmplitudeToDB(top_db=120), by their formulas."""
    torch = pytest.importorskip("torch")
    x = sound(30001)
    window = torch.hann_window(512, periodic=True, dtype=torch.float64)
    spectrum = torch.stft(
        torch.tensor(x).double(), 512, 160, 512, window, center=True, pad_mode="reflect", return_complex=True
    )
    high = 2595 * np.log10(1 + 8000 / 700)
    points = torch.tensor(700 * (10 ** (np.linspace(0, high, 66) / 2595) - 1))
    slopes = points[None, :] - torch.linspace(0, 8000, 257, dtype=torch.float64)[:, None]
    width = points[1:] - points[:-1]
    bank = torch.clamp(torch.minimum(-slopes[:, :-2] / width[:-1], slopes[:, 2:] / width[1:]), min=0)
    decibels = 10 * torch.log10(torch.clamp(spectrum.abs().square().T @ bank, min=1e-10))
    expected = torch.maximum(decibels, decibels.max() - 120)
    np.testing.assert_allclose(decibel_mel(x), expected.numpy(), rtol=0, atol=1e-4)


def test_sizes_of_the_papers():
    assert a_weighted_mel(np.zeros(18 * 32000)).shape == (3001, 128)
    assert log_filterbank(np.zeros(12 * 32000)).shape == (3000, 128)
    assert log_mel_patches(np.zeros(160000)).shape == (10, 96, 64)
    assert [len(decibel_mel(np.zeros(16000 * s))) for s in (10, 5, 2)] == [1001, 501, 201]


@each
@given(extra=st.integers(0, 4000))
@settings(max_examples=10)
def test_shapes_from_the_shortest_input_on(name, extra):
    function, _, shortest, shape = FUNCTIONS[name]
    y = function(sound(shortest + extra))
    assert y.shape == shape(shortest + extra)
    assert y.dtype == np.float32
    assert np.isfinite(y).all()


@each
def test_silence_is_finite(name):
    y = FUNCTIONS[name][0](np.zeros(20000))
    assert np.isfinite(y).all()
    if name == "log_filterbank":
        assert not y.any()


@each
@pytest.mark.parametrize("bad", [np.zeros((2, 20000)), np.zeros(20000, complex), np.float32(1)])
def test_what_is_no_audio_is_refused(name, bad):
    with pytest.raises(ValueError, match=r"vector|no spectrogram"):
        FUNCTIONS[name][0](bad)


@each
def test_too_short_is_refused(name):
    function, _, shortest, _ = FUNCTIONS[name]
    with pytest.raises(ValueError, match=r"too short|are needed|without samples"):
        function(np.zeros(shortest - 1))


@each
def test_integers_and_strided_views(name):
    function, _, shortest, _ = FUNCTIONS[name]
    x = np.random.default_rng(1).integers(-100, 100, 2 * shortest + 50)
    np.testing.assert_array_equal(function(x[::2]), function(x[::2].astype(np.float64)))


def test_all_are_features():
    for name, (function, *_) in FUNCTIONS.items():
        assert getattr(features, name) is function
