"""Features on the disk: what the front end gives, whatever is broken, wherever it was killed."""

import numpy as np
import pytest
import soundfile
from predict_support import noise, write
from recipes_support import Killed, dying_at
from train_support import Recorder

from acdref.audio import decode as audio
from acdref.errors import AcdrefError
from acdref.features.front_ends import FRONT_ENDS, SHORTEST, front_end, without_offset
from acdref.fit import Observer, Stopped
from acdref.nets import registry
from acdref.recipes import features
from acdref.recipes.features import excerpt, fewest_samples
from acdref.tables.manifest import Manifest

FRONT = FRONT_ENDS["decibel-mel"]


@pytest.fixture
def recordings(tmp_path):
    for i, seconds in enumerate((0.5, 0.3, 0.7)):
        write(tmp_path / f"{i}.wav", noise(seconds, seed=i))
    (tmp_path / "1.wav").write_bytes(b"")
    names = ("0.wav", "1.wav", "2.wav")
    return Manifest("m.csv", str(tmp_path), names, np.zeros((3, 0)), ())


def work(recordings, folder, observer=None, **options):
    folder.mkdir(exist_ok=True)
    stage = features.stage("features", [recordings], FRONT, **options)
    return stage.work(folder, {}, observer or Observer())


def test_they_are_the_front_ends(recordings, tmp_path):
    observer = Recorder()
    assert work(recordings, tmp_path / "f", observer) == {"recordings": 3, "used": 2}
    found = features.Features(tmp_path / "f")
    assert len(found) == 3 and found.usable.tolist() == [True, False, True]
    for i in (0, 2):
        expected = FRONT.window(audio.load(recordings.file(i), FRONT.rate))
        np.testing.assert_array_equal(found[i], expected)
    assert "1.wav: an empty file" in "".join(observer.lines)


