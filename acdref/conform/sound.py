"""Cases of resampling, ACDnet's features and the other front ends."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from acdref.audio.resampling import resample
from acdref.conform.writing import Case, Mistake
from acdref.features.compressed import compress, decompress, features, frames, stft
from acdref.features.fourier import hann, spectra
from acdref.features.mel import SCALES, decibels, hz_to_mel, log_mel, mel_filterbank, mel_to_hz
from acdref.features.papers import a_weighted_mel, a_weighting, decibel_mel, log_filterbank, log_mel_patches

_NORMS = (None, "slaney")
_SYMMETRIC = "the Hann window was symmetric, not periodic"


def cases() -> Iterator[Case]:
    """All of this section's."""
    yield from _resample()
    for function in (_frame_count, _stft, _compress, _decompress, _features):
        yield from function()
    for function in (_mel_scales, _mel_filterbank, _levels, _a_weighted_mel, _log_filterbank):
        yield from function()
    for function in (_log_mel_patches, _decibel_mel, _waveform):
        yield from function()


def made_up(n: int, seed: int = 0) -> NDArray[np.float32]:
    """A made-up sound: two tones, of which one rises, noise, and a click at a third."""
    rng, t = np.random.default_rng(seed), np.arange(n) / 16000
    x = 0.3 * np.sin(2 * np.pi * 440 * (1 + seed) * t) + 0.2 * np.sin(2 * np.pi * (900 + 4000 * t) * t)
    x += rng.uniform(-0.1, 0.1, n)
    x[n // 3 : n // 3 + 1] += 0.3
    return x.astype(np.float32)


def _resample():
    impulse = np.eye(1, 40, 20, dtype=np.float32)[0]
    sounds = {
        "44100_to_16000": (made_up(1500), 44100, 16000),
        "48000_to_16000": (made_up(900), 48000, 16000),
        "48001_to_16000": (made_up(300), 48001, 16000),
        "16000_to_8000": (made_up(700), 16000, 8000),
        "22050_to_32000": (made_up(500), 22050, 32000),
        "8000_to_16000": (made_up(300), 8000, 16000),
        "11025_to_16000": (made_up(300), 11025, 16000),
        "impulse_down": (impulse, 16000, 8000),
        "impulse_up": (impulse, 8000, 16000),
        "same_rate": (made_up(30), 16000, 16000),
        "one_sample": (np.ones(1, np.float32), 44100, 16000),
        "no_sample": (np.zeros(0, np.float32), 44100, 16000),
    }
    for variant, (x, before, after) in sounds.items():
        y = resample(x, before, after)
        mistakes = []
        if len(y) > 1 and before != after:
            places = np.arange(len(y)) * before / after
            linear = np.interp(places, np.arange(len(x)), x)
            mistakes = [Mistake("samples were interpolated linearly", {"resampled": linear})]
        yield Case(
            f"resampling/resample/{variant}",
            "y[k] = sum_n x[n] h[k down - n up], h a sinc times a Kaiser window",
            {"audio": x, "rate_in": before, "rate_out": after},
            {"resampled": y},
            atol=5e-6,  # sums of some hundred float32 products of samples below 1
            mistakes=mistakes,
        )


def _frame_count():
    n = np.array([0, 1, 511, 512, 513, 767, 768, 1024, 16000, 160000])
    yield Case(
        "features/frame_count/around_the_window",
        "0 below 512 samples, else 1 + (n - 512) // 256",
        {"samples": n},
        {"frames": np.array([frames(int(one)) for one in n])},
        paper="1, section 2.2",
        mistakes=[Mistake("frames were centred: 1 + n // 256", {"frames": 1 + n // 256})],
    )


def _pairs(X):
    """Real and imaginary parts as a last axis, float32."""
    return np.stack([X.real, X.imag], axis=-1).astype(np.float32)  # (..., 2)


def _transform(x, window, hop=256, n_fft=None):
    return np.concatenate([X for _, X in spectra(x.astype(np.float64), window, hop, n_fft)])


_SOUNDS = {
    "sound": lambda: made_up(1100),
    "one_window": lambda: made_up(512, 1),
    "one_short_of_two": lambda: made_up(767, 2),
    "impulse": lambda: np.eye(1, 1024, 300, dtype=np.float32)[0],
    "quiet": lambda: made_up(768, 3) * np.float32(1e-5),
    "silence": lambda: np.zeros(768, np.float32),
}


def _stft():
    for variant, sound in _SOUNDS.items():
        x = sound()
        mistakes = []
        if variant == "sound":
            X = _transform(x, hann(512))
            mistakes = [
                Mistake(_SYMMETRIC, {"spectrum": _pairs(_transform(x, np.hanning(512)))}),
                Mistake("frames were centred", {"spectrum": _pairs(_transform(np.pad(x, 256), hann(512)))}),
                Mistake("the exponent had a plus", {"spectrum": _pairs(X.conj())}),
                Mistake("the sum was divided by the window's length", {"spectrum": _pairs(X / 512)}),
                Mistake("there was no window", {"spectrum": _pairs(_transform(x, np.ones(512)))}),
            ]
        yield Case(
            f"features/stft/{variant}",
            "X[t, f] = sum_n w[n] x[256 t + n] exp(-2 pi i f n / 512), w[n] = (1 - cos(2 pi n / 512)) / 2",
            {"audio": x},
            {"spectrum": _pairs(stft(x))},
            paper="1, section 2.2",
            rtol=1e-6,
            atol=3e-5 * float(np.abs(x).max()),  # what a transform in float32 would reach
            mistakes=mistakes,
        )


_COMPLEX = np.array([0, 1, -16j, 3 + 4j, 1e-6, 5e-7 - 5e-7j, 1e-9j, -2e-6, 100 - 100j, 1e-3j])


def _compress():
    for variant, c in (("default", 0.3), ("root", 0.5), ("identity", 1.0)):
        mistakes = []
        if c < 1:
            power = np.abs(_COMPLEX) ** 2
            wrong = {
                "the exponent was that of the power": np.maximum(power, 1e-12) ** (c - 1),
                "the floor lay on the magnitude, not on its square": np.maximum(power, 1e-24)
                ** ((c - 1) / 2),
                "1e-12 was added to the power": (power + 1e-12) ** ((c - 1) / 2),
            }
            mistakes = [Mistake(cause, {"compressed": _wide(_COMPLEX * by)}) for cause, by in wrong.items()]
        yield Case(
            f"features/compress/{variant}",
            "Y = X max(|X|^2, 1e-12)^((c - 1) / 2)",
            {"spectrum": _wide(_COMPLEX), "exponent": c},
            {"compressed": _wide(compress(_COMPLEX, c))},
            paper="1, section 2.2",
            rtol=1e-9,
            mistakes=mistakes,
        )


def _wide(X):
    return np.stack([X.real, X.imag], axis=-1)  # (..., 2)


def _decompress():
    Y = np.concatenate([compress(_COMPLEX), [0, 1e-3j, 0.9 * 1e-12**0.15]])
    yield Case(
        "features/decompress/default",
        "X = Y max(|Y|^2, 1e-12^c)^((1 / c - 1) / 2)",
        {"compressed": _wide(Y), "exponent": 0.3},
        {"spectrum": _wide(decompress(Y, 0.3))},
        rtol=1e-9,
    )


def _features():
    for variant, sound in _SOUNDS.items():
        x = sound()
        yield Case(
            f"features/features/{variant}",
            "real and imaginary part of the compressed spectrum, c = 0.3",
            {"audio": x},
            {"features": features(x)},
            paper="1, section 2.2",
            atol=2e-5,  # the transform in float64, all behind it in float32
            mistakes=_feature_mistakes(x) if variant == "sound" else [],
        )


def _feature_mistakes(x):
    X = _transform(x, hann(512))
    magnitude, phase = np.abs(compress(X)), np.angle(X)
    wrong = {
        _SYMMETRIC: compress(_transform(x, np.hanning(512))),
        "frames were centred": compress(_transform(np.pad(x, 256), hann(512))),
        "nothing was compressed": X,
        "the exponent 0.3 was that of the power, not of the magnitude": compress(X, 0.6),
        "the two parts were compressed each by itself": None,
        "the two values were magnitude and phase": magnitude + 1j * phase,
    }
    wrong["the two parts were compressed each by itself"] = (
        np.sign(X.real) * np.abs(X.real) ** 0.3 + 1j * np.sign(X.imag) * np.abs(X.imag) ** 0.3
    )
    return [Mistake(cause, {"features": _pairs(Y)}) for cause, Y in wrong.items()]


def _mel_scales():
    f = np.array([0, 50, 440, 999.9, 1000, 1000.1, 4000, 6400, 8000, 16000])
    for code, scale in enumerate(SCALES):
        mel, other = hz_to_mel(f, scale), hz_to_mel(f, SCALES[1 - code])
        cause = f"the scale was {SCALES[1 - code]}'s"
        yield Case(
            f"front_ends/hz_to_mel/{scale}",
            "htk: 2595 log10(1 + f / 700); slaney: 3 f / 200, from 1000 Hz on 15 + 27 log_6.4(f / 1000)",
            {"frequencies": f, "scale": code},
            {"mel": mel},
            rtol=1e-12,
            mistakes=[Mistake(cause, {"mel": other})],
        )
    for code, scale in enumerate(SCALES):
        mel = np.array([0, 1, 14.9, 15, 15.1, 40, 60])
        yield Case(
            f"front_ends/mel_to_hz/{scale}",
            "the inverse of hz_to_mel",
            {"mel": mel, "scale": code},
            {"frequencies": mel_to_hz(mel, scale)},
            rtol=1e-12,
            mistakes=[
                Mistake(
                    f"the scale was {SCALES[1 - code]}'s", {"frequencies": mel_to_hz(mel, SCALES[1 - code])}
                )
            ],
        )


def _mel_filterbank():
    banks = {
        "slaney_area": (16000, 128, 12, 0.0, 8000.0, "slaney", "slaney"),
        "htk_height": (16000, 128, 12, 125.0, 7500.0, "htk", None),
        "more_bands_than_bins": (8000, 32, 24, 50.0, 4000.0, "htk", "slaney"),
    }
    for variant, (*numbers, scale, norm) in banks.items():
        other_scale, other_norm = SCALES[1 - SCALES.index(scale)], _NORMS[1 - _NORMS.index(norm)]
        yield Case(
            f"front_ends/mel_filterbank/{variant}",
            "triangles, straight in Hz, between corners evenly spaced in mel",
            dict(zip(("rate", "n_fft", "bands", "fmin", "fmax"), numbers, strict=True))
            | {"scale": SCALES.index(scale), "norm": _NORMS.index(norm)},
            {"filterbank": mel_filterbank(*numbers, scale, norm)},
            rtol=1e-9,
            atol=1e-12,
            mistakes=[
                Mistake(
                    f"the scale was {other_scale}'s",
                    {"filterbank": mel_filterbank(*numbers, other_scale, norm)},
                ),
                Mistake(
                    "triangles had the other norm",
                    {"filterbank": mel_filterbank(*numbers, scale, other_norm)},
                ),
            ],
        )


def _levels():
    power = np.array([0, 1e-12, 1e-10, 2e-10, 1, 100, 1e6])
    yield Case(
        "front_ends/decibels/floor_and_above",
        "10 log10(max(power, 1e-10))",
        {"power": power},
        {"decibels": decibels(power)},
        rtol=1e-12,
        atol=1e-12,
        mistakes=[Mistake("power was taken for a magnitude", {"decibels": 2 * decibels(power)})],
    )
    f = np.array([0, 1, 10, 31.5, 100, 1000, 2500, 10000, 16000])
    yield Case(
        "front_ends/a_weighting/zero_to_16_kHz",
        "A-weighting in decibels, not below -80",
        {"frequencies": f},
        {"decibels": a_weighting(f)},
        paper="2, version 1",
        rtol=1e-9,
        atol=1e-9,
    )


def _a_weighted_mel():
    bank = mel_filterbank(32000, 1024, 128, 0, 16000).T
    weighting = a_weighting(np.arange(513) * 31.25)
    for variant, x in (
        ("sound", made_up(1500)),
        ("shortest", made_up(513)),
        ("silence", np.zeros(600, np.float32)),
    ):
        mistakes = []
        if variant == "sound":
            power = np.abs(_transform(np.pad(x, 512, mode="reflect"), hann(1024), 192)) ** 2
            zeros = np.abs(_transform(np.pad(x, 512), hann(1024), 192)) ** 2
            wrong = {
                "the mel bank summed powers, not decibels": decibels((power * 10 ** (weighting / 10)) @ bank),
                "there was no A-weighting": np.maximum(decibels(power), decibels(power).max() - 99) @ bank,
                "silence, not a mirror, lay beyond the ends": (decibels(zeros) + weighting) @ bank,
            }
            mistakes = _spectrograms(wrong)
        yield _front_end("a_weighted_mel", variant, "mel bank of A-weighted decibels", "2, version 1",
                         x, a_weighted_mel(x), mistakes)  # fmt: skip


def _log_filterbank():
    for variant, x in (
        ("sound", made_up(1100)),
        ("one_sample", -np.ones(1, np.float32)),
        ("silence", np.zeros(300, np.float32)),
    ):
        y = log_filterbank(x)
        mistakes = []
        if variant == "sound":
            linear = 10 ** y.astype(np.float64) - 1
            wrong = {
                "the logarithm was natural": np.log1p(linear),
                "the clip was not scaled to the peak 1": np.log10(1 + linear * np.abs(x).max()),
                "the logarithm was of x, floored, not of 1 + x": np.log10(np.maximum(linear, 1e-5)),
            }
            mistakes = _spectrograms(wrong)
        yield _front_end("log_filterbank", variant, "log10(1 + x), 26 bands an octave", "2, version 2",
                         x, y, mistakes)  # fmt: skip


def _log_mel_patches():
    bank = mel_filterbank(16000, 512, 64, 125, 7500, "htk", None).T
    slaney = mel_filterbank(16000, 512, 64, 125, 7500, "slaney", None).T
    for variant, x in (
        ("one_patch", made_up(15600)),
        ("frames_left_after_silence", np.pad(made_up(8000, 1), (8000, 0))),
    ):
        mistakes = []
        if variant == "one_patch":
            magnitudes = np.abs(_transform(x, hann(400), 160, 512))
            wrong = {
                "the logarithm was to base 10": np.log10(magnitudes @ bank + 0.01),
                "the bank summed powers, not magnitudes": np.log(magnitudes**2 @ bank + 0.01),
                "the mel scale was slaney's": np.log(magnitudes @ slaney + 0.01),
            }
            mistakes = _spectrograms({cause: y[None] for cause, y in wrong.items()})
        yield _front_end("log_mel_patches", variant, "patches of 96 frames, log(mel + 0.01)", "4, section 4",
                         x, log_mel_patches(x), mistakes)  # fmt: skip


def _decibel_mel():
    loud = made_up(800, 2)
    loud[:400] = 0
    for variant, x in (
        ("sound", made_up(1100)),
        ("half_silent", loud),
        ("shortest", made_up(257)),
        ("silence", np.zeros(600, np.float32)),
    ):
        mistakes = []
        if variant == "sound":
            bank = mel_filterbank(16000, 512, 64, 0, 8000, "htk", None)
            zeros = np.abs(_transform(np.pad(x, 256), hann(512), 160)) ** 2
            wrong = {
                "the mel scale was slaney's": log_mel(
                    x, mel_filterbank(16000, 512, 64, 0, 8000, norm=None), 160
                ),
                "triangles had the area 1": log_mel(x, mel_filterbank(16000, 512, 64, 0, 8000, "htk"), 160),
                "silence, not a mirror, lay beyond the ends": decibels(zeros @ bank.T),
                "the logarithm was natural": log_mel(x, bank, 160) * np.log(10) / 10,
            }
            mistakes = _spectrograms(wrong)
        yield _front_end("decibel_mel", variant, "mel power in decibels", "5",
                         x, decibel_mel(x), mistakes)  # fmt: skip


def _waveform():
    x = made_up(20)
    yield Case(
        "front_ends/waveform/sound", "the samples themselves", {"audio": x}, {"features": x}, paper="3"
    )


def _spectrograms(wrong):
    return [Mistake(cause, {"features": np.asarray(y, np.float32)}) for cause, y in wrong.items()]


def _front_end(name, variant, formula, paper, x, y, mistakes):
    """A case of a front end: computed in float64, given in float32."""
    atol = 1e-5 * max(1.0, float(np.abs(y).max()))
    return Case(
        f"front_ends/{name}/{variant}", formula, {"audio": x}, {"features": y}, paper, 0.0, atol, mistakes
    )
