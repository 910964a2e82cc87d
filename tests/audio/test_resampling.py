import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acdref.audio import decode as audio
from acdref.audio import resampling
from acdref.audio.resampling import resample

rng = np.random.default_rng(7)


def noise(n):
    return rng.uniform(-1, 1, n).astype(np.float32)


def tone(hertz, sr, seconds):
    return np.sin(2 * np.pi * hertz / sr * np.arange(round(sr * seconds)))


def test_is_part_of_audio():
    assert audio.resample is resample


rates = [
    (44100, 16000),
    (48000, 16000),
    (22050, 16000),
    (11025, 16000),
    (8000, 16000),
    (37800, 16000),
    (96000, 16000),
    (192000, 16000),
    (44056, 16000),
    (16001, 16000),
    (16000, 48000),
    (16000, 44100),
    (1000, 768000),
]


@pytest.mark.parametrize(("sr_in", "sr_out"), rates)
@pytest.mark.parametrize("seconds", [0.001, 0.3, 2.2])
def test_matches_scipy(sr_in, sr_out, seconds):
    signal = pytest.importorskip("scipy.signal")
    x = noise(round(sr_in * seconds))
    divisor = np.gcd(sr_in, sr_out)
    up, down = sr_out // divisor, sr_in // divisor
    most = max(up, down)
    window = signal.firwin(2 * 64 * most + 1, 0.95 / most, window=("kaiser", 12))
    expected = signal.resample_poly(x.astype(np.float64), up, down, window=window)
    y = resample(x, sr_in, sr_out)
    assert y.dtype == np.float32
    assert y.shape == expected.shape
    np.testing.assert_allclose(y, expected, rtol=0, atol=3e-6)


