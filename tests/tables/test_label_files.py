"""Reading the published formats: what a clip is in each, and every kind of damage."""

import pytest
from relabel_support import AUDIOSET, FRAMED, FSD50K, MANIFEST, STRONG, TEXTS, shared, write

from acdref.errors import FileError
from acdref.tables.label_files import FORMATS, LabelFile

BOM = b"\xef\xbb\xbf"


def read(tmp_path, text, format=None):
    return list(LabelFile(write(tmp_path / "labels", text), format))


@pytest.mark.parametrize("format", FORMATS)
def test_recognised(tmp_path, format):
    path = write(tmp_path / "labels", TEXTS[format])
    assert LabelFile(path).format == format
    assert list(LabelFile(path)) == list(LabelFile(path, format))


@pytest.mark.parametrize("format", FORMATS)
def test_byte_order_mark_windows_line_ends_and_blank_lines(tmp_path, format):
    plain = read(tmp_path, TEXTS[format])
    text = TEXTS[format].replace("\n", "\r\n").encode()
    assert read(tmp_path, BOM + text + b"\r\n") == plain
    assert read(tmp_path, text.removesuffix(b"\r\n")) == plain


def test_iterates_anew(tmp_path):
    file = LabelFile(write(tmp_path / "labels", AUDIOSET))
    first = iter(file)
    next(first)
    assert [clip.id for clip in file] == ["--4gqARaEJE", "-0BIyqJj9ZU", "zCmRCAdMSWc"]
    assert next(first).id == "-0BIyqJj9ZU"


def test_audioset(tmp_path):
    first = read(tmp_path, AUDIOSET)[0]
    assert (first.line, first.present) == (4, ["/m/dog", "/m/electric"])
    assert first.details == ("0.000", "10.000")


def test_fsd50k(tmp_path):
    file = LabelFile(write(tmp_path / "labels", FSD50K))
    first, _, empty = file
    assert (first.line, first.id, first.present, first.details) == (
        2, "64760", ["/m/electric", "/m/dog"], ("train",),
    )  # fmt: skip
    assert (empty.id, empty.present) == ("7", [])
    assert file.names["/m/dog"] == "Dog_and_domestic"


def test_fsd50k_eval_has_no_split(tmp_path):
    assert read(tmp_path, "fname,labels,mids\n1,Dog,/m/d\n")[0].details == ()


def test_manifest(tmp_path):
    first, second, third = read(tmp_path, MANIFEST)
    assert first.present == ["Electric guitar", "Dog"] and first.details == ("x, y", "1")
    assert (second.line, second.present, second.unknown) == (3, ["Guitar"], ["Dog"])
    assert (third.present, third.unknown) == ([], [])


def test_manifest_without_column_unknown(tmp_path):
    assert read(tmp_path, "path,classes\na,x; y;x\n")[0].present == ["x", "y"]


def test_row_over_several_lines(tmp_path):
    clips = read(tmp_path, 'path,classes,note\na,x,"1\n2"\nb,y,\n')
    assert [clip.line for clip in clips] == [2, 4]


def test_strong(tmp_path):
    first, second, third = read(tmp_path, STRONG)
    assert first.present == ["/m/electric", "/m/dog"]
    assert first.details == ((0.3, 1.5, "/m/electric"), (0.0, 9.785, "/m/dog"), (2.5, 2.6, "/m/electric"))
    assert (second.id, second.line, second.present, second.details) == ("two_5000", 5, [], ())
    assert third.line == 6


def test_framed(tmp_path):
    first, second, third = read(tmp_path, FRAMED)
    assert (first.id, first.present, first.absent) == ("one_0", ["/m/electric"], ["/m/dog"])
    assert second.details == (0.96, 1.92) and (second.present, second.absent) == (["/m/dog"], [])
    assert (third.id, third.line, third.absent) == ("two_0", 5, ["/m/guitar"])


def broken(format, old, new):
    assert old in TEXTS[format]
    return TEXTS[format].replace(old, new)


@pytest.mark.parametrize(
    ("format", "text", "words"),
    [
        (None, "", "is empty"),
        (None, "a,b\n1,2\n", "line 1 is the header of no known format"),
        (None, "a\tb\tc\td\n", "line 1 is the header of no known format"),
        ("audioset", broken("audioset", "40.000, ", ""), "line 5: 3 fields instead of 4"),
        ("audioset", broken("audioset", "40.000", "x"), "line 5: 'x' is no time in seconds"),
        ("audioset", broken("audioset", "40.000", "nan"), "line 5: 'nan' is no time in seconds"),
        ("audioset", broken("audioset", "40.000", "inf"), "line 5: 'inf' is no time in seconds"),
        ("audioset", broken("audioset", "40.000", "3.0"), "line 5: ends (3 s) before it starts (30 s)"),
        ("audioset", broken("audioset", "-0BIyqJj9ZU", ""), "line 5: names no clip"),
        ("audioset", broken("audioset", '/m/guitar"', "/m/guitar"), "line 6: "),
        ("audioset", AUDIOSET.encode().replace(b"guitar", b"gu\xfftar"), "line 5: is not UTF-8"),
        ("fsd50k", broken("fsd50k", ",/m/dog", ""), "line 2: 2 labels, but 1 mids"),
        ("fsd50k", broken("fsd50k", ",val", ""), "line 3: 3 fields instead of 4"),
        ("fsd50k", "fname,labels\n", "has 0 columns 'mids'"),
        ("fsd50k", "fname,labels,mids,mids\n", "has 2 columns 'mids'"),
        ("manifest", broken("manifest", "Guitar,Dog", "Guitar,Guitar"), "line 3: the class 'Guitar' is both"),
        ("manifest", broken("manifest", "d.wav", " "), "line 4: names no clip"),
        ("manifest", "path,labels\n", "has 0 columns 'classes'"),
        ("manifest", "path,classes,unknown,unknown\n", "has 2 columns 'unknown'"),
        ("strong", broken("strong", "\t9.785", ""), "line 3: 3 fields instead of 4"),
        ("strong", broken("strong", "9.785", "-1"), "line 3: '-1' is no time in seconds"),
        ("strong", broken("strong", "0.3\t1.5", "1.5\t0.3"), "line 2: ends (0.3 s) before it starts (1.5 s)"),
        ("strong", broken("strong", "9.785\t/m/dog", "9.785\t"), "line 3: an event without label"),
        ("strong", "clip\tlabel\n", "line 1: 2 columns, strong has 4"),
        ("framed", broken("framed", "NOT_PRESENT\none", "MAYBE\none"), "line 3: expected a label and"),
        (
            "framed",
            broken("framed", "/m/dog\tNOT", "/m/electric\tNOT"),
            "line 3: '/m/electric' is both present and not present",
        ),
    ],
)  # fmt: skip
def test_damage(tmp_path, format, text, words):
    with pytest.raises(FileError) as caught:
        read(tmp_path, text, format)
    assert words in caught.value.cause and "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "labels"))


def test_missing_and_folder(tmp_path):
    with pytest.raises(FileError, match="No such file"):
        LabelFile(tmp_path / "none")
    with pytest.raises(FileError):
        LabelFile(tmp_path)


@pytest.mark.parametrize(
    ("name", "clips", "labels"),
    [
        ("balanced_train_segments.csv", 22160, 52882),
        ("eval_segments.csv", 20371, 51804),
        ("strong_desed_val.tsv", 373, 779),
    ],
)
def test_real_files(name, clips, labels):
    read = list(LabelFile(shared(f"data/audioset/{name}")))
    assert (len(read), sum(len(clip.present) for clip in read)) == (clips, labels)
