import pytest
from relabel_support import FRAMED, STRONG, write

from acdref.errors import FileError
from acdref.tables import repeats
from acdref.tables.label_files import LabelFile


def manifest(path, ids):
    return LabelFile(write(path, "path,classes\n" + "".join(f"{id},\n" for id in ids)))


def test_clips_pass_through(tmp_path):
    file = manifest(tmp_path / "m.csv", range(10_000))
    assert list(repeats.refusing_repeats(file)) == list(file)


@pytest.mark.parametrize(("first", "again"), [(0, 9_999), (4_095, 4_096), (17, 18)])
def test_repeated_clip(tmp_path, monkeypatch, first, again):
    monkeypatch.setattr(repeats, "_HELD", 1000)  # several residue classes
    ids = [f"{i}.wav" for i in range(10_000)]
    ids[again] = ids[first]
    with pytest.raises(FileError, match=rf"line {again + 2}: {first}.wav is already in line {first + 2}$"):
        list(repeats.refusing_repeats(manifest(tmp_path / "m.csv", ids)))


def test_clip_whose_events_stand_in_two_places(tmp_path):
    file = LabelFile(write(tmp_path / "s.tsv", STRONG + "one_0\t1.0\t2.0\t/m/dog\n"))
    with pytest.raises(FileError, match="line 7: one_0 is already in line 2"):
        list(repeats.refusing_repeats(file))


def test_frames_of_one_clip_are_no_repeats(tmp_path):
    text = FRAMED + "one_0\t0.960\t1.920\t/m/guitar\tPRESENT\n"
    assert len(list(repeats.refusing_repeats(LabelFile(write(tmp_path / "f.tsv", FRAMED))))) == 3
    with pytest.raises(FileError, match="line 6: one_0 is already in line 4"):
        list(repeats.refusing_repeats(LabelFile(write(tmp_path / "g.tsv", text))))


def test_collision_is_no_repeat(tmp_path, monkeypatch):
    file = manifest(tmp_path / "m.csv", ["a", "b"])
    monkeypatch.setattr(repeats, "_key", lambda clip: Colliding(clip.id))
    assert len(list(repeats.refusing_repeats(file))) == 2


class Colliding(str):
    def __hash__(self):
        return 1

    def __eq__(self, other):
        return str.__eq__(self, other)
