"""Expected values of sound against librosa and plain sums."""

import numpy as np
import pytest
from conform_support import assert_consistent, assert_right, by_function

from acdref.conform import sound

FUNCTIONS = by_function(sound.cases())
CASES = {function: list(variants.values()) for function, variants in FUNCTIONS.items()}


def test_one_signature_a_function_and_mistakes_fail():
    assert_consistent(FUNCTIONS)


@pytest.mark.parametrize("case", CASES["resampling/resample"], ids=lambda case: case.name)
def test_resampling_is_a_sum(case):
    """As the page has it, in float64."""
    from math import gcd

    x, before, after = (
        case.inputs["audio"].astype(np.float64),
        case.inputs["rate_in"],
        case.inputs["rate_out"],
    )
    common = gcd(before, after)
    up, down = (1, 3) if before == 48001 else (after // common, before // common)
    most = max(up, down)
    half, k = 64 * most, np.arange(-(-len(x) * up // down))
    m = np.arange(-half, half + 1)
    h = np.sinc(0.95 * m / most) * np.i0(12 * np.sqrt(1 - (m / half) ** 2))
    h *= up / h.sum()
    places = k[:, None] * down - np.arange(len(x)) * up
    weights = np.where(np.abs(places) <= half, h[np.clip(places + half, 0, 2 * half)], 0)
    assert_right(case, {"resampled": x if before == after else weights @ x})


def dft(x, window, hop=256, size=None):
    size = size or len(window)
    frames = [window * x[t : t + len(window)] for t in range(0, len(x) - len(window) + 1, hop)]
    n = np.arange(len(window))
    return np.array(frames) @ np.exp(-2j * np.pi * np.outer(n, np.arange(size // 2 + 1)) / size)


def periodic(n):
    return np.sin(np.pi * np.arange(n) / n) ** 2


@pytest.mark.parametrize(
    "case", CASES["features/stft"] + CASES["features/features"], ids=lambda case: case.name
)
def test_features_are_compressed_sums(case):
    X = dft(case.inputs["audio"].astype(np.float64), periodic(512))
    name = next(iter(case.outputs))
    if name == "features":
        X = X * np.maximum(np.abs(X), 1e-6) ** -0.7
    assert_right(case, {name: np.stack([X.real, X.imag], -1)})


@pytest.mark.parametrize("case", CASES["features/decompress"], ids=lambda case: case.name)
def test_decompression_undoes_compression(case):
    X, c = case.outputs["spectrum"] @ [1, 1j], case.inputs["exponent"]
    Y = X * np.maximum(np.abs(X), 1e-6) ** (c - 1)
    np.testing.assert_allclose(Y, case.inputs["compressed"] @ [1, 1j], rtol=1e-9)


@pytest.mark.filterwarnings("ignore:Empty filters")
def test_front_ends_are_librosas():
    librosa = pytest.importorskip("librosa")
    for case in CASES["front_ends/hz_to_mel"]:
        mel = librosa.hz_to_mel(case.inputs["frequencies"], htk=bool(case.inputs["scale"]))
        assert_right(case, {"mel": mel})
    for case in CASES["front_ends/mel_to_hz"]:
        hertz = librosa.mel_to_hz(case.inputs["mel"], htk=bool(case.inputs["scale"]))
        assert_right(case, {"frequencies": hertz})
    for case in CASES["front_ends/mel_filterbank"]:
        numbers = dict(case.inputs)
        norm, htk = [None, "slaney"][numbers.pop("norm")], bool(numbers.pop("scale"))
        bank = librosa.filters.mel(
            sr=numbers["rate"], n_fft=numbers["n_fft"], n_mels=numbers["bands"], fmin=numbers["fmin"],
            fmax=numbers["fmax"], htk=htk, norm=norm, dtype=np.float64,
        )  # fmt: skip
        assert_right(case, {"filterbank": bank})
    for case in CASES["front_ends/a_weighting"]:
        assert_right(case, {"decibels": librosa.A_weighting(np.maximum(case.inputs["frequencies"], 1e-9))})


@pytest.mark.filterwarnings("ignore:n_fft")
def test_decibel_mel_is_librosas():
    librosa = pytest.importorskip("librosa")
    for case in CASES["front_ends/decibel_mel"]:
        mel = librosa.feature.melspectrogram(
            y=case.inputs["audio"].astype(np.float64), sr=16000, n_fft=512, hop_length=160, n_mels=64,
            htk=True, norm=None, pad_mode="reflect", dtype=np.float64,
        )  # fmt: skip
        assert_right(case, {"features": librosa.power_to_db(mel, top_db=120).T})


@pytest.mark.filterwarnings("ignore:n_fft")
def test_a_weighted_mel_is_librosas():
    librosa = pytest.importorskip("librosa")
    for case in CASES["front_ends/a_weighted_mel"]:
        X = librosa.stft(
            case.inputs["audio"].astype(np.float64), n_fft=1024, hop_length=192, pad_mode="reflect"
        )
        levels = librosa.power_to_db(np.abs(X) ** 2, top_db=99)
        levels += librosa.A_weighting(np.maximum(np.arange(513) * 31.25, 1e-9))[:, None]
        bank = librosa.filters.mel(sr=32000, n_fft=1024, n_mels=128, dtype=np.float64)
        assert_right(case, {"features": (bank @ levels).T})


def triangle(f, low, top, high):
    return np.maximum(0, np.minimum((f - low) / (top - low), (high - f) / (high - top)))


def test_log_filterbank_is_a_sum():
    f = [440 * 2 ** (k / 26) for k in range(-200, 200)]
    corners = sorted({round(one * 0.032) for one in f if 20 <= one <= 14000})
    assert len(corners) == 130 and corners[0] == 1
    bank = np.array([triangle(np.arange(512), *corners[i : i + 3]) for i in range(128)])
    bank /= bank.sum(1, keepdims=True)
    for case in CASES["front_ends/log_filterbank"]:
        x = case.inputs["audio"].astype(np.float64)
        x = np.pad(x / (np.abs(x).max() or 1), (0, 1023))
        X = dft(x, np.sin(np.pi * np.arange(1024) / 1023) ** 2, 128)
        assert_right(case, {"features": np.log10(1 + np.abs(X[:, :512]) @ bank.T)})


def test_patches_are_sums():
    mel = np.linspace(*(2595 * np.log10(1 + np.array([125, 7500]) / 700)), 66)
    corners = 700 * (10 ** (mel / 2595) - 1)
    bank = np.array([triangle(np.arange(257) * 31.25, *corners[i : i + 3]) for i in range(64)])
    for case in CASES["front_ends/log_mel_patches"]:
        X = dft(case.inputs["audio"].astype(np.float64), periodic(400), 160, 512)
        patches = np.log(np.abs(X) @ bank.T + 0.01)[: 96 * (len(X) // 96)].reshape(-1, 96, 64)
        assert_right(case, {"features": patches})
