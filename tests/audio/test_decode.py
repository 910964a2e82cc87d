"""Decoding and windows.  The contract for damaged files is in test_decode_bad_input.py."""

import subprocess
import sys

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from acdref.audio import decode as audio
from acdref.matmul import matmul

rng = np.random.default_rng(7)


def noise(*shape, level=0.5):
    return rng.uniform(-level, level, shape).astype(np.float32)


def tone(hertz, sr, seconds):
    return np.sin(2 * np.pi * hertz / sr * np.arange(round(sr * seconds)))


@pytest.fixture
def write(tmp_path):
    def write(x, sr=16000, name="x.wav", **options):
        options = {"subtype": "FLOAT"} | options if name.endswith(".wav") else options
        soundfile.write(tmp_path / name, x, sr, **options)
        return tmp_path / name

    return write


# load

lossless = [
    ("WAV", "PCM_U8", 7),
    ("WAV", "PCM_16", 15),
    ("WAV", "PCM_24", 23),
    ("WAV", "PCM_32", 24),
    ("WAV", "FLOAT", 24),
    ("WAV", "DOUBLE", 24),
    ("FLAC", "PCM_S8", 7),
    ("FLAC", "PCM_16", 15),
    ("FLAC", "PCM_24", 23),
    ("AIFF", "PCM_S8", 7),
    ("AIFF", "PCM_24", 23),
    ("CAF", "ALAC_16", 15),
    ("W64", "PCM_16", 15),
    ("RF64", "PCM_16", 15),
    ("AU", "PCM_16", 15),
]


@pytest.mark.parametrize(("container", "subtype", "bits"), lossless)
def test_lossless_formats(write, container, subtype, bits):
    x = noise(20000)
    notes = []
    y = audio.load(write(x, name="x", format=container, subtype=subtype), report=notes.append)
    assert y.dtype == np.float32 and y.shape == x.shape
    assert np.abs(y - x).max() <= 2.0**-bits
    assert notes == []


@pytest.mark.parametrize(
    ("container", "subtype"), [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")]
)
@pytest.mark.parametrize("seconds", [0.4, 5])
def test_lossy_formats(write, container, subtype, seconds):
    if subtype not in soundfile.available_subtypes(container):
        pytest.skip(f"this libsndfile has no {subtype}")
    x = 0.5 * tone(440, 48000, seconds)
    notes = []
    y = audio.load(write(x, 48000, "x", format=container, subtype=subtype), 48000, notes.append)
    assert y.shape == x.shape
    assert np.corrcoef(x, y)[0, 1] > 0.99
    assert notes == []


def test_the_name_does_not_matter(write, tmp_path):
    x = noise(1000)
    path = write(x)
    for name in ("x.mp3", "x.raw", "x.gsm", "x", "é\n.wav"):
        path = path.rename(tmp_path / name)
        np.testing.assert_array_equal(audio.load(path), x)
    np.testing.assert_array_equal(audio.load(str(path)), x)


def test_a_flac_that_does_not_know_its_length(write):
    x = noise(20000)
    path = write(x, name="x.flac", subtype="PCM_24")
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # the 36 bits of STREAMINFO's total
    data[22:26] = bytes(4)
    path.write_bytes(data)
    notes = []
    assert audio.load(path, report=notes.append).shape == x.shape
    assert notes == []


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 64])
def test_channels_are_averaged(write, channels):
    x = noise(10000, channels)
    y = audio.load(write(x))
    np.testing.assert_allclose(y, x.mean(axis=1, dtype=np.float64), rtol=0, atol=1e-7)


@pytest.mark.parametrize("channels", [1, 3])
def test_frames_are_the_recording_as_it_is(write, channels):
    """Over several pieces, whose mean is what is loaded."""
    x, sr = noise(40000, channels), 44100
    path = write(x, sr)
    pieces = [(samples.copy(), rate, subtype) for samples, rate, subtype in audio.frames(path)]
    assert len(pieces) > 1 and {piece[1:] for piece in pieces} == {(sr, "FLOAT")}
    whole = np.concatenate([piece[0] for piece in pieces])
    np.testing.assert_array_equal(whole, x)
    np.testing.assert_array_equal(audio.mean_of_channels(whole), audio.load(path, sr))


def test_bit_equal_whatever_the_number_of_blas_threads(write, with_blas_threads):
    paths = [str(write(noise(20001, channels), name=f"{channels}.wav")) for channels in (2, 3, 6, 63, 64)]
    one, two = with_blas_threads(f"""if True:
        import hashlib
        from acdref.audio import decode as audio

        for path in {paths}:
            print(hashlib.sha256(audio.load(path, 8000).tobytes()).hexdigest())
    """)
    assert one == two
    assert one.count("\n") == 5


def test_equal_channels_average_to_themselves(write):
    x = noise(10000)
    np.testing.assert_array_equal(audio.load(write(np.stack([x, x], axis=1))), x)


def test_beyond_full_scale_is_kept(write):
    x = noise(1000, level=30)
    np.testing.assert_array_equal(audio.load(write(x)), x)


def test_one_sample(write):
    assert audio.load(write(np.array([0.25]))).tolist() == [0.25]
    assert audio.load(write(np.array([0.25]), 44100)).shape == (1,)


@pytest.mark.parametrize("sr", [8000, 22050, 44100, 48000])
def test_load_resamples(write, sr):
    x = noise(2 * sr)
    path = write(x, sr)
    np.testing.assert_array_equal(audio.load(path), audio.resample(x, sr, 16000, level=None))
    np.testing.assert_array_equal(audio.load(path, sr), x)
    as_it_is, own_rate = audio.load_unresampled(path)
    np.testing.assert_array_equal(as_it_is, x)
    assert own_rate == sr


