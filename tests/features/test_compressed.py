import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from acdref.features.compressed import (
    BINS,
    FRAME,
    HOP,
    POWER_FLOOR,
    compress,
    decompress,
    features,
    frames,
    stft,
)

rng = np.random.default_rng(20240915)
clips = hnp.arrays(np.float32, st.integers(FRAME, 2000), elements=st.floats(-1, 1, width=32))


def noise(n, level=1.0):
    return rng.uniform(-level, level, n).astype(np.float32)


def dft(x):
    """The definition, one frame and one bin at a time, without an FFT."""
    n = np.arange(FRAME)
    window = np.sin(np.pi * n / FRAME) ** 2
    kernel = np.exp(-2j * np.pi * np.outer(np.arange(BINS), n) / FRAME)
    return np.stack([kernel @ (window * x[t : t + FRAME]) for t in range(0, len(x) - FRAME + 1, HOP)])


def naive_features(X, c=0.3):
    Y = X * np.maximum(np.abs(X), 1e-6) ** (c - 1)
    return np.stack([Y.real, Y.imag], axis=-1)


signals = {
    "noise": noise(160000),
    "full scale": np.sign(noise(16000)),
    "quiet": noise(16000, 1e-4),
    "tone beside silence": np.sin(2 * np.pi * 0.0625 * np.arange(16000)).astype(np.float32),
    "one window": noise(512),
    "one sample more": noise(513),
    "one sample less than two windows": noise(767),
    "two windows": noise(768),
    "impulse": np.eye(1, 4096, 1000, dtype=np.float32)[0],
}


@pytest.mark.parametrize("x", signals.values(), ids=signals)
def test_matches_the_definition(x):
    reference = dft(x[:16000].astype(np.float64))
    np.testing.assert_allclose(stft(x[:16000]), reference, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(features(x[:16000]), naive_features(reference), rtol=0, atol=1e-5)


@pytest.mark.parametrize("x", signals.values(), ids=signals)
def test_matches_torch(x):
    torch = pytest.importorskip("torch")
    window = torch.hann_window(FRAME, periodic=True, dtype=torch.float64)
    reference = torch.stft(
        torch.from_numpy(x).double(), FRAME, HOP, window=window, center=False, return_complex=True
    )
    reference = reference.numpy().T
    np.testing.assert_allclose(stft(x), reference, rtol=0, atol=1e-5)
    np.testing.assert_allclose(features(x), naive_features(reference), rtol=0, atol=1e-5)


def test_matches_scipy():
    signal = pytest.importorskip("scipy.signal")
    x = signals["noise"]
    window = signal.get_window("hann", FRAME, fftbins=True)
    _, _, reference = signal.stft(
        x.astype(np.float64),
        window=window,
        nperseg=FRAME,
        noverlap=FRAME - HOP,
        boundary=None,
        padded=False,
        scaling="spectrum",
    )
    np.testing.assert_allclose(stft(x), reference.T * window.sum(), rtol=0, atol=1e-5)


def test_size_of_ten_seconds_is_the_papers():
    assert features(signals["noise"]).shape == (624, 257, 2)


@pytest.mark.parametrize("n", [0, 1, 511])
def test_less_than_a_window_is_refused_with_the_minimum(n):
    for function in (stft, features):
        with pytest.raises(ValueError, match=rf"{n} samples .* 512"):
            function(np.zeros(n, np.float32))
    assert frames(n) == 0


@pytest.mark.parametrize("x", [np.float32(1), np.zeros(600, complex), np.zeros(600, bool), ["a"] * 600])
def test_what_is_no_audio_is_refused(x):
    with pytest.raises(ValueError, match="real samples"):
        stft(x)


@given(st.integers(FRAME, 5000))
def test_frames_counts_what_features_makes(n):
    assert features(np.zeros(n, np.float32)).shape == (frames(n), BINS, 2)


def test_digital_silence_is_exactly_zero():
    y = features(np.zeros(16000, np.float32))
    assert not y.any()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int16, np.uint8])
def test_dtypes(dtype):
    x = rng.integers(0, 100, 2000).astype(dtype)
    before = x.copy()
    assert stft(x).dtype == np.complex64
    assert features(x).dtype == np.float32
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(features(x), features(x.astype(np.float64)))


