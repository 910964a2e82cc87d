"""Which class a label is: ids, display names, the policies for strangers, how the result is spelled."""

import numpy as np
import pytest
from relabel_support import ONTOLOGY, write

from acdref.errors import AcdrefError, FileError
from acdref.labels import SuperClasses
from acdref.relabel.job import Steps
from acdref.tables.columns import Columns, read_vocabulary
from acdref.tables.label_files import Clip
from acdref.tables.manifest import ACD_CLASSES


def columns(found, classes=None, **steps):
    return Columns("f.csv", dict.fromkeys(found, 7), Steps(**steps), classes)


def clip(present=(), unknown=(), absent=None):
    return Clip(1, "a", list(present), list(unknown), absent)


def test_ids_and_names():
    made = columns(["/m/electric", "Guitar"], ontology=ONTOLOGY)
    y = made.encode([clip(["/m/electric"], ["Guitar"]), clip()])
    np.testing.assert_array_equal(y, [[0, np.nan, 1, 0, 0], [0, 0, 0, 0, 0]])


def test_framed_labels_are_unknown_unless_listed():
    y = columns(["x", "y", "z"]).encode([clip(["x"], absent=["z"])])
    np.testing.assert_array_equal(y, [[1, np.nan, 0]])


def test_raise():
    with pytest.raises(FileError, match=r"f\.csv: line 7: the label 'Cow' is no known class"):
        columns(["Guitar", "Cow"], ontology=ONTOLOGY)


def test_ignore():
    made = columns(["Guitar", "Cow"], ontology=ONTOLOGY, unknown="ignore")
    assert made.ids == ONTOLOGY.ids and made.strangers == {"Cow"}
    assert made.encode([clip(["Cow", "Guitar"])]).sum() == made.dropped == 1


def test_isolate():
    made = columns(["Guitar", "Cow"], ontology=ONTOLOGY, unknown="isolate")
    assert made.ids == (*ONTOLOGY.ids, "Cow") == made.ontology.ids
    assert made.encode([clip(["Cow"])])[0].tolist() == [0, 0, 0, 0, 0, 1]
    assert columns(["Guitar", "Cow"], classes=["Guitar"], unknown="isolate").ids == ("Guitar", "Cow")


def test_default_classes():
    assert columns(["dog", "cat"]).ids == ACD_CLASSES
    assert columns(["dog", "Cow"]).ids == ("Cow", "dog")
    with pytest.raises(AcdrefError, match="given twice"):
        columns(["dog"], ["dog", "dog"])


def test_spelled_as_the_file_does():
    assert columns(["/m/guitar"], ontology=ONTOLOGY).spelled == ONTOLOGY.ids
    assert columns(["Guitar"], ontology=ONTOLOGY).spelled == ONTOLOGY.names
    both = columns(["Guitar", "/m/dog"], ontology=ONTOLOGY).spelled
    assert both == ("/m/music", "Guitar", "/m/electric", "/m/acoustic", "/m/dog")


def test_ordered_keeps_the_clips_order():
    made = columns(["/m/electric"], ontology=ONTOLOGY)
    kept = made.ordered([0, 1, 2, 4], clip(["/m/dog", "/m/electric", "/m/acoustic"]))
    assert kept == ["/m/dog", "/m/electric", "/m/music", "/m/guitar"]


def test_names_that_two_classes_share_are_no_names():
    vocabulary = (("a", "Same"), ("b", "Same"), ("c", "Other"))
    assert columns(["a", "b", "Other"], vocabulary=vocabulary).column_of("Same") is None


def test_projection():
    made = columns(["Guitar"], ontology=ONTOLOGY, vocabulary=(("/m/dog", "D"), ("/m/music", "M")))
    assert made.projection.tolist() == [4, 0] and made.out_names == ("D", "M")
    with pytest.raises(AcdrefError, match=r"vocabulary: .*'x'"):
        columns(["Guitar"], ontology=ONTOLOGY, vocabulary=(("x", "X"),))


def test_superclasses_of_which_no_label_is_a_member():
    """Such as ids, where the super-classes list display names: all labels would silently vanish."""
    with pytest.raises(AcdrefError, match=r"no label is a member of a super-class.*--vocabulary"):
        columns(["/m/dog"], superclasses=SuperClasses({"pets": ["Dog"]}))


def test_superclass_with_a_member_that_is_no_class():
    wrong = SuperClasses({"all": ["Guitar", "Cow"]})
    with pytest.raises(AcdrefError, match="'all': its member 'Cow'"):
        columns(["Guitar"], ontology=ONTOLOGY, superclasses=wrong)
    assert columns(["Guitar"], superclasses=wrong).out_ids == ("all",)


def test_find_scores():
    made = columns(["Guitar"], ontology=ONTOLOGY)
    assert made.find(["Dog, domestic", "x", "/m/music"]).tolist() == [2, -1, -1, -1, 0]


def test_read_vocabulary(tmp_path):
    path = write(tmp_path / "v.csv", 'index,mid,display_name\n0,/m/a,"A, b"\n1,/m/c,C\n')
    assert read_vocabulary(path) == (("/m/a", "A, b"), ("/m/c", "C"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("mid,display_name\n", "no classes"),
        ("mid,name\na,b\n", "has no column 'display_name'"),
        ("mid,display_name\na,b\na,c\n", "twice"),
        ("mid,display_name\na,\n", "without"),
        (b"mid,display_name\na,\xff\n", "UTF-8"),
    ],
)
def test_bad_vocabulary(tmp_path, text, words):
    with pytest.raises(FileError, match=words):
        read_vocabulary(write(tmp_path / "v.csv", text))


@pytest.mark.parametrize(
    "text",
    [
        '0,"A_and_b",/m/a\n1,C,/t/c\n',  # FSD50K
        "/m/a\tA_and_b\n/t/c\tC\n",  # AudioSet's mid_to_display_name.tsv
        "0,/m/a,A_and_b\n1,/t/c,C\n",
        ",index,mid,display_name\n0,0,/m/a,A_and_b\n1,1,/t/c,C\n",  # pandas
    ],
)
def test_vocabulary_with_and_without_header(tmp_path, text):
    assert read_vocabulary(write(tmp_path / "v", text)) == (("/m/a", "A_and_b"), ("/t/c", "C"))