def test_decoding_needs_no_scipy_and_no_numba(write):
    path = write(noise(44100, 2), 44100)
    code = (
        "import sys\nfrom acdref import audio\nassert 'soundfile' not in sys.modules\n"
        f"audio.load({str(path)!r})\nassert not {{'scipy', 'numba', 'torch'}} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# blocks


@given(
    n=st.integers(1, 9000),
    size=st.integers(1, 9000),
    hop=st.integers(50, 9000),
)
@settings(max_examples=60, deadline=None)
def test_windows_cover_the_recording_once(tmp_path_factory, n, size, hop):
    path = tmp_path_factory.getbasetemp() / "windows.wav"
    x = noise(n)
    soundfile.write(path, x, 4000, subtype="FLOAT")
    windows = list(audio.blocks(path, 4000, size / 4000, hop / 4000))
    for i, window in enumerate(windows):
        assert (window.start, window.end) == (i * hop / 4000, (i * hop + len(window.samples)) / 4000)
        np.testing.assert_array_equal(window.samples, x[i * hop : i * hop + size])
        assert len(window.samples) > 0
    assert all(len(window.samples) == size for window in windows[:-1])
    reached = (len(windows) - 1) * hop + size
    assert reached >= n or len(windows) * hop >= n  # nothing is left, or only what lies between windows
    assert len(windows) == 1 or reached - hop < n  # the last window brings something new


def test_windows_joined_are_the_recording(write):
    path = write(noise(44100 * 3, 2), 44100)
    whole = audio.load(path)
    for seconds in (0.01, 0.5, 1.1, 100):
        joined = np.concatenate([window.samples for window in audio.blocks(path, 16000, seconds)])
        np.testing.assert_array_equal(joined, whole)


def test_windows_are_the_callers_own(write):
    x = noise(4000)
    for window in audio.blocks(write(x), 16000, 0.1, 0.05):
        np.testing.assert_array_equal(window.samples, x[int(window.start * 16000) :][: len(window.samples)])
        window.samples[:] = np.nan


@pytest.mark.parametrize(
    ("seconds", "hop"), [(0, None), (-1, None), (1, 0), (1e-9, 1), (np.nan, 1), (1, np.inf)]
)
def test_impossible_windows_are_refused_at_the_call(seconds, hop):
    with pytest.raises(ValueError, match="holds no sample"):
        audio.blocks("never opened", 16000, seconds, hop)


def test_impossible_rates_are_refused_at_the_call():
    for sr in (0, 999, 768001, -16000):
        with pytest.raises(ValueError, match=f"not {sr}"):
            audio.blocks("never opened", sr, 1)
        with pytest.raises(ValueError, match=f"not {sr}"):
            audio.load("never opened", sr)
        with pytest.raises(ValueError, match=f"not {sr}"):
            audio.resample(np.zeros(5), 16000, sr)
    with pytest.raises(TypeError):
        audio.load("never opened", 16000.0)


@pytest.mark.parametrize(("sr", "channels"), [(16000, 1), (44100, 2), (48000, 3)])
def test_samples_in_memory_are_windows_as_those_of_a_file_are(write, sr, channels):
    """Bit for bit, though a file is decoded in blocks; and a view of other strides is the same sound."""
    x = noise(2 * sr * channels).reshape(-1, channels)
    of_file = list(audio.blocks(write(x, sr), 16000, 0.7, 0.5))
    for samples in (x, np.asfortranarray(x), np.repeat(x, 2, axis=0)[::2]):
        in_memory = list(audio.blocks_of(samples, sr, 16000, 0.7, 0.5))
        assert [block[:2] for block in in_memory] == [block[:2] for block in of_file]
        for one, other in zip(in_memory, of_file, strict=True):
            np.testing.assert_array_equal(one.samples, other.samples)


def test_integers_in_memory_are_scaled_as_libsndfile_does(write):
    x = np.random.default_rng(0).integers(-(2**31), 2**31, 5000, dtype=np.int32)
    path = write(x, 16000, subtype="PCM_32")
    (block,) = audio.blocks_of(x, 16000, 16000, 1)
    np.testing.assert_array_equal(block.samples, audio.load(path))


def test_integers_without_sign_are_zero_in_the_middle():
    (block,) = audio.blocks_of(np.array([0, 128, 255] * 6000, np.uint8), 16000, 16000, 2)
    np.testing.assert_array_equal(block.samples[:3], np.float32([-1, 0, 127 / 128]))


def test_samples_in_memory_are_not_changed():
    x = noise(40000)
    before = x.copy()
    for block in audio.blocks_of(x, 16000, 16000, 1):
        block.samples[:] = 9
    np.testing.assert_array_equal(x, before)


def test_the_mean_of_one_channel_is_the_channel_with_the_bits_of_the_product():
    x = np.array([[-0.0], [0.0], [1.5], [1e-45], [-np.inf], [np.nan]], np.float32)
    found = audio.mean_of_channels(x)
    with np.errstate(invalid="ignore"):
        product = matmul(x, np.ones((1, 1), np.float32))[:, 0]
    np.testing.assert_array_equal(found.view(np.uint32), product.view(np.uint32))
    np.testing.assert_array_equal(found, x[:, 0])
    assert not np.signbit(found[0]) and not np.shares_memory(found, x)
