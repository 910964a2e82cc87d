"""The published formats: what a clip is in each, every kind of damage, repeats, byte-equal round trips."""

import numpy as np
import pytest
from relabel_support import AUDIOSET, FRAMED, FSD50K, MANIFEST, STRONG, TEXTS, shared, write

from acdref.errors import FileError
from acdref.tables import label_files
from acdref.tables.label_files import (
    FORMATS,
    AbsentLabels,
    Clip,
    LabelFile,
    fsd50k_name,
    label_matrix,
    refusing_repeats,
    writing,
)

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


def test_what_a_frame_does_not_list_is_unknown():
    y, strangers = label_matrix(
        [Clip(1, "a", ["x"], absent=["z"]), Clip(2, "b", ["x"])], {"x": 0, "y": 1, "z": 2}, 3
    )
    np.testing.assert_array_equal(y, [[1, np.nan, 0], [1, 0, 0]])
    assert strangers == []


def test_frames_are_sorted_by_their_times(tmp_path):
    head, *rows = FRAMED.splitlines()
    text = "\n".join([head, rows[2], rows[0], rows[1], rows[3]]) + "\n"
    assert [clip.details for clip in read(tmp_path, text)] == [
        clip.details for clip in read(tmp_path, FRAMED)
    ]


END = "line 5, column 'end_seconds':"
UNKNOWN = "line 3, column 'unknown':"


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
        ("audioset", broken("audioset", "40.000", "x"), f"{END} 'x' is no time in seconds"),
        ("audioset", broken("audioset", "40.000", "nan"), f"{END} 'nan' is no time in seconds"),
        ("audioset", broken("audioset", "40.000", "inf"), f"{END} 'inf' is no time in seconds"),
        ("audioset", broken("audioset", "40.000", "3.0"), "line 5: ends (3 s) before it starts (30 s)"),
        ("audioset", broken("audioset", "-0BIyqJj9ZU", ""), "line 5, column 'YTID': names no clip"),
        ("audioset", broken("audioset", '/m/guitar"', "/m/guitar"), "line 5: "),
        ("audioset", AUDIOSET.encode().replace(b"guitar", b"gu\xfftar"), "line 5: is not UTF-8"),
        ("fsd50k", broken("fsd50k", ",/m/dog", ""), "line 2: 2 labels, but 1 mids"),
        ("fsd50k", broken("fsd50k", ",val", ""), "line 3: 3 fields instead of 4"),
        ("fsd50k", "fname,labels\n", "has no column 'mids' (its columns: fname, labels)"),
        ("fsd50k", "fname,labels,mids,mids\n", "has the column 'mids' 2 times"),
        ("manifest", broken("manifest", "Guitar,Dog", "Guitar,Guitar"), f"{UNKNOWN} the class 'Guitar'"),
        ("audioset", AUDIOSET.replace("zCmRCAdMSWc", "zCm\0"), "line 6, column 'YTID': names no clip"),
        ("strong", "clip\tonset\toffset\tlabel\n", "lists no recordings"),
        ("manifest", broken("manifest", "d.wav,", " ,x"), "line 4, column 'path': names no clip"),
        ("manifest", "path,labels\n", "has no column 'classes'"),
        ("manifest", "path,classes,unknown,unknown\n", "has the column 'unknown' 2 times"),
        ("strong", broken("strong", "\t9.785", ""), "line 3: 3 fields instead of 4"),
        ("strong", broken("strong", "9.785", "-1"), "line 3, column 'offset': '-1' is no time in seconds"),
        ("strong", broken("strong", "0.3\t1.5", "1.5\t0.3"), "line 2: ends (0.3 s) before it starts (1.5 s)"),
        ("strong", broken("strong", "9.785\t/m/dog", "9.785\t"), "'event_label': an event without label"),
        ("strong", broken("strong", "9.785\t/m/dog", "9.785\t"), "line 3, "),
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


# Repeats


def once(file):
    return list(refusing_repeats(file, file.path, file.format))


def numbered(path, ids):
    return LabelFile(write(path, "path,classes\n" + "".join(f"{id},\n" for id in ids)))


def test_clips_pass_through(tmp_path):
    file = numbered(tmp_path / "m.csv", range(10_000))
    assert once(file) == list(file)


def test_one_recording_under_two_names(tmp_path):
    with pytest.raises(FileError, match=r"line 3: \./a\.wav is already in line 2"):
        once(numbered(tmp_path / "m.csv", ["a.wav", "./a.wav"]))


