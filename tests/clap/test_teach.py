import shutil

import numpy as np
import pytest
import soundfile
from clap_support import bundle

from acdref.audio import decode as audio
from acdref.clap.prompts import Prompts
from acdref.clap.scores import TeacherScores
from acdref.clap.teach import shard, teach
from acdref.clap.teacher import ClapTeacher
from acdref.errors import AcdrefError, FileError
from acdref.tables.manifest import Manifest

pytest.importorskip("onnxruntime")

WORDS = Prompts.of({"dog": "a dog", "rain": ["rain", "a shower"]}, background=["silence"])


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    return ClapTeacher.open(bundle(tmp_path_factory.mktemp("bundle")))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Seven recordings, one of them broken and one missing."""
    folder = tmp_path_factory.mktemp("recordings")
    rng = np.random.default_rng(20241121)
    for i in range(6):
        x = rng.uniform(-0.5, 0.5, (8000 * (1 + 3 * i), 1 + i % 2))
        soundfile.write(folder / f"{i}.wav", x, 8000, subtype="FLOAT")
    (folder / "2.wav").write_bytes(b"broken")
    return folder


def manifest(folder, names=("0.wav", "1.wav", "2.wav", "3.wav", "none.wav", "4.wav", "5.wav")):
    return Manifest("m", str(folder), names, np.zeros((len(names), 0)), ())


def same(a, b):
    """Whether two files hold the same scores, bit for bit."""
    a, b = TeacherScores.load(a), TeacherScores.load(b)
    arrays = all(
        np.array_equal(getattr(a, name), getattr(b, name), equal_nan=name != "bytes")
        for name in ("cosines", "background_cosines", "bytes")
    )
    return arrays and (a.paths, a.notes, a.meta) == (b.paths, b.notes, b.meta)


@pytest.fixture(scope="module")
def whole(teacher, folder, tmp_path_factory):
    """The scores of an undisturbed run, and what it said."""
    out = tmp_path_factory.mktemp("whole") / "s.npz"
    failures, states = [], []
    teach(
        teacher,
        manifest(folder),
        WORDS,
        out,
        on_failure=lambda error: failures.append(str(error)),
        progress=lambda *state: states.append(state),
    )
    return out, failures, states


def test_scores_are_the_teachers(teacher, folder, whole):
    scores = TeacherScores.load(whole[0])
    prompts = [*WORDS.classes.values(), *WORDS.background]
    for i, path in enumerate(scores.paths):
        if scores.bytes[i] >= 0:
            x = audio.load(folder / path, 48000)
            expected = teacher.cosines(x, 48000, prompts)
            np.testing.assert_array_equal(scores.cosines[i], expected[:2])
            np.testing.assert_array_equal(scores.background_cosines[i], expected[2:])
            assert scores.bytes[i] == (folder / path).stat().st_size
    assert scores.meta["prompts"]["rain"] == ["This is a sound of rain", "This is a sound of a shower"]
    assert scores.meta["template"] == "This is a sound of {}"
    assert scores.meta["front_end"]["rate"] == 48000
    assert scores.meta["scale"] == pytest.approx(23.5)
    assert scores.meta["audio_sha256"] == teacher.sha256


def test_a_broken_recording_costs_its_row(whole):
    out, failures, _ = whole
    scores = TeacherScores.load(out)
    assert np.flatnonzero(np.isnan(scores.cosines).any(axis=1)).tolist() == [2, 4]
    assert scores.bytes[[2, 4]].tolist() == [-1, -1]
    assert [scores.notes[i] for i in (0, 2, 4)] == ["", "text, not audio", "no such file"]
    assert [text.split(": ")[1] for text in failures] == ["text, not audio", "no such file"]


def test_progress(whole):
    *_, states = whole
    assert [state[:2] for state in states] == [(i, 7) for i in range(1, 8)]
    assert states[-1][2] == 0
    assert states[-1][3] > 0


@pytest.fixture
def long(monkeypatch, tmp_path):
    """A recording of three windows, where one is more than may be held."""
    monkeypatch.setattr("acdref.clap.teach._HELD", 0)
    x = np.random.default_rng(3).uniform(-0.5, 0.5, 8000 * 25)
    soundfile.write(tmp_path / "long.wav", x, 8000)
    return tmp_path / "long.wav"


def test_a_long_recording_is_decoded_twice_to_the_same_bits(teacher, long):
    expected = teacher.cosines(audio.load(long, 48000), 48000, list(WORDS.classes.values()))
    scores = teach(teacher, manifest(long.parent, ("long.wav",)), WORDS, long.parent / "s.npz")
    np.testing.assert_array_equal(scores.cosines[0], expected)


@pytest.mark.parametrize("seconds", [4, 24, 26, 35])
def test_a_long_recording_that_changes_between(teacher, long, monkeypatch, seconds):
    blocks, calls = audio.blocks, []

    def changing(path, *arguments, **options):
        calls.append(path)
        if len(calls) == 2:
            soundfile.write(path, np.zeros(8000 * seconds), 8000)
        return blocks(path, *arguments, **options)

    monkeypatch.setattr("acdref.audio.decode.blocks", changing)
    scores = teach(teacher, manifest(long.parent, ("long.wav",)), WORDS, long.parent / "s.npz")
    assert scores.notes == ("changed while it was being read",)
    assert np.isnan(scores.cosines).all()


@pytest.mark.parametrize("workers", [2, 3, 20])
def test_the_number_of_workers_changes_nothing(teacher, folder, whole, tmp_path, workers):
    teach(teacher, manifest(folder), WORDS, tmp_path / "s.npz", workers=workers)
    assert same(tmp_path / "s.npz", whole[0])
    assert not (tmp_path / "s.npz.part").exists()


class Stop(Exception):
    pass


def stopped(teacher, folder, out, after, **options):
    """A run that ends after some recordings."""

    def progress(done, *_):
        if done == after:
            raise Stop

    with pytest.raises(Stop):
        teach(teacher, manifest(folder), WORDS, out, progress=progress, **options)


@pytest.mark.parametrize("torn", [b"", b'{"name": "4.wav", "sta', b"\x00\x00\x00\x00"])
def test_a_stopped_run_continues_to_the_same_bits(teacher, folder, whole, tmp_path, torn):
    out = tmp_path / "s.npz"
    stopped(teacher, folder, out, after=4)
    assert not out.exists()
    with open(f"{out}.part", "ab") as file:
        file.write(torn)
    scored, said = [], []
    teach(
        CountingTeacher(teacher, scored),
        manifest(folder),
        WORDS,
        out,
        workers=2,
        say=lambda text: said.append(text),
    )
    assert same(out, whole[0])
    assert len(scored) == 2  # 4.wav and 5.wav
    assert said[-1] == "continuing after 3 recordings"
    assert len(said) == 1 + (torn != b"") and all("s.npz.part: damaged" in text for text in said[:-1])


class CountingTeacher:
    """A teacher that notes what it is asked."""

    def __init__(self, teacher, scored):
        self.teacher, self.scored = teacher, scored

    def __getattr__(self, name):
        return getattr(self.teacher, name)

    def embed_windows(self, windows):
        self.scored.append(windows)
        return self.teacher.embed_windows(windows)


def test_a_changed_recording_is_scored_again(teacher, folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    out = tmp_path / "s.npz"
    stopped(teacher, copy, out, after=7)
    shutil.copy(copy / "1.wav", copy / "0.wav")
    scores = teach(teacher, manifest(copy), WORDS, out)
    np.testing.assert_array_equal(scores.cosines[0], scores.cosines[1])


def test_other_prompts_start_anew(teacher, folder, tmp_path):
    out = tmp_path / "s.npz"
    stopped(teacher, folder, out, after=4)
    scored, said = [], []
    words = Prompts.of({"cat": "a cat"})
    teach(CountingTeacher(teacher, scored), manifest(folder), words, out, say=lambda text: said.append(text))
    assert len(scored) == 5
    assert "of other weights or options" in said[0]


def test_shards_are_joined_without_scoring_again(teacher, folder, whole, tmp_path):
    parts = [tmp_path / f"{part}.npz" for part in (1, 2, 3)]
    for part, out in enumerate(parts, 1):
        teach(teacher, shard(manifest(folder), part, 3), WORDS, out)
    scored = []
    teach(CountingTeacher(teacher, scored), manifest(folder), WORDS, tmp_path / "s.npz", reuse=parts)
    assert scored == []
    assert same(tmp_path / "s.npz", whole[0])


def test_scores_of_a_file_that_has_changed_since_are_not_taken_over(teacher, folder, whole, tmp_path):
    """A row belongs to a recording of the same path and size in bytes."""
    copy = shutil.copytree(folder, tmp_path / "copy")
    shutil.copy(copy / "1.wav", copy / "0.wav")
    scored = []
    counting = CountingTeacher(teacher, scored)
    scores = teach(counting, manifest(copy), WORDS, tmp_path / "s.npz", reuse=[whole[0]])
    assert len(scored) == 1
    np.testing.assert_array_equal(scores.cosines[0], scores.cosines[1])
    before = TeacherScores.load(whole[0]).cosines
    np.testing.assert_array_equal(scores.cosines[1:], before[1:])
    assert (scores.cosines[0] != before[0]).any()


def test_scores_of_other_prompts_are_not_taken_over(teacher, folder, whole, tmp_path):
    words = Prompts.of({"dog": "a dog"})
    with pytest.raises(FileError, match="cannot be taken over: its job had another background, prompts"):
        teach(teacher, manifest(folder), words, tmp_path / "s.npz", reuse=[whole[0]])


def test_shards():
    m = manifest("", tuple(map(str, range(7))))
    assert [shard(m, part, 3).paths for part in (1, 2, 3)] == [("0", "1"), ("2", "3"), ("4", "5", "6")]
    with pytest.raises(AcdrefError, match="no part 4 of 3"):
        shard(m, 4, 3)
    with pytest.raises(AcdrefError, match="part 1 of 8 is empty"):
        shard(m, 1, 8)


def test_no_place_to_write_to(teacher, folder, tmp_path):
    with pytest.raises(FileError, match="No such file or directory"):
        teach(teacher, manifest(folder), WORDS, tmp_path / "no" / "s.npz")


def test_a_teacher_that_fails_ends_the_work(teacher, folder, tmp_path):
    class Failing(CountingTeacher):
        def embed_windows(self, windows):
            raise FileError("model", "does not run")

    with pytest.raises(FileError, match="model: does not run"):
        teach(Failing(teacher, []), manifest(folder), WORDS, tmp_path / "s.npz")


def test_a_prompt_that_is_cut_is_said(teacher, folder, tmp_path):
    lines = []
    long = "xyz " * 100
    words = Prompts.of({"dog": ["a dog", long], "cat": "a cat"}, template="{}")
    teach(teacher, manifest(folder, ["0.wav"]), words, tmp_path / "s.npz", say=lines.append)
    assert lines == [f"only the first 77 tokens of this prompt are read: {long!r}"]