def gain(hertz, sr_in, sr_out):
    """Level of a resampled tone, in dB, away from the ends."""
    y = resample(tone(hertz, sr_in, 0.5), sr_in, sr_out).astype(np.float64)
    middle = y[len(y) // 4 : -len(y) // 4]
    return 10 * np.log10(2 * np.mean(middle**2))


@pytest.mark.parametrize(("sr_in", "sr_out"), [(44100, 16000), (48000, 16000), (8000, 16000), (16000, 44100)])
def test_flat_in_the_passband_and_silent_beyond(sr_in, sr_out):
    nyquist = min(sr_in, sr_out) / 2
    for fraction in (0.01, 0.1, 0.3, 0.5, 0.7, 0.8, 0.85, 0.9):
        assert abs(gain(fraction * nyquist, sr_in, sr_out)) < 0.01
    for fraction in np.linspace(1.02, sr_in / 2 / nyquist, 20, endpoint=False) if sr_in > sr_out else ():
        assert gain(fraction * nyquist, sr_in, sr_out) < -119


@pytest.mark.parametrize(("sr_in", "sr_out"), [*rates[:6], (48001, 16000)])
@pytest.mark.parametrize("size", [1, 777, 4096, 100000])
@pytest.mark.parametrize("level", [0.0, None])
def test_streaming_is_bit_equal(sr_in, sr_out, size, level):
    x = noise(sr_in // (100 if size == 1 else 1) * 2 + 13)
    parts = (x[i : i + size] for i in range(0, len(x), size))
    streamed = np.concatenate(list(resampling.resampled(parts, sr_in, sr_out, level)))
    np.testing.assert_array_equal(streamed, resample(x, sr_in, sr_out, level))


@pytest.mark.parametrize(("sr_in", "sr_out"), [*rates[:6], (48001, 16000), (16000, 44100), (16000, 16000)])
@pytest.mark.parametrize("size", [160, 3333])
def test_what_is_certain_comes_at_once_and_bit_equal(sr_in, sr_out, size):
    """Within the half of the filter, 64 periods of the lower rate, and a group of 64 samples."""
    x = noise(sr_in // 2 + 13)
    latest = 64 / min(sr_in, sr_out) + 64 / sr_out
    given = [0]

    def parts():
        for i in range(0, len(x), size):
            yield x[i : i + size]
            yield None
            given.append(min(i + size, len(x)))
            assert sum(map(len, streamed)) / sr_out >= given[-1] / sr_in - latest

    streamed = []
    for part in resampling.resampled(parts(), sr_in, sr_out, 0.0):
        streamed.append(part)
    assert len(given) > 2
    np.testing.assert_array_equal(np.concatenate(streamed), resample(x, sr_in, sr_out, 0.0))


@pytest.mark.parametrize(("sr_in", "sr_out"), [*rates[:6], (16000, 44100), (16000, 16000)])
@pytest.mark.parametrize("seconds", [0.001, 0.3, 2.2])
def test_an_offset_comes_out_as_it_went_in(sr_in, sr_out, seconds):
    """The edges of a recording are no steps, however short it is and whatever its offset."""
    x = 0.1 * noise(round(sr_in * seconds))
    y = resample(x, sr_in, sr_out, level=None)
    for offset in (-0.1, 0.003, 0.5):
        shifted = resample(x + np.float32(offset), sr_in, sr_out, level=None)
        np.testing.assert_allclose(shifted, y + offset, rtol=0, atol=5e-7)
    flat = resample(np.full(len(x), 0.25, np.float32), sr_in, sr_out, level=None)
    np.testing.assert_array_equal(flat, np.full(len(y), 0.25))


def test_the_level_is_that_of_the_beginning():
    x = np.repeat(np.float32([0.5, -0.5]), 16384)
    y = resample(x, 44100, 16000, level=None)
    np.testing.assert_array_equal(y, resample(x, 44100, 16000, level=0.5))
    np.testing.assert_array_equal(y, resample(x - np.float32(0.5), 44100, 16000) + np.float32(0.5))
    assert len(resample(np.zeros(0), 44100, 16000, level=None)) == 0


@given(st.integers(1000, 768000), st.integers(1000, 768000))
@settings(max_examples=300, deadline=None)
def test_any_ratio_is_nearly_right_and_its_terms_are_small(sr_in, sr_out):
    up, down = resampling._ratio(sr_in, sr_out)
    assert min(up, down) >= 1 and max(up, down) <= 16384
    assert abs(up / down / (sr_out / sr_in) - 1) < 62e-6


@pytest.mark.parametrize(("sr_in", "sr_out"), [(48001, 16000), (16000, 48001), (767999, 16000)])
def test_ratios_without_a_common_factor(sr_in, sr_out):
    y = resample(tone(440, sr_in, 0.6), sr_in, sr_out)
    ideal = tone(440, sr_out, 1)[: len(y)]
    middle = slice(len(y) // 4, -len(y) // 4)
    assert np.abs(y - ideal)[middle].max() < 440 * 2 * np.pi * 0.6 * 62e-6
    assert sum(matrix.nbytes for *_, matrix in resampling._filters(sr_in, sr_out)[2]) < 40e6


@pytest.mark.parametrize(("sr_in", "sr_out"), rates)
def test_resampled_length(sr_in, sr_out):
    for n in (0, 1, 2, 1000):
        assert resample(np.zeros(n), sr_in, sr_out).shape == (-(-n * sr_out // sr_in),)


def test_same_rate_is_a_copy():
    x = noise(100)
    y = resample(x, 16000, 16000)
    np.testing.assert_array_equal(y, x)
    assert not np.shares_memory(x, y)


def test_samples_stay_at_their_times():
    x = np.zeros(44100)
    x[22050] = 1  # at 0.5 s
    assert np.argmax(resample(x, 44100, 16000)) == 8000


@pytest.mark.parametrize(
    ("x", "cause"),
    [
        (np.zeros((2, 5)), "vector"),
        (np.zeros(5, np.int16), "floats"),
        (np.array([0, np.nan]), "finite"),
        (np.array([0, np.inf]), "finite"),
    ],
)
def test_what_resample_refuses(x, cause):
    with pytest.raises(ValueError, match=cause):
        resample(x, 44100, 16000)


def test_bit_equal_whatever_the_number_of_blas_threads(with_blas_threads):
    one, two = with_blas_threads(f"""if True:
        import hashlib
        import numpy as np
        from acdref.audio.resampling import resample

        rng = np.random.default_rng(0)
        for sr_in, sr_out in {[*rates, (48001, 16000)]}:
            y = resample(rng.standard_normal(sr_in), sr_in, sr_out)
            print(sr_in, sr_out, hashlib.sha256(y.tobytes()).hexdigest())
    """)
    assert one == two
    assert one.count("\n") == 1 + len(rates)
