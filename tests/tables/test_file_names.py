import pytest
from relabel_support import AUDIOSET, FSD50K, write

from acdref.errors import FileError, OptionError
from acdref.tables.file_names import FilePattern, FoundClips
from acdref.tables.label_files import Clip


def clip(start="30.000", end="40.000"):
    return Clip(7, "--PJHxphWEs", [], details=(start, end))


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("{id}.flac", "--PJHxphWEs.flac"),
        ("Y{id}.wav", "Y--PJHxphWEs.wav"),
        ("{id}_{start}_{end}.wav", "--PJHxphWEs_30_40.wav"),
        ("{id}_{start:06d}.mp4", "--PJHxphWEs_000030.mp4"),
        ("{id}_{start:.3f}.wav", "--PJHxphWEs_30.000.wav"),
        ("Y{id}_{start:.1f}-{end:.1f}.wav", "Y--PJHxphWEs_30.0-40.0.wav"),
        ("bal/{id}_{start_ms}_{end_ms}.flac", "bal/--PJHxphWEs_30000_40000.flac"),
        ("{id}_{start_ms:08}.wav", "--PJHxphWEs_00030000.wav"),
        ("{{{id}}}", "{--PJHxphWEs}"),
    ],
)
def test_names_as_downloads_have_them(pattern, name):
    assert FilePattern(pattern).path(clip()) == name


@pytest.mark.parametrize(
    ("field", "text"),
    [("{start}", "8.2"), ("{start_ms}", "8200"), ("{start:.3f}", "8.200"), ("{start:06d}", "000008")],
)
def test_times_that_are_no_whole_seconds(field, text):
    assert FilePattern(f"{{id}}_{field}").path(clip("8.200", "18.200")) == f"--PJHxphWEs_{text}"


@pytest.mark.parametrize(
    ("pattern", "cause"),
    [
        ("{ytid}.wav", "{ytid} is unknown; there are {id}, {start}"),
        ("{}.wav", "{} is unknown"),
        ("{0}.wav", "{0} is unknown"),
        ("{id.__class__}.wav", "{id.__class__} is unknown"),
        ("{start}.wav", "must have {id}"),
        ("x.wav", "must have {id}"),
        ("{id}_{start:x.wav", "{id}_{start:x.wav: "),
        ("{id}}.wav", "Single '}'"),
        ("{id:06d}.wav", "{id} cannot be written so"),
        ("{id:.3}.wav", "{id} cannot be written so (an id stands there whole)"),
        ("{id}_{start:q}.wav", "{start} cannot be written so"),
        ("{id}_{start:x}.wav", "{start} cannot be written so"),
        ("{id!r}.wav", "{id} cannot be written so"),
        ("{id}_{start:{end}}", "{start} cannot be written so"),
    ],
)
def test_what_is_no_pattern(pattern, cause):
    with pytest.raises(OptionError) as caught:
        FilePattern(pattern)
    assert cause in str(caught.value)


@pytest.fixture
def segments(tmp_path):
    return write(tmp_path / "segments.csv", AUDIOSET)


def test_clips_without_a_file_are_left_out_and_counted(segments, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "Y-0BIyqJj9ZU.wav").touch()
    found = FoundClips(segments, None, FilePattern("Y{id}.wav"), tmp_path / "in")
    for _ in range(2):
        assert [clip.id for clip in found] == ["-0BIyqJj9ZU"]
        assert (found.missing, found.example) == (2, "Y--4gqARaEJE.wav")
    every = FoundClips(segments, None, FilePattern("Y{id}.wav"))
    assert len(list(every)) == 3 and every.missing == 0


def test_clips_without_times(tmp_path):
    path = write(tmp_path / "dev.csv", FSD50K)
    with pytest.raises(FileError, match="fsd50k has no start and end of clips"):
        FoundClips(path, None, FilePattern("{id}_{start}.wav"))
    assert len(list(FoundClips(path, None, FilePattern("{id}.wav")))) == 3


def test_no_folder(segments, tmp_path):
    with pytest.raises(FileError, match="nowhere: no such folder"):
        FoundClips(segments, None, FilePattern("{id}"), tmp_path / "nowhere")
