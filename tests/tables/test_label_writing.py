"""Writing the published formats: byte-equal round trips, and files that are there whole or not at all."""

import pytest
from relabel_support import TEXTS, shared, write

from acdref.errors import FileError
from acdref.tables.label_files import FORMATS, LabelFile
from acdref.tables.label_writing import writing


def copy(source, out, format=None, change=lambda clip: clip, **options):
    file = LabelFile(source)
    with writing(out, format or file.format, file, **options) as put:
        for clip in file:
            put(change(clip))
    return out.read_text()


@pytest.mark.parametrize("format", FORMATS)
def test_round_trip(tmp_path, format):
    source = write(tmp_path / "in", TEXTS[format])
    assert copy(source, tmp_path / "out") == TEXTS[format]


@pytest.mark.parametrize("name", ["balanced_train_segments.csv", "eval_segments.csv", "strong_desed_val.tsv"])
def test_round_trip_of_real_files(tmp_path, name):
    source = shared(f"data/audioset/{name}")
    assert copy(source, tmp_path / "out") == source.read_text()


def test_audioset_counts(tmp_path):
    source = write(tmp_path / "in", TEXTS["audioset"])
    text = copy(source, tmp_path / "out", change=lambda clip: clip._replace(present=["/m/x", "/m/y"]))
    assert text.splitlines()[1] == "# num_ytids=3, num_segs=3, num_unique_labels=2, num_positive_labels=6"


def test_fsd50k_names(tmp_path):
    source = write(tmp_path / "in", TEXTS["fsd50k"])
    text = copy(
        source,
        tmp_path / "out",
        change=lambda clip: clip._replace(present=["/m/dog", "/m/new"]),
        names={"/m/new": "Male speech, man speaking", "/m/dog": "not the file's"},
    )
    row = '64760,"Dog_and_domestic,Male_speech_and_man_speaking","/m/dog,/m/new",train'
    assert text.splitlines()[1] == row


@pytest.mark.parametrize(
    ("format", "header"),
    [
        ("audioset", "path,classes,unknown,start_seconds,end_seconds"),
        ("fsd50k", "path,classes,unknown,split"),
        ("strong", "path,classes,unknown"),
        ("manifest", "path,note,classes,unknown,fold"),
    ],
)
def test_manifest_of_any(tmp_path, format, header):
    source = write(tmp_path / "in", TEXTS[format])
    out = tmp_path / "out"
    text = copy(source, out, "manifest", lambda clip: clip._replace(unknown=["u", "v"]), unknown=True)
    assert text.splitlines()[0] == header
    clips = list(LabelFile(out))
    assert [clip[1:3] for clip in clips] == [clip[1:3] for clip in LabelFile(source)]
    assert all(clip.unknown == ["u", "v"] for clip in clips)


@pytest.mark.parametrize(("format", "label"), [("audioset", "a,b"), ("manifest", "a;b"), ("fsd50k", 'a"b')])
def test_label_that_a_format_cannot_hold(tmp_path, format, label):
    source, out = write(tmp_path / "in", TEXTS[format]), write(tmp_path / "out", "old")
    with pytest.raises(FileError, match="cannot be written"):
        copy(source, out, change=lambda clip: clip._replace(present=[label]))
    assert out.read_text() == "old"


@pytest.mark.parametrize("format", FORMATS)
def test_nothing_appears_before_the_end(tmp_path, format):
    file = LabelFile(write(tmp_path / "in", TEXTS[format]))
    with pytest.raises(RuntimeError), writing(tmp_path / "out", format, file) as put:
        put(next(iter(file)))
        assert not (tmp_path / "out").exists()
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_folder_that_is_missing(tmp_path):
    file = LabelFile(write(tmp_path / "in", TEXTS["manifest"]))
    with pytest.raises(FileError, match="No such file"), writing(tmp_path / "no/out", "manifest", file):
        pass
