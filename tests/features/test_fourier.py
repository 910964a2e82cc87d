"""The one short-time transform, against sums written out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acdref.features.fourier import CHUNK, hann, spectra


@pytest.mark.parametrize("n", [1, 2, 5, 400, 512, 1024])
def test_hann_is_periodic_and_read_only(n):
    window = hann(n)
    np.testing.assert_allclose(window, np.hanning(n + 1)[:-1] if n > 1 else [0], rtol=0, atol=1e-15)
    assert window[0] == 0
    with pytest.raises(ValueError, match="read-only"):
        window[0] = 1


def naive(x, window, hop, n_fft):
    """Frame by frame, each bin a sum."""
    frames = range(0, len(x) - len(window) + 1, hop)
    k = np.arange(n_fft // 2 + 1)[:, None] * np.arange(len(window)) / n_fft
    return np.array([np.exp(-2j * np.pi * k) @ (x[t : t + len(window)] * window) for t in frames])


@given(
    width=st.integers(1, 12),
    hop=st.integers(1, 7),
    more=st.integers(0, 150),
    zeros=st.integers(0, 5),
    seed=st.integers(0, 99),
)
@settings(max_examples=40)
def test_spectra_are_those_of_all_whole_windows(width, hop, more, zeros, seed):
    rng = np.random.default_rng(seed)
    x, window = rng.standard_normal(width + more).astype(np.float32), rng.random(width)
    expected = naive(x, window, hop, width + zeros)
    found = list(spectra(x, window, hop, width + zeros))
    assert len(found) == -(-len(expected) // CHUNK)
    assembled = np.full_like(expected, np.nan)
    for part, X in found:
        assert X.dtype == np.complex128
        assert len(X) <= CHUNK
        assembled[part] = X
    np.testing.assert_allclose(assembled, expected, rtol=0, atol=1e-12)


def test_of_several_sounds_at_once():
    x = np.random.default_rng(0).standard_normal((2, 3, 300))
    whole = np.concatenate([X for _, X in spectra(x, hann(16), 4)], axis=-2)
    assert whole.shape == (2, 3, 72, 9)
    alone = np.concatenate([X for _, X in spectra(x[1, 2], hann(16), 4)])
    np.testing.assert_array_equal(whole[1, 2], alone)
