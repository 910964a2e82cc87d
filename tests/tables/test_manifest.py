import os
import string
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acdref.errors import FileError, ManifestError
from acdref.relabel import Steps, check
from acdref.tables.manifest import (
    ACD_CLASSES,
    Manifest,
    of_the_same_classes,
    open_dataset,
    open_recordings,
    read_folder,
    read_manifest,
    write_manifest,
)

CORPUS = Path(__file__).parents[2] / ".." / "shared" / "data" / "corpus"


def write(tmp_path, content, name="m.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


NAMELESS = "line 2, column 'path': names no clip (it is empty or has a zero byte)"
BOTH = "line 2, column 'unknown': the class 'dog' is both present and unknown"


class TestReadManifest:
    def test_columns_in_any_order_and_others_ignored(self, tmp_path):
        m = read_manifest(write(tmp_path, "fold,licence,classes,path\n2,CC0,dog;voice,a.wav\n1,,,b/c.wav\n"))
        assert m.paths == ("a.wav", "b/c.wav")
        assert m.classes == ACD_CLASSES
        assert m.fold == ("2", "1")
        assert m.split is None
        assert [[ACD_CLASSES[c] for c in np.flatnonzero(row)] for row in m.labels] == [["voice", "dog"], []]
        assert m.labels.dtype == np.float64

    @pytest.mark.parametrize(
        "content",
        [
            b"\xef\xbb\xbfpath,classes\r\na.wav,dog\r\n\r\n  ,\r\nb.wav,\r\n",
            b'path,classes\n"a.wav","dog"\n\nb.wav,""',
            b"path , classes\n a.wav , dog ; \n\nb.wav, ;\n",
        ],
        ids=["BOM and CRLF", "quotes, no last line end", "blanks"],
    )
    def test_dialects(self, tmp_path, content):
        m = read_manifest(write(tmp_path, content))
        assert m.paths == ("a.wav", "b.wav")
        np.testing.assert_array_equal(m.labels.sum(axis=1), [1, 0])
        assert m.labels[0, ACD_CLASSES.index("dog")] == 1

    def test_quoted_comma_and_line_break(self, tmp_path):
        path = write(tmp_path, 'path,classes,note\n"a, b.wav",dog,"two\nlines"\nc.wav,dog,\nc.wav,,\n')
        with pytest.raises(ManifestError, match=r"line 5: c.wav is already in line 4"):
            read_manifest(path)
        path.write_text(path.read_text().replace("c.wav,,\n", ""))
        assert read_manifest(path).paths == ("a, b.wav", "c.wav")

    def test_class_order(self, tmp_path):
        path = write(tmp_path, "path,classes\na.wav,zebra;bee\nb.wav,dog\n")
        assert read_manifest(path).classes == ("bee", "dog", "zebra")
        m = read_manifest(path, classes=["dog", "zebra", "ant", "bee"])
        assert m.classes == ("dog", "zebra", "ant", "bee")
        np.testing.assert_array_equal(m.labels, [[0, 1, 0, 1], [1, 0, 0, 0]])

    def test_unknown_labels(self, tmp_path):
        m = read_manifest(write(tmp_path, "path,classes,unknown\na.wav,b,a;c\nb.wav,,\n"))
        np.testing.assert_array_equal(m.labels, [[np.nan, 1, np.nan], [0, 0, 0]])

    def test_root(self, tmp_path):
        absolute = os.path.abspath(os.sep + "x.wav")
        path = write(tmp_path, f"path,classes\na.wav,\n{absolute},\n../b.wav,\n")
        m = read_manifest(path)
        assert [m.file(i) for i in range(3)] == [
            str(tmp_path / "a.wav"),
            absolute,
            os.path.join(tmp_path, "../b.wav"),
        ]
        assert read_manifest(path, root="elsewhere").file(0) == os.path.join("elsewhere", "a.wav")

    def test_root_of_a_manifest_in_the_working_folder(self, tmp_path, monkeypatch):
        write(tmp_path, "path,classes\na.wav,\n")
        write(tmp_path, b"", "a.wav")
        monkeypatch.chdir(tmp_path)
        assert os.path.exists(read_manifest("m.csv").file(0))

    @pytest.mark.parametrize(
        ("content", "cause"),
        [
            ("", "is empty"),
            (" , \n\n", "is empty"),
            ("path,classes\n", "lists no recordings"),
            ("file,classes\na,b\n", r"has no column 'path' \(its columns: file, classes\)"),
            ("path,labels\na,b\n", "has no column 'classes'"),
            (
                "path;classes\na;b\n",
                r"has no column 'path' \(its columns: path;classes: semicolons .* must be commas\)",
            ),
            ("path,classes,path\na,b,c\n", "has the column 'path' 2 times"),
            ("path,classes,fold,fold\na,b,c,d\n", "has the column 'fold' 2 times"),
            ("path,classes\na.wav,dog,cat\n", "line 2: 3 fields instead of 2"),
            ("path,classes\n\na.wav\n", "line 3: 1 fields instead of 2"),
            ("path,classes\n,dog\n", "line 2, column 'path': names no clip"),
            ("path,classes\na\0b,dog\n", "line 2, column 'path': .* zero byte"),
            ("path,classes\na.wav,\nb.wav,\n./a.wav,\n", r"line 4: \./a\.wav is already in line 2"),
            ('path,classes\n"a.wav,dog\n', "line 2: "),
            ('path,classes\n"a"b.wav,dog\n', "line 2: "),
            ("path,classes\n" + "a" * 200_000 + ",dog\n", "line 2: field larger"),
            (
                "path,classes,unknown\na.wav,dog,dog\n",
                "line 2, column 'unknown': the class 'dog' is both present and unknown",
            ),
            ("path,classes\na.wav,d\xe9j\xe0\n".encode("latin-1"), r"line 2: is not UTF-8 \(byte 20\)"),
            ("path,classes\na.wav,dog\n".encode("utf-16"), r"line 1: is not UTF-8 \(byte 0\)"),
        ],
    )
    def test_errors_name_file_and_cause(self, tmp_path, content, cause):
        path = write(tmp_path, content)
        with pytest.raises(ManifestError, match=cause) as caught:
            read_manifest(path)
        assert caught.value.path == str(path)
        assert "\n" not in str(caught.value)

    def test_class_that_is_not_among_the_given(self, tmp_path):
        path = write(tmp_path, "path,classes\na.wav,dog\nb.wav,cow\n")
        with pytest.raises(ManifestError, match="line 3: the class 'cow' is not one of dog, cat"):
            read_manifest(path, classes=("dog", "cat"))

    @pytest.mark.parametrize("classes", [("dog", "dog"), ("dog", "")])
    def test_given_classes_make_no_sense(self, tmp_path, classes):
        with pytest.raises(ManifestError, match="empty or given twice"):
            read_manifest(write(tmp_path, "path,classes\na.wav,dog\n"), classes=classes)

    def test_missing_file(self, tmp_path):
        with pytest.raises(ManifestError, match="No such file"):
            read_manifest(tmp_path / "none.csv")

    def test_shared_corpus(self):
        if not CORPUS.exists():
            pytest.skip("needs the shared corpus")
        m = read_manifest(CORPUS / "manifest.csv")
        pandas = pytest.importorskip("pandas")
        table = pandas.read_csv(CORPUS / "manifest.csv", dtype=str, keep_default_na=False)
        np.testing.assert_array_equal(m.labels, table.classes.str.get_dummies(";")[list(ACD_CLASSES)])
        assert list(m.paths) == list(table.path)
        assert list(m.fold) == list(table.fold)
        assert all(os.path.isfile(m.file(i)) for i in range(len(m)))


class TestOneVerdict:
    """`acdref train` and `acdref relabel --check` say the same of the same file."""

    @pytest.mark.parametrize(
        ("content", "paths"),
        [
            ("\npath,classes\na.wav,dog\n", ["a.wav"]),
            (" , \n\npath,classes\n\n , \na.wav,dog\n,\n", ["a.wav"]),
            ('path,classes,"two\nlines"\na.wav,dog,x\n', ["a.wav"]),
            ("path,classes\ra.wav,dog\r", ["a.wav"]),
            (b"\xef\xbb\xbf\r\npath,classes\r\na.wav,dog\r\n", ["a.wav"]),
            (b'\xef\xbb\xbf"path","classes"\na.wav,dog\n', ["a.wav"]),
            (" path , classes \na.wav,dog\n", ["a.wav"]),
            ('path,classes\n"a\nb.wav",dog\n', ["a\nb.wav"]),
            ("path,note,note,classes\na.wav,x,y,dog;;dog \n", ["a.wav"]),
            ("path,classes,verified,fold\na.wav,dog, 1 ,1\nb.wav,dog,0,\n", ["a.wav", "b.wav"]),
            ("path,classes\na.wav,dog\nb/../A.wav,dog\n", ["a.wav", "b/../A.wav"]),
        ],
    )
    def test_read(self, tmp_path, content, paths):
        path = write(tmp_path, content)
        manifest = read_manifest(path)
        assert list(manifest.paths) == paths
        np.testing.assert_array_equal(manifest.labels[:, ACD_CLASSES.index("dog")], 1)
        found = check(path, Steps())
        assert [found[key] for key in ("format", "clips", "labels")] == ["manifest", len(paths), len(paths)]

    @pytest.mark.parametrize(
        ("content", "cause"),
        [
            ("", "is empty"),
            ("\n , \n", "is empty"),
            ("path,classes\n\n", "lists no recordings"),
            ("path,classes,classes\na.wav,dog,cat\n", "has the column 'classes' 2 times"),
            ("path,classes,fold,fold\na.wav,dog,1,1\n", "has the column 'fold' 2 times"),
            ("path,classes,split,split\na.wav,dog,1,1\n", "has the column 'split' 2 times"),
            ("path,classes,verified,verified\na.wav,dog,1,1\n", "has the column 'verified' 2 times"),
            ("path,classes\na.wav,dog\n./a.wav,dog\n", "line 3: ./a.wav is already in line 2"),
            ("path,classes\na.wav,dog\nb/../a.wav,\n", "line 3: b/../a.wav is already in line 2"),
            ("path,classes,verified\na.wav,dog,yes\n", "line 2, column 'verified': 'yes' is neither 1 nor 0"),
            ("path,classes,verified\na.wav,dog,\n", "line 2, column 'verified': '' is neither 1 nor 0"),
            (
                'path,classes,verified,n\na.wav,dog,1,"1\n2"\nb.wav,,x,"\n"\n',
                "line 4, column 'verified': 'x' is neither 1 nor 0",
            ),
            (
                "path,classes\na\0.wav,dog\n",
                "line 2, column 'path': names no clip (it is empty or has a zero byte)",
            ),
            (
                "path,classes\n ,dog\n",
                "line 2, column 'path': names no clip (it is empty or has a zero byte)",
            ),
            ("path,classes\na.wav\n", "line 2: 1 fields instead of 2"),
            ("path,classes\na.wav,dog,\n", "line 2: 3 fields instead of 2"),
            ("path,classes,unknown\na.wav,dog,cat; dog\n", BOTH),
            (
                b"path,classes\na.wav,dog\nb.wav,d\xe9j\xe0\n",
                "line 3: is not UTF-8 (byte 30), but Latin-1, perhaps: save it as UTF-8",
            ),
            (
                b"path,classes,\xe9\na.wav,dog,\n",
                "line 1: is not UTF-8 (byte 13), but Latin-1, perhaps: save it as UTF-8",
            ),
            (
                'path,classes\n"a.wav,dog\n',
                "line 2: unexpected end of data: a quote that opens in this row is not closed",
            ),
        ],
    )
    def test_refused(self, tmp_path, content, cause):
        path = write(tmp_path, content)
        for read in (read_manifest, lambda path: check(path, Steps())):
            with pytest.raises(FileError) as caught:
                read(path)
            assert (caught.value.path, caught.value.cause) == (str(path), cause)


def test_a_manifest_is_read_once(tmp_path):
    """Such as from a pipe, which holds it once."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writing = threading.Thread(target=pipe.write_text, args=("path,classes\na.wav,dog\nb.wav,\n",))
    writing.start()
    assert read_manifest(pipe).paths == ("a.wav", "b.wav")
    writing.join()


class TestManifest:
    m = Manifest("m.csv", ".", tuple("abcd"), np.eye(4), tuple("wxyz"), fold=("1", "2", "3", "1"))

    @pytest.mark.parametrize("fold", ["1,3", "3, 1", {1, 3}, ["3", "1"], np.array([1, 3])])
    def test_where_keeps_the_order(self, fold):
        kept = self.m.where(fold=fold)
        assert kept.paths == ("a", "c", "d")
        assert kept.fold == ("1", "3", "1")
        np.testing.assert_array_equal(kept.labels, np.eye(4)[[0, 2, 3]])
        assert self.m.without(fold=fold).paths == ("b",)

    def test_fold_and_split(self):
        m = Manifest("m", ".", tuple("abc"), np.zeros((3, 1)), ("w",), ("1", "1", "2"), ("x", "y", "y"))
        assert m.where(fold="1", split="y").paths == ("b",)
        assert m.without(fold="1", split="y").paths == ("a", "c")

    def test_missing_value_or_column(self):
        with pytest.raises(
            ManifestError, match=r"m\.csv: no recording has the fold '9' \(there are 1, 2, 3\)"
        ):
            self.m.where(fold="1,9")
        with pytest.raises(ManifestError, match="has no column 'split'"):
            self.m.where(split="train")

    def test_labels_cannot_be_changed(self):
        labels = np.zeros((1, 1))
        m = Manifest("m", ".", ("a",), labels, ("w",))
        labels[0] = 1
        assert m.labels[0, 0] == 0
        with pytest.raises(ValueError, match="read-only"):
            m.labels[0] = 1


class TestReadFolder:
    def make(self, root, *files):
        for name in files:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).touch()

    def test_one_folder_per_class(self, tmp_path):
        self.make(
            tmp_path, "dog/b.wav", "dog/sub/a.FLAC", "cat/x.ogg", "none/n.mp3", "cat/notes.txt", ".git/x.wav"
        )
        m = read_folder(tmp_path)
        assert m.paths == tuple(
            map(os.path.normpath, ("cat/x.ogg", "dog/b.wav", "dog/sub/a.FLAC", "none/n.mp3"))
        )
        assert m.classes == ACD_CLASSES
        assert [[ACD_CLASSES[c] for c in np.flatnonzero(row)] for row in m.labels] == [
            ["cat"],
            ["dog"],
            ["dog"],
            [],
        ]
        assert all(os.path.exists(m.file(i)) for i in range(4))

    def test_errors(self, tmp_path):
        with pytest.raises(ManifestError, match="no recordings found"):
            read_folder(tmp_path)
        self.make(tmp_path, "cow/b.wav")
        with pytest.raises(ManifestError, match="the class 'cow' is not one of dog"):
            read_folder(tmp_path, classes=["dog"])
        self.make(tmp_path, "loose.wav")
        with pytest.raises(ManifestError, match=r"loose\.wav lies outside the class folders"):
            read_folder(tmp_path)
        with pytest.raises(ManifestError, match="No such file"):
            read_folder(tmp_path / "absent")

    def test_open_dataset_decides(self, tmp_path):
        self.make(tmp_path, "dog/b.wav")
        csv = write(tmp_path, "path,classes\na.wav,dog\n")
        assert open_dataset(tmp_path, classes=["dog"]).paths == (os.path.join("dog", "b.wav"),)
        assert open_dataset(csv, root="r", classes=["dog"]).file(0) == os.path.join("r", "a.wav")
        with pytest.raises(ManifestError, match="a root goes with a CSV manifest"):
            open_dataset(tmp_path, root="r")


NAMES = st.text(st.sampled_from(string.ascii_letters + " ;,\"é\n\r'"), min_size=1).filter(
    lambda s: s == s.strip()
)


class TestWriteManifest:
    @given(data=st.data(), classes=st.lists(NAMES, min_size=1, max_size=3, unique=True))
    def test_round_trip(self, data, classes, tmp_path_factory):
        paths = data.draw(st.lists(NAMES, min_size=1, max_size=4, unique_by=os.path.normpath))
        shape = (len(paths), len(classes))
        values = st.lists(
            st.sampled_from([0, 1, np.nan]), min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]
        )
        fold = data.draw(st.none() | st.tuples(*[NAMES] * len(paths)))
        m = Manifest("x", "r", tuple(paths), np.reshape(data.draw(values), shape), tuple(classes), fold)
        path = tmp_path_factory.getbasetemp() / "round_trip.csv"
        write_manifest(m, path)
        back = read_manifest(path, "r", classes)
        assert (back.paths, back.fold, back.split, back.root) == (m.paths, m.fold, None, "r")
        np.testing.assert_array_equal(back.labels, m.labels)

    @pytest.mark.parametrize("name", ["a ", " a", ""])
    def test_class_that_cannot_be_written(self, tmp_path, name):
        with pytest.raises(ManifestError, match="cannot be written"):
            write_manifest(Manifest("x", ".", ("a",), [[1]], (name,)), tmp_path / "m.csv")
        assert not list(tmp_path.iterdir())

    def test_a_failure_leaves_the_old_file(self, tmp_path, monkeypatch):
        m = Manifest("x", ".", ("a",), [[1]], ("dog",))
        write_manifest(m, tmp_path / "m.csv")
        before = (tmp_path / "m.csv").read_bytes()

        def fail(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "replace", fail)
        with pytest.raises(ManifestError, match="No space left on device"):
            write_manifest(m.select([]), tmp_path / "m.csv")
        assert (tmp_path / "m.csv").read_bytes() == before
        assert os.listdir(tmp_path) == ["m.csv"]


class TestOpenRecordings:
    def test_a_folder_without_labels(self, tmp_path):
        for name in ("b.wav", "a/x.FLAC", "a/.hidden.wav", "a/notes.txt"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
        m = open_recordings(tmp_path)
        assert m.paths == ("a/x.FLAC", "b.wav")
        assert m.file(0) == str(tmp_path / "a/x.FLAC")
        assert m.labels.shape == (2, 0)

    def test_a_manifest(self, tmp_path):
        path = write(tmp_path, "path,classes\na.wav,dog\n")
        assert open_recordings(path, "elsewhere").file(0) == os.path.join("elsewhere", "a.wav")

    def test_refuses(self, tmp_path):
        with pytest.raises(ManifestError, match="no recordings in this folder"):
            open_recordings(tmp_path)
        with pytest.raises(ManifestError, match="a root goes with a CSV manifest"):
            open_recordings(tmp_path, "root")
        with pytest.raises(ManifestError, match="No such file"):
            open_recordings(tmp_path / "none")


def test_verified_is_read_selected_and_written(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("path,classes,verified\na.wav,dog,1\nb.wav,,0\n")
    m = read_manifest(path)
    assert m.verified == (True, False) and m.select([1]).verified == (False,)
    write_manifest(m, tmp_path / "again.csv")
    assert read_manifest(tmp_path / "again.csv").verified == m.verified
    path.write_text("path,classes,verified\na.wav,dog,maybe\n")
    with pytest.raises(ManifestError, match="line 2, column 'verified': 'maybe' is neither 1 nor 0"):
        read_manifest(path)


@pytest.mark.parametrize(
    ("content", "path", "classes", "fold"),
    [
        ("filename,fold,target,category\na.wav,4,0,cow\n", "a.wav", ("cow",), ("4",)),
        ("slice_file_name,fsID,fold,class\na.wav,1,7,siren\n", "fold7/a.wav", ("siren",), ("7",)),
        ('fname,labels,mids,split\n64760,"Bark,Dog","/m/b,/m/d",train\n', "64760.wav", ("Bark", "Dog"), None),
        ("filename\tevent_labels\na.wav\tBark,Dog\n", "a.wav", ("Bark", "Dog"), None),
    ],
)
def test_published_layouts(tmp_path, content, path, classes, fold):
    m = read_manifest(write(tmp_path, content))
    assert (m.paths, m.classes, m.fold) == ((path,), classes, fold)
    np.testing.assert_array_equal(m.labels, 1)


def test_manifests_of_the_same_classes_are_those_of_one_file():
    dogs = Manifest("a", ".", ("a.wav",), [[1.0]], ("dog",))
    others = Manifest("b", ".", ("b.wav",), [[np.nan, 1.0, 0.0]], ("ant", "dog", "cat"))
    one, two = of_the_same_classes(dogs, others)
    assert one.classes == two.classes == ("ant", "dog")
    np.testing.assert_array_equal([*one.labels, *two.labels], [[0, 1], [np.nan, 1]])
    assert of_the_same_classes(dogs, dogs)[0].classes == ACD_CLASSES


def test_sources(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("path,classes,source,source_id\na.wav,,x,s1\nb.wav,,x, \nc.wav,,y,s1\n")
    manifest = read_manifest(path)
    assert (manifest.sources, manifest.source_column) == (("s1", "b.wav", "s1"), "source_id")
    assert manifest.select([2, 1]).sources == ("s1", "b.wav")
    path.write_text("path,classes,source\na.wav,,x\nb.wav,,x\n")
    assert (read_manifest(path).sources, read_manifest(path).source_column) == (("x", "x"), "source")
    path.write_text("path,classes\na.wav,\n")
    assert (read_manifest(path).sources, read_manifest(path).source_column) == (None, None)
