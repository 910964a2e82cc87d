import base64
import re
import struct
import zlib
from inspect import isfunction
from io import BytesIO

import numpy as np
import pytest
import soundfile
from augment_support import noise, rms, tone
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from acdref import augment
from acdref.augment import AUGMENTATIONS, codecs
from acdref.errors import AcdrefError
from acdref.files import BusyError, claimed
from acdref.listen import EXAMPLES, LEVEL, examples, png, spectrogram, write_page

GREYS = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
PIXELS = hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)))


def decoded(data):
    """A reader of what the writer writes: chunks with their sums checked, then pixels and palette."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = {}, 8
    while at < len(data):
        (n,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + n]
        assert struct.unpack(">I", data[at + 8 + n : at + 12 + n]) == (zlib.crc32(kind + body),)
        chunks[kind] = body
        at += 12 + n
    assert list(chunks) == [b"IHDR", b"PLTE", b"IDAT", b"IEND"]
    width, height, *form = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert form == [8, 3, 0, 0, 0]
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, 1 + width)
    assert not rows[:, 0].any()
    return rows[:, 1:], np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3)


class TestExamples:
    def test_every_effect_is_there_and_changes_the_sound(self):
        x = tone(440, 16000) + noise(16000)
        found = list(examples(x))
        names = [name for name, _, _ in found]
        functions = {name for name, value in vars(augment).items() if isfunction(value)}
        functions -= {"room_response", "set_level"}
        assert {name.partition(",")[0] for name in names} == functions | {"original", "augmentation"}
        np.testing.assert_array_equal(found[0][2], x)
        for name, parameters, y in found[1:]:
            assert parameters
            assert np.isfinite(y).all(), name
            assert not np.array_equal(y, x), name
        assert len({y.tobytes() for _, _, y in found}) == len(found)

    def test_same_seed_same_examples(self):
        one, again, other = (list(examples(noise(9000), seed)) for seed in (1, 1, 2))
        assert all(np.array_equal(a, b) for (*_, a), (*_, b) in zip(one, again, strict=True))
        assert any(not np.array_equal(a, b) for (*_, a), (*_, b) in zip(one, other, strict=True))

    def test_missing_codecs_are_left_out(self, monkeypatch):
        monkeypatch.setattr(codecs, "available", lambda sr: ("mp3",))
        names = {name for name, _, _ in examples(noise(9000), augmentation=AUGMENTATIONS["none"])}
        assert {name for name in names if name.startswith("recode")} == {"recode, mp3"}


class TestSpectrogram:
    def test_a_tone_is_a_line_at_its_place(self):
        pixels, palette = decoded(spectrogram(tone(2000, 16000)))
        assert pixels.shape == (257, 61)
        assert (pixels[256 - 64] == len(palette) - 1).all()
        assert pixels[:150].max() < len(palette) // 2
        assert palette[0].sum() < palette[-1].sum()

    @pytest.mark.parametrize("n", [1, 100, 5000])
    def test_silence_of_any_length_is_dark(self, n):
        assert not decoded(spectrogram(np.zeros(n, np.float32)))[0].any()


class TestPicture:
    @given(PIXELS)
    def test_there_and_back(self, pixels):
        found, palette = decoded(png(pixels, GREYS))
        np.testing.assert_array_equal(found, pixels)
        np.testing.assert_array_equal(palette, GREYS)

    @given(PIXELS)
    def test_another_reader_agrees(self, pixels):
        image = pytest.importorskip("matplotlib.image")
        found = image.imread(BytesIO(png(pixels, GREYS)), format="png")
        np.testing.assert_array_equal(np.rint(found[..., 0] * 255), pixels)

    @pytest.mark.parametrize(
        ("pixels", "palette", "words"),
        [
            (np.zeros((2, 2)), GREYS, "matrix of uint8, not float64"),
            (np.zeros(2, np.uint8), GREYS, "matrix"),
            (np.zeros((0, 2), np.uint8), GREYS, "matrix"),
            (np.full((2, 2), 3, np.uint8), GREYS[:3], "colour for every pixel"),
            (np.zeros((2, 2), np.uint8), GREYS[:, :2], "palette"),
            (np.zeros((2, 2), np.uint8), np.zeros((300, 3), np.uint8), "palette"),
        ],
    )
    def test_what_is_no_picture(self, pixels, palette, words):
        with pytest.raises(ValueError, match=words):
            png(pixels, palette)


class TestPage:
    def test_files_beside_a_page_that_names_them_all(self, tmp_path):
        names = ["a & <b>.wav", "ü 100%.wav"]
        for name in names:
            soundfile.write(tmp_path / name, noise(20000), 16000)
        page = write_page(tmp_path / "new" / "out", [tmp_path / name for name in names])
        text = page.read_text(encoding="utf-8")
        wavs = sorted(path.name for path in page.parent.glob("*.wav"))
        assert sorted(re.findall(r'src="([^"]*\.wav)"', text)) == wavs
        assert len(wavs) == len(list(page.parent.iterdir())) - 1
        assert len(wavs) > 2 * len(EXAMPLES)
        assert "a &amp; &lt;b&gt;.wav" in text
        assert not re.search(r"https?:", text)
        pictures = re.findall(r"base64,([^\"]+)", text)
        assert len(pictures) == len(wavs)
        assert decoded(base64.b64decode(pictures[0]))[0].shape == (257, 77)
        for name in wavs:
            x, sr = soundfile.read(page.parent / name)
            assert sr == 16000
            assert 20 * np.log10(rms(x)) == pytest.approx(LEVEL, abs=0.1)

    def test_ten_seconds_of_a_long_recording(self, tmp_path):
        soundfile.write(tmp_path / "long.wav", noise(200000), 16000)
        page = write_page(tmp_path, [tmp_path / "long.wav"])
        assert soundfile.info(page.parent / "1-00-original.wav").frames == 160000

    def test_broken_recordings_are_left_out_and_named(self, tmp_path):
        (tmp_path / "bad.wav").write_text("no sound")
        soundfile.write(tmp_path / "good.wav", noise(5000), 16000)
        failures = []
        write_page(tmp_path, [tmp_path / "bad.wav", tmp_path / "good.wav"], on_failure=failures.append)
        assert [error.path for error in failures] == [str(tmp_path / "bad.wav")]
        with pytest.raises(AcdrefError, match="none of the recordings"):
            write_page(tmp_path / "out", [tmp_path / "bad.wav"])
        assert not (tmp_path / "out").exists()

    def test_the_second_run_is_refused(self, tmp_path):
        with claimed(tmp_path / "out"), pytest.raises(BusyError, match="out: another run is writing it"):
            write_page(tmp_path / "out")

    def test_a_folder_that_cannot_be_made(self, tmp_path):
        (tmp_path / "file").write_text("")
        soundfile.write(tmp_path / "good.wav", noise(5000), 16000)
        with pytest.raises(AcdrefError, match=r"file: "):
            write_page(tmp_path / "file", [tmp_path / "good.wav"])
