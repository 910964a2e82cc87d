import numpy as np
import pytest
import soundfile
from augment_support import click, energy, noise, tone
from hypothesis import given, settings
from hypothesis import strategies as st

from acdref.augment import codecs, recode

ALL = [
    pytest.param(
        codec, marks=pytest.mark.skipif(codec not in codecs.available(), reason="not in this libsndfile")
    )
    for codec in codecs.FORMATS
]
every = pytest.mark.parametrize("codec", ALL)


def chirps(n):
    """Something with a sharp autocorrelation that every codec keeps."""
    t = np.arange(n) / 16000
    return (np.sin(2 * np.pi * (300 * t + 1500 * t**2)) * np.sin(2 * np.pi * 3 * t)).astype(np.float32)


@every
class TestRecode:
    @settings(max_examples=15)
    @given(n=st.integers(1, 9000), quality=st.floats(0, 1))
    def test_any_length_and_quality(self, codec, n, quality):
        x = noise(n)
        before = x.copy()
        y = recode(x, codec, quality)
        np.testing.assert_array_equal(x, before)
        assert y.shape == (n,)
        assert y.dtype == np.float32
        assert np.isfinite(y).all()
        assert energy(y) <= 2 * energy(x)

    @pytest.mark.parametrize("quality", [0.0, 0.3, 1.0])
    def test_nothing_is_delayed(self, codec, quality):
        x = chirps(32000)
        y = recode(x, codec, quality)
        spectrum = np.fft.rfft(y, 2**16) * np.conj(np.fft.rfft(x, 2**16))
        correlation = np.fft.irfft(spectrum)
        assert np.argmax(correlation) == 0
        assert correlation[0] > 0.4 * energy(x)

    def test_better_quality_is_closer(self, codec):
        x = chirps(32000) + 0.1 * noise(32000)
        errors = [energy(recode(x, codec, quality) - x) / energy(x) for quality in (0.0, 1.0)]
        assert errors[1] < 0.1 < 0.5
        assert errors[1] < errors[0]

    @pytest.mark.parametrize("scale", [2.0**-100, 2.0**20])
    def test_level_makes_no_difference(self, codec, scale):
        x = tone(440, 8000)
        y = recode(x, codec, 0.5)
        np.testing.assert_array_equal(recode(x * np.float32(scale), codec, 0.5) / np.float32(scale), y)

    def test_the_same_each_time(self, codec):
        x = chirps(20000)
        np.testing.assert_array_equal(recode(x, codec, 0.2), recode(x, codec, 0.2))

    def test_silence_stays_silence(self, codec):
        y = recode(np.zeros(5000, np.float32), codec, 0.0)
        assert y.shape == (5000,)
        assert not y.any()

    def test_a_click_does_no_harm(self, codec):
        y = recode(click(3000, 1500) * np.float32(1e10), codec, 0.0)
        assert np.isfinite(y).all()

    @pytest.mark.parametrize("quality", [-0.1, 1.1, np.nan])
    def test_impossible_quality(self, codec, quality):
        with pytest.raises(ValueError, match=f"within \\[0, 1\\], not {quality}"):
            recode(tone(440, 1000), codec, quality)


def test_unknown_codec():
    with pytest.raises(ValueError, match="'aac': choose one of 'vorbis', 'opus', 'mp3'"):
        recode(tone(440, 1000), "aac", 0.5)


def test_a_rate_that_the_codec_does_not_know():
    with pytest.raises(ValueError, match="opus at 1234 Hz"):
        recode(tone(440, 1000), "opus", 0.5, 1234)


def test_a_build_without_an_encoder(monkeypatch):
    encode = soundfile.SoundFile

    def without_vorbis(file, mode="r", *arguments, **options):
        if "VORBIS" in arguments:
            raise ValueError("Invalid combination of format, subtype and endian")
        return encode(file, mode, *arguments, **options)

    monkeypatch.setattr(soundfile, "SoundFile", without_vorbis)
    assert "vorbis" not in codecs.available.__wrapped__(16000)
    with pytest.raises(ValueError, match="vorbis at 16000 Hz: Invalid combination"):
        recode(tone(440, 1000), "vorbis", 0.5)
