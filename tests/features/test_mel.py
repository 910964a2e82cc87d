import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acdref.features.mel import SCALES, decibels, hz_to_mel, log_mel, mel_filterbank, mel_to_hz

rng = np.random.default_rng(20240915)

BANKS = {  # sr, n_fft, bands, fmin, fmax
    "clap": (48000, 1024, 64, 50, 14000),
    "msclap": (32000, 1024, 64, 50, 14000),
    "16 kHz": (16000, 512, 40, 0, None),
    "128 bands of 32 kHz": (32000, 2048, 128, 20, 16000),
}


@given(st.floats(0, 100_000), st.sampled_from(SCALES))
def test_hz_to_mel_and_back(f, scale):
    np.testing.assert_allclose(mel_to_hz(hz_to_mel(f, scale), scale), f, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("scale", SCALES)
def test_mel_is_monotone_and_continuous_at_the_break(scale):
    f = np.linspace(990, 1010, 2001)
    steps = np.diff(hz_to_mel(f, scale))
    assert steps.min() > 0
    assert steps.max() < 1.1 * steps.min()


@pytest.mark.parametrize("norm", ["slaney", None])
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("bank", BANKS.values(), ids=BANKS)
def test_filterbank_matches_librosa(bank, scale, norm):
    filters = pytest.importorskip("librosa").filters
    sr, n_fft, bands, fmin, fmax = bank
    reference = filters.mel(
        sr=sr,
        n_fft=n_fft,
        n_mels=bands,
        fmin=fmin,
        fmax=fmax,
        htk=scale == "htk",
        norm=norm,
        dtype=np.float64,
    )
    np.testing.assert_allclose(mel_filterbank(*bank, scale=scale, norm=norm), reference, rtol=0, atol=1e-12)


def test_triangles_of_height_one_add_up_to_one():
    bank = mel_filterbank(16000, 4096, 40, 100, 7000, norm=None)
    f = np.arange(2049) * 16000 / 4096
    corners = mel_to_hz(np.linspace(*hz_to_mel([100, 7000]), 42))
    np.testing.assert_allclose(bank.sum(axis=0)[(f > corners[1]) & (f < corners[-2])], 1, atol=1e-12)
    assert not bank.sum(axis=0)[(f < 100) | (f > 7000)].any()


@pytest.mark.parametrize(
    "wrong",
    [
        {"fmin": 5000, "fmax": 4000},
        {"fmax": 8001},
        {"fmin": -1},
        {"bands": 0},
        {"norm": 1},
        {"scale": "bark"},
        {"n_fft": 1},
    ],
    ids=str,
)
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValueError, match=r"make no sense|norm must be|scale must be"):
        mel_filterbank(**({"sr": 16000, "n_fft": 512, "bands": 40} | wrong))


@pytest.mark.parametrize("n", [513, 4800, 48123])
def test_log_mel_matches_librosa(n):
    librosa = pytest.importorskip("librosa")
    x = rng.uniform(-1, 1, n).astype(np.float32) * np.linspace(0, 1, n, dtype=np.float32) ** 4
    bank = mel_filterbank(48000, 1024, 64, 50, 14000)
    power = np.abs(librosa.stft(x.astype(np.float64), n_fft=1024, hop_length=480, pad_mode="reflect")) ** 2
    reference = librosa.power_to_db(bank @ power, top_db=None)
    np.testing.assert_allclose(log_mel(x, bank, 480), reference.T, rtol=0, atol=1e-5)


def test_log_mel_of_silence_and_of_too_little():
    bank = mel_filterbank(48000, 1024, 64, 50, 14000)
    assert (log_mel(np.zeros(2000), bank, 480) == -100).all()
    for wrong in (np.zeros(512), np.zeros((2, 4800))):
        with pytest.raises(ValueError, match="no spectrogram"):
            log_mel(wrong, bank, 480)


@pytest.fixture(params=[1, -1, 4, -4], ids="{:+} ulp".format)
def other_processor(request, monkeypatch):
    """NumPy's logarithms a few last bits off, as vectors of other processors have them."""

    def inexact(function):
        def f(x, out=None, **options):
            y = function(x, **options)
            y = (y + request.param * np.spacing(y)).astype(y.dtype)
            if out is None:
                return y
            out[...] = y
            return out

        return f

    for name in ("log", "log2", "log10"):
        monkeypatch.setattr(np, name, inexact(getattr(np, name)))


def test_log_mel_is_exact_on_any_processor(other_processor):
    power = np.geomspace(1e-10, 1e5, 1001, dtype=np.float32)
    exact = [10 * math.log10(p) for p in power.tolist()]
    assert np.abs(10 * np.log10(power) - exact).max() > 5e-6  # this would be seen
    np.testing.assert_allclose(decibels(power), exact, rtol=0, atol=1e-11)
    bank = mel_filterbank(48000, 1024, 64, 50, 14000)
    assert (log_mel(np.zeros(2000), bank, 480) == -100).all()
    assert (log_mel(np.full(2000, 1e-9), bank, 480) == -100).all()
    x = rng.uniform(-1, 1, 1025) * np.linspace(0, 1, 1025) ** 4
    window = np.sin(np.pi * np.arange(1024) / 1024) ** 2
    powers = bank @ np.abs(np.fft.rfft(x[:1024] * window)) ** 2
    exact = [10 * math.log10(max(1e-10, p)) for p in powers]
    np.testing.assert_allclose(log_mel(x, bank, 512)[1], exact, rtol=0, atol=1e-5)


def test_decibels_are_not_below_the_floor():
    assert (decibels([0, 1e-11, 1e-10, 1, 1000]).astype(np.float32) == [-100, -100, -100, 0, 30]).all()
    assert decibels(np.zeros(3, np.float32)).dtype == np.float64


def test_log_mel_does_not_depend_on_blas_threads(with_blas_threads):
    one, two = with_blas_threads(
        "import numpy as np, hashlib; from acdref.features.mel import log_mel, mel_filterbank as bank;"
        "x = np.random.default_rng(0).uniform(-1, 1, 480000).astype('f');"
        "print(hashlib.sha256(log_mel(x, bank(48000, 1024, 64, 50, 14000), 480)).hexdigest())"
    )
    assert one == two