@pytest.mark.parametrize(("first", "again"), [(0, 9_999), (4_095, 4_096), (17, 18)])
def test_repeated_clip(tmp_path, monkeypatch, first, again):
    monkeypatch.setattr(label_files, "_PIECE", 1000)  # several pieces
    ids = [f"{i}.wav" for i in range(10_000)]
    ids[again] = ids[first]
    with pytest.raises(FileError, match=rf"line {again + 2}: {first}.wav is already in line {first + 2}$"):
        once(numbered(tmp_path / "m.csv", ids))


def test_clip_whose_events_stand_in_two_places(tmp_path):
    file = LabelFile(write(tmp_path / "s.tsv", STRONG + "one_0\t1.0\t2.0\t/m/dog\n"))
    with pytest.raises(FileError, match="line 7: one_0 is already in line 2"):
        once(file)


def test_frames_of_one_clip_are_no_repeats(tmp_path):
    text = FRAMED + "one_0\t0.960\t1.920\t/m/guitar\tPRESENT\n"
    assert len(once(LabelFile(write(tmp_path / "f.tsv", FRAMED)))) == 3
    with pytest.raises(FileError, match="line 6: one_0 is already in line 4"):
        once(LabelFile(write(tmp_path / "g.tsv", text)))


def test_collision_is_no_repeat(tmp_path, monkeypatch):
    file = numbered(tmp_path / "m.csv", ["a", "b"])
    monkeypatch.setattr(label_files, "_key", lambda clip, format: Colliding(clip.id))
    assert len(once(file)) == 2


class Colliding(str):
    def __hash__(self):
        return 1

    def __eq__(self, other):
        return str.__eq__(self, other)


# Writing


def copy(source, out, format=None, change=lambda clip: clip, **options):
    file = LabelFile(source)
    with writing(out, format or file.format, file, **options) as put:
        for clip in file:
            put(change(clip))
    return out.read_text()


@pytest.mark.parametrize("format", FORMATS)
def test_written_as_read(tmp_path, format):
    source = write(tmp_path / "in", TEXTS[format])
    assert copy(source, tmp_path / "out") == TEXTS[format]


@pytest.mark.parametrize("name", ["balanced_train_segments.csv", "eval_segments.csv", "strong_desed_val.tsv"])
def test_real_files_written_as_read(tmp_path, name):
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


@pytest.mark.parametrize(("format", "label"), [("audioset", "a,b"), ("manifest", " a"), ("fsd50k", 'a"b')])
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


@pytest.mark.parametrize(
    ("display", "own"),
    [
        ("Wind", "Wind"),
        ("Gunshot, gunfire", "Gunshot_and_gunfire"),
        ("Accelerating, revving, vroom", "Accelerating_and_revving_and_vroom"),
        ("Dishes, pots, and pans", "Dishes_and_pots_and_pans"),
        ("Motor vehicle (road)", "Motor_vehicle_(road)"),
    ],
)
def test_fsd50ks_own_names(display, own):
    assert fsd50k_name(display) == own


# Layouts

CLIPS = [("a.wav", ["Dog"]), ("b.wav", [])]


@pytest.mark.parametrize(
    ("text", "clips"),
    [
        (
            "filename,fold,target,category,esc10,src_file,take\na.wav,1,0,dog,True,100032,A\n",
            [("a.wav", ["dog"])],
        ),
        (
            'fname,labels\na.wav,Bark\nb.wav,"Raindrop,Bark"\n',
            [("a.wav", ["Bark"]), ("b.wav", ["Raindrop", "Bark"])],
        ),
        ("fname,label,manually_verified,licence\na.wav,Bark,1,x\n", [("a.wav", ["Bark"])]),
        ("filename\tevent_labels\nY.wav\tDog,Speech\n", [("Y.wav", ["Dog", "Speech"])]),
        (
            "slice_file_name,fsID,start,end,salience,fold,classID,class\n1-3-0-0.wav,1,0.0,0.3,1,5,3,dog_bark\n",
            [("fold5/1-3-0-0.wav", ["dog_bark"])],
        ),
        (
            "filename\tscene_label\tidentifier\tsource_label\na.wav\tairport\tx\ty\n",
            [("a.wav", ["airport"])],
        ),
        ('filename\tevent_labels\n"Y.wav"\t"Dog,Speech"\n', [("Y.wav", ["Dog", "Speech"])]),
        ("filename\tscene_label\naudio/a.wav\tairport\n", [("audio/a.wav", ["airport"])]),
        ('filename,label\na.wav,"Bee, wasp, etc."\n', [("a.wav", ["Bee, wasp, etc."])]),
        (",path,classes\n0,a.wav,x;y\n", [("a.wav", ["x", "y"])]),
        ('path,classes\na.wav,"""rain; wind"";dog"\n', [("a.wav", ["rain; wind", "dog"])]),
    ],
)
def test_layouts_of_manifests(tmp_path, text, clips):
    source = write(tmp_path / "in", text)
    file = LabelFile(source)
    assert file.format == "manifest" and [clip[1:3] for clip in file] == clips
    copy(source, tmp_path / "out")
    again = LabelFile(tmp_path / "out")
    assert {"path", "classes"} <= set(again.header) and [clip[1:3] for clip in again] == clips
    assert [clip.details for clip in again] == [clip.details for clip in file]