def test_lists_and_strided_views_are_arrays_too():
    x = noise(3000)
    np.testing.assert_array_equal(stft(x[::2]), stft(x[::2].copy()))
    np.testing.assert_array_equal(stft(x[::-1]), stft(x[::-1].copy()))
    np.testing.assert_array_equal(stft(x.tolist()), stft(x))


def test_batches_equal_clips_one_by_one():
    x = noise(2 * 3 * 40000).reshape(2, 3, 40000)
    y = features(x)
    assert y.shape == (2, 3, frames(40000), BINS, 2)
    for i in np.ndindex(2, 3):
        np.testing.assert_array_equal(y[i], features(x[i]))


def test_no_clip_at_all():
    assert features(np.zeros((0, 16000), np.float32)).shape == (0, frames(16000), BINS, 2)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nonfinite_samples_stay_in_their_frames(bad):
    x = noise(5120)
    x[1100] = bad  # in the frames that start at 768 and 1024
    with np.errstate(invalid="ignore"):
        y = features(x)
    touched = np.isnan(y).any(axis=(1, 2))
    assert np.flatnonzero(touched).tolist() == [3, 4]
    assert np.isnan(y[3:5]).all()


@given(clips, st.floats(-4, 4, width=32), st.integers(0, 1000))
def test_stft_is_linear(x, gain, seed):
    other = np.random.default_rng(seed).uniform(-1, 1, len(x))
    np.testing.assert_allclose(stft(gain * x + other), gain * stft(x) + stft(other), rtol=0, atol=3e-4)


@given(clips)
def test_a_shift_by_a_hop_shifts_a_frame(x):
    delayed = np.concatenate([np.zeros(HOP, np.float32), x])
    np.testing.assert_array_equal(features(delayed)[1:], features(x))


@given(clips)
def test_negation_negates_and_prefixes_do_not_change(x):
    np.testing.assert_array_equal(features(-x), -features(x))
    np.testing.assert_array_equal(features(x[:FRAME])[0], features(x)[0])


spectra = hnp.arrays(
    np.complex128,
    hnp.array_shapes(max_dims=3, max_side=5),
    elements=st.complex_numbers(min_magnitude=1e-5, max_magnitude=300),
)
exponents = st.floats(0.1, 1.5)


@given(spectra, exponents)
def test_compression_raises_the_magnitude_and_keeps_the_phase(X, c):
    Y = compress(X, c)
    np.testing.assert_allclose(np.abs(Y), np.abs(X) ** c, rtol=1e-12)
    np.testing.assert_allclose(Y / np.abs(Y), X / np.abs(X), rtol=0, atol=1e-12)


@given(spectra, exponents, st.sampled_from([1.0, 1e-7]))
def test_decompression_is_the_inverse_above_and_below_the_floor(X, c, scale):
    X = X * scale
    np.testing.assert_allclose(decompress(compress(X, c), c), X, rtol=1e-10, atol=0)


def test_float32_round_trip():
    X = stft(signals["noise"])
    Y = compress(X)
    assert Y.dtype == np.complex64
    back = decompress(Y)
    assert back.dtype == np.complex64
    assert np.max(np.abs(back - X) / np.abs(X)) < 1e-5


def test_features_are_compressed_stft():
    x = signals["noise"]
    Y = compress(stft(x))
    np.testing.assert_array_equal(features(x), np.stack([Y.real, Y.imag], axis=-1))


def test_below_the_floor_compression_is_linear():
    X = np.array([0, 1e-9, -1e-8j, 1e-7 + 1e-7j])
    np.testing.assert_allclose(compress(X), X * POWER_FLOOR**-0.35, rtol=1e-12)
    assert compress(X)[0] == 0


def test_compress_leaves_its_argument():
    X = stft(signals["one window"])
    before = X.copy()
    decompress(compress(X))
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize("function", [compress, decompress])
def test_compression_refuses_real_numbers_and_bad_exponents(function):
    with pytest.raises(ValueError, match="complex"):
        function(np.ones(3))
    for c in (0, -1, np.nan):
        with pytest.raises(ValueError, match="positive"):
            function(np.ones(3, complex), c)