def test_prepared_at_the_own_rate_then_resampled_and_cut(recordings, tmp_path):
    write(tmp_path / "2.wav", noise(0.7)[:8000], 11025)
    rates = []

    def prepare(x, sr):
        rates.append(sr)
        return np.repeat(x, 2)

    work(recordings, tmp_path / "f", prepare=prepare, most=0.25)
    found = features.Features(tmp_path / "f")
    assert rates == [16000, 11025]
    x, _ = soundfile.read(tmp_path / "2.wav", dtype="float32")
    x = np.repeat(without_offset(x), 2)
    x = audio.resample(x, 11025, FRONT.rate, level=None)[: FRONT.rate // 4]
    np.testing.assert_array_equal(found[2], FRONT.window(x))


def test_an_offset_changes_nothing(recordings, tmp_path):
    """Neither what is cut off, where the level decides, nor what is left."""

    def loud(x, sr):
        return x[np.flatnonzero(np.abs(x) > 0.2)[0] :]

    x = noise(0.7)
    x[:3000] *= 0.1
    for offset in (0, 0.3):
        folder = tmp_path / f"f{offset}"
        write(tmp_path / "2.wav", x + np.float32(offset), 44100, subtype="FLOAT")
        work(recordings, folder, prepare=loud)
    plain, shifted = (features.Features(tmp_path / f"f{offset}")[2] for offset in (0, 0.3))
    np.testing.assert_allclose(shifted, plain, atol=1e-3)


def test_too_short_for_the_front_end(recordings, tmp_path):
    write(tmp_path / "0.wav", noise(0.01))
    observer = Recorder()
    assert work(recordings, tmp_path / "f", observer)["used"] == 1
    assert any("0.wav: audio of shape (160,) has no spectrogram" in line for line in observer.lines)


def test_shorter_than_a_patch_is_heard_again(recordings, tmp_path):
    front, folder = FRONT_ENDS["log-mel-patches"], tmp_path / "f"
    folder.mkdir()
    found = features.stage("features", [recordings.select([0])], front).work(folder, {}, Observer())
    assert found == {"recordings": 1, "used": 1}
    x = audio.load(recordings.file(0), front.rate)
    np.testing.assert_array_equal(features.Features(folder)[0], front.window(x, 15600))


def test_nothing_to_be_used(recordings, tmp_path):
    with pytest.raises(AcdrefError, match="none of 1 recordings can be used"):
        work(recordings.select([1]), tmp_path / "f")


@pytest.mark.parametrize("late", [False, True])
def test_killed_at_every_file_it_ends_the_same(recordings, tmp_path, monkeypatch, late):
    work(recordings, tmp_path / "whole")
    for count in range(1, 5):
        folder = tmp_path / f"broken{count}"
        try:
            with dying_at(monkeypatch, count, late):
                work(recordings, folder)
        except Killed:
            pass
        work(recordings, folder)
        assert contents(folder) == contents(tmp_path / "whole")


def test_stopped_it_continues_and_drops_what_is_cut(recordings, tmp_path):
    work(recordings, tmp_path / "whole")
    with pytest.raises(Stopped):
        work(recordings, tmp_path / "f", Recorder(1))
    for name in ("features.part", "ends.part"):  # killed in the middle of the next recording
        with open(tmp_path / "f" / name, "ab") as file:
            file.write(b"[12")
    observer = Recorder()
    work(recordings, tmp_path / "f", observer)
    assert contents(tmp_path / "f") == contents(tmp_path / "whole")


@pytest.mark.parametrize("name", ["features.part", "ends.part"])
def test_what_is_damaged_is_made_again(tmp_path, monkeypatch, name):
    """And nothing else: of four recordings, one byte costs one."""
    for i in range(4):
        write(tmp_path / f"{i}.wav", noise(0.3 + i / 10, seed=i))
    names = tuple(f"{i}.wav" for i in range(4))
    recordings = Manifest("m.csv", str(tmp_path), names, np.zeros((4, 0)), ())
    work(recordings, tmp_path / "whole")
    load, read = audio.load, []
    monkeypatch.setattr(audio, "load", lambda path, rate: read.append(path) or load(path, rate))
    for place in (0.3, 0.6, 0.9):
        folder = tmp_path / f"{place}"
        with pytest.raises(Stopped):
            work(recordings, folder, Recorder(4))
        data = bytearray((folder / name).read_bytes())
        data[int(len(data) * place)] ^= 16
        (folder / name).write_bytes(data)
        observer = Recorder()
        read.clear()
        work(recordings, folder, observer)
        assert len(read) == 1
        assert contents(folder) == contents(tmp_path / "whole")
        assert observer.lines


def test_a_changed_recording_is_made_again_and_what_is_behind_it(recordings, tmp_path):
    with pytest.raises(Stopped):
        work(recordings, tmp_path / "f", Recorder(3))
    write(tmp_path / "0.wav", noise(0.2, seed=9))
    work(recordings, tmp_path / "f")
    work(recordings, tmp_path / "whole")
    assert contents(tmp_path / "f") == contents(tmp_path / "whole")


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("name", "width"),
    [("acdnet", 0.05), ("vgg-gap", 0.05), ("conv1d", 0.05), ("resnet50", 0.01), ("mobilenetv2", 0.01)],
)
def test_the_shortest_sound(name, width):
    net = registry.build(name, 2, width, backend="numpy")
    front, n = front_end(net), fewest_samples(net)
    x = np.random.default_rng(0).standard_normal(n).astype(np.float32)
    assert net.predict_proba(front.transform(x)[None]).shape == (1, 2)
    if n > round(SHORTEST * front.rate):
        with pytest.raises(ValueError):
            net.predict_proba(front.transform(x[:-1])[None])


@pytest.mark.parametrize("start", [0, 3, 7, 12])
def test_excerpts_have_their_length(start):
    x = np.arange(1.0, 11.0, dtype=np.float32)
    cut = excerpt(x, start, 4)
    assert cut.dtype == np.float32
    left = x[start : start + 4]
    expected = left - left.mean() if len(left) else left
    np.testing.assert_array_equal(cut, np.concatenate([expected, np.zeros(4)])[:4])