@pytest.mark.parametrize(
    ("format", "text"),
    [
        ("manifest", "Path,Classes\na,{}\n"),
        ("manifest", "fname,labels\na,{}\n"),
        ("manifest", "fname,label\na,{}\n"),
        ("strong", "Filename\tOnset\tOffset\tEvent_Label\na\t0\t1\t{}\n"),
        ("framed", "s\tb\te\tl\tp\na\t0\t1\t{}\tPRESENT\n"),
        ("audioset", "ytid,Start_Seconds,end_seconds,positive_labels\na,0,1,{}\n"),
    ],
)
def test_labels_have_one_normal_form(tmp_path, format, text):
    (clip,) = read(tmp_path, text.format("ho\u0308her"), format)
    assert list(clip.present) == ["h\u00f6her"]


def test_verified_and_fold_keep_their_meaning(tmp_path):
    file = LabelFile(write(tmp_path / "t", "fname,label,manually_verified,fold\na.wav,x,1,2\n"))
    assert file.extra == ("verified", "fold")
    with pytest.raises(FileError, match="'2' is neither 1 nor 0"):
        read(tmp_path, "fname,label,manually_verified\na.wav,x,2\n")


@pytest.mark.parametrize(
    "text",
    [
        "filename,onset,offset,event_label\na.wav,0,1,Dog\nb.wav,,,\n",
        "filename\tonset\toffset\tevent_label\na.wav\t0\t1\tDog\nb.wav\n",
        "event_label\tfilename\toffset\tonset\nDog\ta.wav\t1\t0\n\tb.wav\t\t\n",
        '"filename"\t"onset"\t"offset"\t"event_label"\n"a.wav"\t0\t"1"\t"Dog"\nb.wav\t\t\t\n',
        "segment_id,start_time_seconds,end_time_seconds,label\na.wav,0,1,Dog\nb.wav,,,\n",
        "File Name,Start Time,END_TIME,Label\na.wav,0,1,Dog\nb.wav,,,\n",
    ],
)
def test_layouts_of_events(tmp_path, text):
    source = write(tmp_path / "in", text)
    file = LabelFile(source)
    assert file.format == "strong" and [clip[1:3] for clip in file] == CLIPS
    assert next(iter(file)).details == ((0.0, 1.0, "Dog"),)
    assert ("," in copy(source, tmp_path / "out")) == ("," in text)
    assert next(iter(LabelFile(tmp_path / "out")))[1:6] == next(iter(file))[1:6]


def test_events_with_further_columns_keep_them(tmp_path):
    source = write(
        tmp_path / "in", "filename\tonset\toffset\tevent_label\tconfidence\na\t0\t1\tDog\t0.3\nb\t\t\t\t\n"
    )
    first, second = LabelFile(source)
    assert first.details == ((0.0, 1.0, "Dog", "0.3"),) and second.present == []
    assert copy(source, tmp_path / "out").splitlines()[1:] == ["a\t0.0\t1.0\tDog\t0.3", "b\t\t\t\t"]


@pytest.mark.parametrize(
    "text",
    [
        ',YTID,start_seconds,end_seconds,positive_labels\n0,--4gqARaEJE,0.0,10.0,"/m/a,/m/b"\n',
        'YTID,start_seconds,end_seconds,positive_labels\n"--4gqARaEJE","0.0","10.0","/m/a,/m/b"\n',
        ',# YTID, start_seconds, end_seconds, positive_labels\n0,--4gqARaEJE,0.0,10.0,"/m/a,/m/b"\n',
        '--4gqARaEJE, 0.0, 10.0, "/m/a,/m/b"\n',
    ],
)
def test_layouts_of_segments(tmp_path, text):
    source = write(tmp_path / "in", text)
    (clip,) = LabelFile(source)
    assert clip[1:3] == ("--4gqARaEJE", ["/m/a", "/m/b"]) and clip.details == ("0.0", "10.0")
    assert copy(source, tmp_path / "out").splitlines()[-1] == '--4gqARaEJE, 0.0, 10.0, "/m/a,/m/b"'
    assert LabelFile(tmp_path / "out").format == "audioset" or not text.startswith(",")


