"""What is lost of a recording is told, in every format whose header tells; nothing else is."""

import struct

import numpy as np
import pytest
from audio_support import RATE, encoded, loaded, quiet_then_loud, sound

from acdref.errors import AudioError


@pytest.mark.parametrize(
    "kind",
    [
        "AIFF PCM_16", "AIFF IMA_ADPCM", "AU PCM_24", "AU FLOAT", "CAF ALAC_16", "CAF PCM_16", "FLAC PCM_16",
        "MAT4 FLOAT", "MP3 MPEG_LAYER_III", "OGG OPUS", "OGG VORBIS", "RF64 PCM_16",
        "SDS PCM_S8", "SDS PCM_16", "W64 PCM_16",
        "W64 GSM610", "W64 MS_ADPCM", "WAV PCM_16", "WAV MS_ADPCM", "WAV GSM610", "WAVEX FLOAT",
    ],
)  # fmt: skip
def test_what_comes_after_the_sound_is_told(tmp_path, kind):
    """All is decoded, or there is a note; none for what is whole, or padded."""
    form, subtype = kind.split()
    sr = 16000 if subtype in ("OPUS", "GSM610") else RATE
    content = encoded(sound(1, sr=sr), sr, format=form, subtype=subtype)
    for tail in (b"", bytes(20000), b"TAG" + bytes(125)):
        x, notes = loaded(tmp_path / "x", content + tail, sr)
        assert (abs(len(x) - sr) < sr / 10 or subtype == "PCM_16") and notes == []
    junk = np.random.default_rng(0).bytes(50_000)
    for tail in (junk, content):
        try:
            x, notes = loaded(tmp_path / "x", content + tail, sr)
        except AudioError:  # told, too
            continue
        assert notes or len(x) > 1.4 * sr


@pytest.mark.parametrize(
    "kind",
    [
        "AIFF PCM_16", "AU PCM_16", "AVR PCM_16", "FLAC PCM_16", "MAT4 FLOAT", "MAT5 PCM_16",
        "MP3 MPEG_LAYER_III", "MPC2K PCM_16", "NIST PCM_16", "OGG OPUS", "OGG VORBIS", "RF64 PCM_16",
        "SDS PCM_16", "SVX PCM_16", "VOC PCM_16", "W64 PCM_16", "WAV PCM_16", "WVE ALAW",
    ],
)  # fmt: skip
@pytest.mark.parametrize("share", [0.7, 0.95])
def test_what_is_cut_is_told(tmp_path, kind, share):
    form, subtype = kind.split()
    sr = {"OPUS": 16000, "ALAW": 8000}.get(subtype, RATE)
    content = encoded(quiet_then_loud(3)[-round(1.5 * sr) :], sr, format=form, subtype=subtype)
    assert loaded(tmp_path / "x", content, sr)[1] == []
    x, notes = loaded(tmp_path / "x", content[: int(len(content) * share)], sr)
    assert len(notes) == 1 and notes[0].startswith("ends early") and len(x) > 0.5 * share * sr


@pytest.mark.parametrize("kind", ["AIFF PCM_16", "AU PCM_16", "CAF PCM_16", "WAV PCM_16", "WAVEX PCM_16"])
def test_a_size_that_is_too_small_is_told(tmp_path, kind):
    form, subtype = kind.split()
    content = bytearray(encoded(sound(1), format=form, subtype=subtype))
    mark = {"AIFF": b"SSND", "AU": b".snd", "CAF": b"data"}.get(form, b"data")
    order, where, size = {"AIFF": (">I", 4, 44108), "AU": (">I", 8, 44100), "CAF": (">q", 4, 44104)}.get(
        form, ("<I", 4, 44100)
    )
    struct.pack_into(order, content, content.index(mark) + where, size)
    x, notes = loaded(tmp_path / "x", bytes(content))
    assert notes or len(x) == RATE


def test_a_nist_header_without_a_count(tmp_path):
    content = encoded(sound(1), format="NIST", subtype="PCM_16").replace(b"sample_count", b"sample_c0unt")
    x, notes = loaded(tmp_path / "x", content)
    assert len(x) == RATE and notes == []
