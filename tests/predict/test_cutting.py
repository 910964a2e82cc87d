"""Clips: the very samples of the recording, under names of their own."""

import os

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from predict_support import noise, write, write_damaged, write_truncated

from acdref.errors import AudioError, FileError
from acdref.predict.cutting import ClipNames, Piece, cut


@pytest.mark.parametrize("form", ["flac", "wav"])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_U8"])
def test_samples_are_those_of_the_recording(tmp_path, form, subtype):
    """Overlapping clips over several decoded blocks, in any order; two channels at 44.1 kHz."""
    x = np.stack([noise(3, 0.3, seed, 44100) for seed in (0, 1)], axis=1)
    path = write(tmp_path / "x.wav", x, 44100, subtype=subtype)
    x, _ = soundfile.read(path)
    spans = [(1.0, 2.5), (0.0, 0.25), (0.1, 2.0), (2.9, 9.0)]
    clips = [Piece(*span, str(tmp_path / f"{i}.{form}")) for i, span in enumerate(spans)]
    assert sorted(cut(path, clips)) == sorted(clips)
    for clip in clips:
        y, rate = soundfile.read(clip.place)
        assert rate == 44100
        np.testing.assert_array_equal(y, x[round(clip.onset * rate) : round(clip.offset * rate)])


def test_floats_beyond_full_scale(tmp_path):
    x = 3 * noise(1, 1.0)
    path = write(tmp_path / "x.wav", x, subtype="FLOAT")
    clips = [Piece(0.5, 1.0, str(tmp_path / name)) for name in ("a.wav", "a.flac")]
    list(cut(path, clips))
    np.testing.assert_array_equal(soundfile.read(clips[0].place, dtype="float32")[0], x[8000:])
    y = soundfile.read(clips[1].place, dtype="float64")[0]
    np.testing.assert_allclose(y, np.clip(x[8000:], -1, 1 - 2**-23), atol=2**-24)


def test_an_event_of_no_length_is_one_frame(tmp_path):
    path = write(tmp_path / "x.wav", noise(1))
    list(cut(path, [Piece(0.5, 0.5, str(tmp_path / "a.wav"))]))
    assert soundfile.info(tmp_path / "a.wav").frames == 1


def test_a_recording_that_breaks_off(tmp_path):
    """Clips before the damage are there, those in it or after it are not, nor what they began."""
    path = write_damaged(tmp_path / "x.wav", good=5)
    clips = [Piece(on, on + 1, str(tmp_path / f"{on}.wav")) for on in (1.0, 4.5, 6.0)]
    found = []
    with pytest.raises(AudioError, match=r"a sample of nan at 5\.000 s"):
        found += cut(path, clips)
    assert found == clips[:1] and sorted(os.listdir(tmp_path)) == ["1.0.wav", "x.wav"]


def test_a_recording_that_ends_before(tmp_path):
    path = write_truncated(tmp_path / "x.wav", 5, 2)
    clips = [Piece(1.5, 2.5, str(tmp_path / "a.wav")), Piece(3.0, 4.0, str(tmp_path / "b.wav"))]
    with pytest.raises(AudioError, match=r"ends at 2\.000 s, before an event at 3\.000 s"):
        list(cut(path, clips))
    assert soundfile.info(clips[0].place).frames == 8000 and not os.path.exists(clips[1].place)


def test_what_flac_cannot_hold(tmp_path):
    path = write(tmp_path / "x.wav", np.zeros((100, 9)))
    with pytest.raises(FileError, match=r"a\.flac: cannot be written"):
        list(cut(path, [Piece(0, 1, str(tmp_path / "a.flac"))]))
    assert os.listdir(tmp_path) == ["x.wav"]
    list(cut(path, [Piece(0, 1, str(tmp_path / "a.wav"))]))
    assert soundfile.info(tmp_path / "a.wav").channels == 9


def test_a_missing_recording(tmp_path):
    with pytest.raises(AudioError, match="no such file"):
        list(cut(str(tmp_path / "none.wav"), [Piece(0, 1, str(tmp_path / "a.wav"))]))


@given(
    st.lists(st.tuples(st.sampled_from(["a/x.wav", "b/x.wav", "A/X.flac", "../x", "/", "ü" * 300]),
                       st.text(max_size=60), st.sampled_from([0.0, 0.0001, 3.5])), max_size=12)
)  # fmt: skip
def test_names_differ_and_stay_in_the_folder(events):
    names = ClipNames("out", "flac")
    places = [names.place(path, label, onset, onset + 1) for path, label, onset in events]
    assert len({place.casefold() for place in places}) == len(places)
    for place in places:
        folder, name = os.path.split(place)
        assert folder == "out" and not name.startswith(".") and name.endswith(".flac")
        assert len(name.encode()) < 240 and not set(name) & set('\0/\\:*?"<>|\n')


def test_names_are_settled_by_the_inputs(tmp_path):
    names = ClipNames(tmp_path, "flac", ["a/x.wav", "b/x.wav"])
    assert names.place("b/x.wav", "dog", 0, 1) == str(tmp_path / "b_x_0.000-1.000_dog.flac")


def test_no_input_is_replaced(tmp_path):
    """An earlier clip may be a recording now, by another name or letters of another size."""
    earlier = write(tmp_path / "X_0.000-1.000_dog.flac", noise(1))
    link = tmp_path / "x_0.000-1.000_dog-2.flac"
    link.symlink_to(write(tmp_path / "y.flac", noise(1)))
    names = ClipNames(tmp_path, "flac", [earlier, str(link)])
    assert names.place("x.wav", "dog", 0, 1) == str(tmp_path / "x_0.000-1.000_dog-3.flac")