@pytest.mark.parametrize(
    ("format", "text", "words"),
    [
        (None, "a.wav\tDog\n", "its columns: a.wav, Dog; wanted: path,classes or filename,category or "),
        (None, "a.wav,0.0,1.0,Dog\n", "is it a row of events? their header is filename, onset, offset"),
        (None, "0.5\t1.5\tDog\n", "a label track of Audacity names no recording"),
        (None, "filename,start_s,stop_s,label\na.wav,0,1,Dog\n", "an event list has filename, onset, offset"),
        ("manifest", "filename,Start (s),label\n", "an event list has filename, onset, offset"),
        ("manifest", "path,classes\na.wav,d\0g\n", "line 2: a label has a zero byte"),
        (None, "path;classes\na;b\n", "semicolons between columns must be commas"),
        ("strong", "a.wav\t0.0\t1.0\tDog\n", "line 1: is no header, but a row; is it a row of events?"),
        ("framed", "a.wav\t0.0\t1.0\tDog\tPRESENT\n", "line 1: is no header, but a row"),
        (
            "manifest",
            "filename,onset,offset,event_label\n",
            "lists events, not recordings: acdref relabel --to",
        ),
        ("manifest", "filename,labels\na.wav,x;y\n", "line 2, column 'labels': classes between semicolons"),
        ("manifest", "fname,label,manually_verified\na,x,\n", "line 2, column 'manually_verified': '' is"),
        ("manifest", "filename,category,path\na,x,b\n", "has the columns filename and path, and one can be"),
        (None, "filename\tonset_ms\toffset_ms\tlabel\na\t1\t2\tx\n", "line 1, column 'onset_ms': times are"),
        ("strong", "f,onset,end (samples),l\na,1,2,x\n", "line 1, column 'end (samples)': times are wanted"),
        (
            "manifest",
            'path,classes\na.wav,"""rain;dog"\n',
            "line 2, column 'classes': '\"rain' begins with a quote",
        ),
        ("strong", "filename\tonset\toffset\tevent_label\na\t0\t1e16\tDog\n", "'1e16' is no time in seconds"),
        (
            "strong",
            "filename\tconfidence\tonset\toffset\tlabel\na\t1\t0\tx\tDog\n",
            "line 2, column 'offset'",
        ),
    ],
)
def test_what_is_no_layout_is_said(tmp_path, format, text, words):
    with pytest.raises(FileError) as caught:
        read(tmp_path, text, format)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_each_label_has_its_line(tmp_path):
    (clip,) = read(
        tmp_path, "filename\tonset\toffset\tevent_label\n" + "a\t0\t1\tDog\n" * 2 + "a\t2\t3\tDgo\n"
    )
    assert [clip.line_of(label) for label in ("Dog", "Dgo", "none")] == [2, 4, 2]
    (frame,) = read(tmp_path, "s\tb\te\tl\tp\na\t0\t1\tx\tPRESENT\na\t0\t1\ty\tNOT_PRESENT\n", "framed")
    assert [frame.line_of(label) for label in "xy"] == [2, 3]


@pytest.mark.parametrize("header", ["", "filename\tlabel\n", "clip\tevent_label\n", "File\tLabel\n"])
def test_the_first_row_of_explicit_negatives_is_no_header_unless_it_says_so(tmp_path, header):
    absent = AbsentLabels(write(tmp_path / "no.tsv", f"{header}a.wav\tCat\nb.wav\tCat\n"))
    with absent.beside() as take:
        assert [take(Clip(line, id, [])) for line, id in enumerate(("a.wav", "b.wav"))] == [["Cat"], ["Cat"]]


def test_a_label_that_cannot_stand_between_tabs(tmp_path):
    source = write(tmp_path / "in", 'filename,onset,offset,event_label\na,0,1,"a\tb"\n')
    file = LabelFile(source)
    with (
        pytest.raises(FileError, match="cannot be written between tabs"),
        writing(tmp_path / "o", "framed", file) as put,
    ):
        put(Clip(2, "a", ["a\tb"], absent=[], details=(0.0, 1.0)))
