"""Relabelling files: agreement with the pure functions, order of steps, bounded memory, real figures."""

import functools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from relabel_support import (
    AUDIOSET,
    FRAMED,
    FSD50K,
    MANIFEST,
    NODES,
    ONTOLOGY,
    STRONG,
    TEXTS,
    shared,
    write,
    write_scores,
)

from acdref import labels
from acdref.clap.scores import Decision, TeacherScores
from acdref.errors import AcdrefError, FileError
from acdref.labels import Ontology, SuperClasses, strong
from acdref.relabel import job as relabel_module
from acdref.relabel.job import Steps, check, relabel
from acdref.tables import label_files
from acdref.tables import scores as score_files
from acdref.tables.columns import read_vocabulary
from acdref.tables.label_files import LabelFile
from acdref.tables.manifest import read_manifest
from acdref.testing.strategies import labels_with_scores

IDS = [node["id"] for node in NODES]


def write_labels(path, y):
    """A manifest over the classes of NODES."""

    def named(row):
        return ";".join(id for id, yes in zip(IDS, row, strict=True) if yes)

    rows = [f"{i},{named(row == 1)},{named(np.isnan(row))}\n" for i, row in enumerate(y)]
    return write(path, "path,classes,unknown\n" + "".join(rows))


def through_files(folder, y, p, classes=IDS, **steps):
    """Labels relabelled by way of files."""
    source = write_labels(folder / "in.csv", y)
    scores = write_scores(folder / "s.npz", [str(i) for i in range(len(y))], IDS, p)
    steps = Steps(**{"ontology": ONTOLOGY} | steps)
    report = relabel(source, folder / "out.csv", steps, scores if steps.need_scores else None)
    return read_manifest(folder / "out.csv", classes=classes).labels, report


CASES = labels_with_scores(shape=st.tuples(st.integers(1, 6), st.just(len(IDS))))


def same(found, expected):
    np.testing.assert_array_equal(found, expected)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("relabel")


class TestAgreesWithThePureFunctions:
    @pytest.mark.parametrize(
        ("steps", "rule"),
        [
            ({}, lambda y, p: y),
            ({"expand": True}, lambda y, p: ONTOLOGY.parent_expand(y)),
            ({"mask_children": True}, lambda y, p: ONTOLOGY.children_mask(y)),
            ({"expand": True, "mask_children": True}, lambda y, p: ONTOLOGY.children_mask(y)),
            ({"correct": {}}, lambda y, p: labels.correct_labels(y, p)),
            (
                {"correct": {"T": 0.2, "fp": True, "mask": False, "boundary": "literal"}},
                lambda y, p: labels.correct_labels(y, p, 0.2, True, False, "literal"),
            ),
            ({"percentile": {"q": 0.3, "mask": True}}, lambda y, p: labels.percentile_mask(y, p, 0.3)),
            ({"percentile": {"q": 0.3, "mask": False}}, lambda y, p: labels.percentile_correct(y, p, 0.3)),
            ({"mean_threshold": {}}, lambda y, p: labels.mean_threshold_correct(y, p)),
            (
                {"mean_threshold": {"statistic": "p25"}},
                lambda y, p: labels.mean_threshold_correct(y, p, statistic="p25"),
            ),
            (
                {"mean_threshold": {"psla": True}},
                lambda y, p: labels.mean_threshold_correct(y, p, ONTOLOGY.psla_candidates(y)),
            ),
        ],
    )
    @settings(deadline=None, max_examples=25)
    @given(case=CASES)
    def test_one_step(self, folder, steps, rule, case):
        y, p = case
        found, report = through_files(folder, y, p, **steps)
        expected = rule(y, p)
        same(found, expected)
        counts = report.counts
        same(counts["before"], (y == 1).sum(axis=0))
        same(counts["after"], (expected == 1).sum(axis=0))
        same(counts["unknown_before"], np.isnan(y).sum(axis=0))
        same(counts["unknown_after"], np.isnan(expected).sum(axis=0))
        same(counts["added"], ((y == 0) & (expected == 1)).sum(axis=0))
        same(counts["removed"], ((y == 1) & (expected == 0)).sum(axis=0))
        same(counts["masked"], (~np.isnan(y) & np.isnan(expected)).sum(axis=0))
        same(counts["settled"], (np.isnan(y) & ~np.isnan(expected)).sum(axis=0))

    @settings(deadline=None, max_examples=40)
    @given(case=CASES)
    def test_all_steps_in_order(self, folder, case):
        y, p = case
        vocabulary = (("/m/guitar", "G"), ("/m/dog", "D"), ("/m/acoustic", "A"))
        columns = ONTOLOGY.columns(["/m/guitar", "/m/dog", "/m/acoustic"])
        found, _ = through_files(
            folder,
            y,
            p,
            ["/m/guitar", "/m/dog", "/m/acoustic"],
            frame=None,
            mean_threshold={"statistic": "median"},
            percentile={"q": 0.2, "mask": True},
            correct={"fp": True},
            vocabulary=vocabulary,
            mask_children=True,
        )
        z, p = ONTOLOGY.children_mask(y)[:, columns], p[:, columns]
        z = labels.correct_labels(z, p, fp=True)
        z = labels.percentile_mask(z, p, 0.2)
        same(found, labels.mean_threshold_correct(z, p, statistic="median"))

    def test_many_clips(self, folder):
        """Several chunks: thresholds count all of them."""
        rng = np.random.default_rng(0)
        y = rng.choice([0, 1, np.nan], p=[0.7, 0.2, 0.1], size=(1500, len(IDS)))
        p = rng.random(y.shape)
        found, report = through_files(folder, y, p, percentile={"q": 0.1, "mask": True}, mean_threshold={})
        expected = labels.mean_threshold_correct(labels.percentile_mask(y, p, 0.1), p)
        same(found, expected)
        assert report.clips == 1500

    def test_superclasses(self, folder):
        y = np.array([[0, 0, 1, 0, 0], [0, np.nan, 0, 0, 0], [0, 0, 0, 0, 1]])
        classes = SuperClasses({"music": ["Music"], "pets": ["Dog, domestic"]})
        found, report = through_files(folder, y, y, ["music", "pets"], expand=True, superclasses=classes)
        same(found, classes.map(ONTOLOGY.parent_expand(y), ONTOLOGY.names, unknown="ignore"))
        assert report.counts["before"].tolist() == [0, 1]  # mapped without expansion
        assert report.counts["added"].tolist() == [1, 0]


def test_class_without_scores_stays(tmp_path):
    source = write(tmp_path / "m.csv", "path,classes\na,dog\nb,\n")
    scores = write_scores(tmp_path / "s.npz", ["a", "b"], ["cat"], [[0.99], [0.01]])
    relabel(source, tmp_path / "out", Steps(correct={"fp": True}), scores)
    assert (tmp_path / "out").read_text() == "path,classes,unknown\na,dog;cat,\nb,,\n"


def test_scores_of_other_classes(tmp_path):
    source = write(tmp_path / "m.csv", "path,classes\na,dog\n")
    scores = write_scores(tmp_path / "s.npz", ["a"], ["Hund"], [[0.99]])
    with pytest.raises(FileError, match="none of its classes"):
        relabel(source, tmp_path / "out", Steps(correct={}), scores)


class TestFormats:
    @pytest.mark.parametrize("format", TEXTS)
    def test_without_steps_nothing_changes(self, tmp_path, format):
        source = write(tmp_path / "in", TEXTS[format])
        relabel(source, tmp_path / "out", Steps())
        assert (tmp_path / "out").read_text() == TEXTS[format]

    def test_audioset_with_a_second_file(self, tmp_path):
        source = write(tmp_path / "in", AUDIOSET)
        steps = Steps(ontology=ONTOLOGY, mask_children=True)
        relabel(source, tmp_path / "out", steps, unknown_out=tmp_path / "unknown")
        present = [clip.present for clip in LabelFile(tmp_path / "out")]
        assert present == [["/m/dog", "/m/electric", "/m/music", "/m/guitar"], ["/m/guitar", "/m/music"],
                           ["/m/dog"]]  # fmt: skip
        unknown = [clip.present for clip in LabelFile(tmp_path / "unknown")]
        assert unknown == [[], ["/m/electric", "/m/acoustic"], []]

    @pytest.mark.parametrize("text", [AUDIOSET, FSD50K])
    def test_unknown_labels_need_a_place(self, tmp_path, text):
        source = write(tmp_path / "in", text)
        with pytest.raises(AcdrefError, match="hold no unknown labels"):
            relabel(source, tmp_path / "out", Steps(ontology=ONTOLOGY, mask_children=True))
        assert not (tmp_path / "out").exists()

    def test_manifest_keeps_names_and_columns(self, tmp_path):
        text = MANIFEST.replace("Dog", "/m/dog")
        relabel(write(tmp_path / "in", text), tmp_path / "out", Steps(ontology=ONTOLOGY, expand=True))
        lines = (tmp_path / "out").read_text().splitlines()
        assert lines[1] == 'a.wav,"x, y",Electric guitar;/m/dog;/m/music;Guitar,,1'

    def test_strong_events_pass_on(self, tmp_path):
        steps = Steps(ontology=ONTOLOGY, expand=True)
        report = relabel(write(tmp_path / "in", STRONG), tmp_path / "out", steps)
        first, empty, _ = LabelFile(tmp_path / "out")
        electric = {(on, off, label) for on, off in ((0.3, 1.5), (2.5, 2.6))
                    for label in ("/m/electric", "/m/guitar", "/m/music")}  # fmt: skip
        assert set(first.details) == electric | {(0.0, 9.785, "/m/dog")} and len(first.details) == 7
        assert empty.details == ()
        assert report.counts["before"].tolist() == [0, 1, 1, 0, 1]
        assert report.counts["after"].tolist() == [2, 2, 1, 0, 1]

    def test_strong_to_clips(self, tmp_path):
        relabel(write(tmp_path / "in", STRONG), tmp_path / "out", Steps(), to="manifest")
        text = "path,classes\none_0,/m/electric;/m/dog\ntwo_5000,\nthree_0,/m/guitar\n"
        assert (tmp_path / "out").read_text() == text

    @pytest.mark.parametrize("guard", [False, True])
    def test_frame(self, tmp_path, guard):
        steps = Steps(ontology=ONTOLOGY, expand=True, frame={"guard": guard})
        relabel(write(tmp_path / "in", STRONG), tmp_path / "out", steps)
        frames = list(LabelFile(tmp_path / "out"))
        assert {frame.id for frame in frames} == {"one_0"}
        events = [(0.3, 1.5), (2.5, 2.6), (0.0, 9.785)]
        y = strong.frame_labels(events, [0, 0, 1], 2, guard=guard)
        at = {0.96 * k: row for k, row in enumerate(y)}
        for frame in frames:
            row = at.pop(min(at, key=lambda start: abs(start - frame.details[0])))
            for label, value in zip(("/m/guitar", "/m/dog"), row, strict=True):
                assert (label in frame.present, label in frame.absent) == (value == 1, value == 0)
        assert not any((row == row).any() for row in at.values())

    def test_framed_labels_expand(self, tmp_path):
        steps = Steps(ontology=ONTOLOGY, expand=True)
        relabel(write(tmp_path / "in", FRAMED), tmp_path / "out", steps)
        first, second, third = LabelFile(tmp_path / "out")
        assert set(first.present) == {"/m/electric", "/m/guitar", "/m/music"} and first.absent == ["/m/dog"]
        assert (second.present, second.absent, third.absent) == (["/m/dog"], [], ["/m/guitar"])

    @pytest.mark.parametrize(
        ("text", "steps", "to", "words"),
        [
            (STRONG, {"mask_children": True}, None, "events cannot be unknown"),
            (STRONG, {"correct": {}}, None, "whole clips"),
            (FRAMED, {"correct": {}}, None, "whole clips"),
            (FRAMED, {}, "manifest", "not of frames"),
            (MANIFEST, {"frame": {}}, None, "frame needs events"),
        ],
    )
    def test_steps_that_do_not_fit(self, tmp_path, text, steps, to, words):
        scores = write_scores(tmp_path / "s.npz", ["a"], ["/m/dog"], [[0.5]])
        with pytest.raises(FileError, match=words):
            steps = Steps(ontology=ONTOLOGY, **steps)
            relabel(write(tmp_path / "in", text), tmp_path / "out", steps, scores, to=to)


def test_steps_that_lack_something(tmp_path):
    with pytest.raises(AcdrefError, match="need an ontology"):
        Steps(expand=True)
    with pytest.raises(AcdrefError, match="no hierarchy"):
        Steps(ontology=ONTOLOGY, superclasses=SuperClasses({}), mean_threshold={"psla": True})
    source = write(tmp_path / "in", MANIFEST)
    with pytest.raises(AcdrefError, match="need the teacher's scores"):
        relabel(source, tmp_path / "out", Steps(correct={}))
    with pytest.raises(AcdrefError, match="no second file"):
        relabel(source, tmp_path / "out", Steps(), unknown_out=tmp_path / "u")


def test_a_repeated_clip_is_refused(tmp_path):
    source = write(tmp_path / "in", "path,classes\na,dog\nb,\na,cat\n")
    with pytest.raises(FileError, match="line 4: a is already in line 2"):
        relabel(source, tmp_path / "out", Steps())


def test_no_clips(tmp_path):
    with pytest.raises(FileError, match="lists no recordings"):
        check(write(tmp_path / "in", "path,classes\n"), Steps())


def test_output_stays_when_scores_end_early(tmp_path):
    n = 600
    source = write(tmp_path / "in", "path,classes\n" + "".join(f"{i},dog\n" for i in range(n)))
    scores = write_scores(
        tmp_path / "s.npz", [str(i) for i in range(n - 1)], ["dog"], np.full((n - 1, 1), 0.5)
    )
    out = write(tmp_path / "out", "old")
    with pytest.raises(FileError, match=r"no row for '599' \(line 601"):
        relabel(source, out, Steps(correct={}), scores)
    assert out.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out", "s.npz"]


def test_memory_does_not_grow_with_the_clips(tmp_path, monkeypatch):
    # Buffers of fixed size, made so small that the smaller file fills them already.
    quantiles = functools.partial(relabel_module.exact_quantiles, budget=1000)
    monkeypatch.setattr(relabel_module, "exact_quantiles", quantiles)
    monkeypatch.setattr(label_files, "_PIECE", 128)
    monkeypatch.setattr(relabel_module, "_CHUNK", 64)
    monkeypatch.setattr(score_files, "_CHUNK", 64)
    rng = np.random.default_rng(0)

    def peak(n):
        chosen = rng.integers(len(IDS), size=n)
        rows = "".join(f"clip{i}.wav,{IDS[c]}\n" for i, c in enumerate(chosen))
        source = write(tmp_path / "in", "path,classes\n" + rows)
        ids = [f"clip{i}.wav" for i in range(n)]
        scores = write_scores(tmp_path / "s.npz", ids, IDS, rng.random((n, len(IDS)), dtype=np.float32))
        del rows, ids
        steps = Steps(
            ontology=ONTOLOGY, mask_children=True, correct={"fp": True}, percentile={"q": 0.05, "mask": True}
        )
        tracemalloc.start()
        relabel(source, tmp_path / "out", steps, scores)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak(100)  # imports, caches
    small, large = peak(1000), peak(8000)
    assert large < 1.05 * small, (small, large)  # 3 bytes a clip


@pytest.mark.parametrize(
    ("name", "vocabulary", "before", "after", "unknown"),
    [
        ("balanced_train", None, 2.3864, 5.5975, 24.476),
        ("eval", None, 2.5430, 5.9074, 25.462),
        ("balanced_train", "527", 2.3864, 3.5922, 19.912),
        ("eval", "527", 2.5430, 3.8334, 20.688),
        ("both", None, 2.4614, 5.7459, 24.948),
        ("both", "527", 2.4614, 3.7077, 20.284),
    ],
)
def test_real_figures(tmp_path, name, vocabulary, before, after, unknown):
    names = ["balanced_train", "eval"] if name == "both" else [name]
    sources = [shared(f"data/audioset/{name}_segments.csv") for name in names]
    source = sources[0]
    if len(sources) > 1:
        source = write(tmp_path / "both.csv", b"".join(path.read_bytes() for path in sources))
        lines = source.read_text().splitlines(keepends=True)
        source.write_text("".join(line for i, line in enumerate(lines) if i < 3 or line[0] != "#"))
    steps = Steps(
        ontology=Ontology.from_json(shared("data/audioset/ontology.json")),
        vocabulary=vocabulary and read_vocabulary(shared("data/audioset/class_labels_indices.csv")),
        mask_children=True,
    )
    each = relabel(source, tmp_path / "out.csv", steps, to="manifest").as_dict()["per_clip"]
    found = [each["before"], each["after"], each["unknown_after"]]
    np.testing.assert_allclose(found, [before, after, unknown], rtol=0, atol=6e-4)


@pytest.fixture
def sounds(tmp_path):
    """AudioSet's segments, of which two have their file."""
    for name in ("--4gqARaEJE_0_10000.flac", "zCmRCAdMSWc_9500_19500.flac"):
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / name).touch()
    return write(tmp_path / "segments.csv", AUDIOSET), tmp_path / "in"


NAMES = "{id}_{start_ms}_{end_ms}.flac"


def test_rows_find_their_files(sounds, tmp_path):
    report = relabel(sounds[0], tmp_path / "m.csv", Steps(), to="manifest", file_pattern=NAMES)
    manifest = read_manifest(tmp_path / "m.csv", tmp_path / "in")
    assert manifest.paths[1] == "-0BIyqJj9ZU_30000_40000.flac" and len(manifest) == report.clips == 3
    assert "files_missing" not in report.as_dict()


def test_rows_without_a_file_are_left_out_and_said(sounds, tmp_path):
    lines = []
    how = {"to": "manifest", "file_pattern": NAMES, "root": sounds[1], "say": lines.append}
    report = relabel(sounds[0], tmp_path / "m.csv", Steps(), **how)
    left = ("--4gqARaEJE_0_10000.flac", "zCmRCAdMSWc_9500_19500.flac")
    assert read_manifest(tmp_path / "m.csv").paths == left
    assert report.as_dict()["files_missing"] == 1 and report.as_dict()["clips"] == 2
    cause = "1 of 3 clips have no file there and are left out, such as -0BIyqJj9ZU_30000_40000.flac"
    assert lines == [f"{sounds[1]}: {cause}"]
    assert check(sounds[0], Steps(), file_pattern=NAMES, root=sounds[1])["files_missing"] == 1


def test_teachers_scores_are_those_of_the_ids(sounds, tmp_path):
    ids = ["--4gqARaEJE", "-0BIyqJj9ZU", "zCmRCAdMSWc"]
    write_scores(tmp_path / "s.npz", ids, ["/m/dog"], np.array([[0.01], [0.99], [0.02]]))
    how = {"to": "manifest", "file_pattern": NAMES, "root": sounds[1]}
    relabel(sounds[0], tmp_path / "m.csv", Steps(correct={"fp": True}), tmp_path / "s.npz", **how)
    assert read_manifest(tmp_path / "m.csv").classes == ("/m/electric",)  # no dog is left


def test_no_file_at_all(sounds, tmp_path):
    how = {"to": "manifest", "file_pattern": "Y{id}.wav", "root": sounds[1]}
    with pytest.raises(FileError, match=r"none of the 3 clips, such as Y--4gqARaEJE\.wav"):
        relabel(sounds[0], tmp_path / "m.csv", Steps(), **how)
    assert not (tmp_path / "m.csv").exists()


@pytest.mark.parametrize(
    ("how", "cause"),
    [({"file_pattern": "{id}"}, "are for a manifest"), ({"root": "."}, "goes with --file-pattern")],
)
def test_names_of_files_that_go_nowhere(sounds, tmp_path, how, cause):
    with pytest.raises(AcdrefError, match=cause):
        relabel(sounds[0], tmp_path / "o.csv", Steps(), **how)


def test_check(tmp_path):
    source = write(tmp_path / "in", MANIFEST)
    steps = Steps(ontology=ONTOLOGY, unknown="ignore")
    scores = write_scores(tmp_path / "s.npz", ["a.wav", "b/c.wav", "d.wav"], ["Guitar"], np.full((3, 1), 0.5))
    found = check(source, steps, scores)
    assert found["not_classes"] == ["Dog"]
    assert [found[key] for key in ("format", "clips", "labels", "unknown", "classes", "scored")] == [
        "manifest", 3, 3, 1, 3, 1,
    ]  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "s.npz"]


ABSENT = "filename\tlabel\none_0\t/m/dog\none_0\t/m/acoustic\ntwo_5000\t/m/guitar\n"


class TestExplicitNegatives:
    def frames(self, folder, text, steps, **options):
        source, absent = write(folder / "in.tsv", STRONG), write(folder / "absent.tsv", text)
        report = relabel(source, folder / "out.tsv", Steps(**steps), absent=absent, **options)
        found = {}
        for frame in LabelFile(folder / "out.tsv"):
            for label in frame.absent:
                found.setdefault((frame.id, label), []).append(frame.details[0])
        return found, report

    def test_absent_in_all_frames(self, folder):
        found, report = self.frames(folder, ABSENT, {"frame": {}})
        starts = [round(0.96 * k, 2) for k in range(10)]
        assert found["one_0", "/m/acoustic"] == found["two_5000", "/m/guitar"] == starts
        assert ("one_0", "/m/dog") not in found  # PRESENT in all frames: its events win
        assert report.overruled == 1
        assert found["one_0", "/m/electric"] == [start for start in starts if start not in (0.0, 0.96, 1.92)]

    def test_an_event_without_length_overrules_nothing(self, folder):
        found, report = self.frames(folder, "filename\tlabel\nthree_0\t/m/guitar\n", {"frame": {}})
        assert len(found["three_0", "/m/guitar"]) == 10
        assert report.overruled == 0

    def test_absence_is_not_passed_on_to_parents(self, folder):
        found, _ = self.frames(folder, ABSENT, {"ontology": ONTOLOGY, "expand": True, "frame": {}})
        assert len(found["one_0", "/m/acoustic"]) == 10
        assert ("two_5000", "/m/music") not in found

    @pytest.mark.parametrize(("members", "count"), [(["Guitar"], 10), (["Guitar", "Music"], 0)])
    def test_a_superclass_is_absent_if_all_its_members_are(self, folder, members, count):
        classes = SuperClasses({"strings": members, "other": ["Dog, domestic"]})
        found, _ = self.frames(folder, ABSENT, {"ontology": ONTOLOGY, "superclasses": classes, "frame": {}})
        assert len(found.get(("two_5000", "strings"), [])) == count

    def test_a_superclass_without_members_is_not_absent(self, folder):
        classes = SuperClasses({"strings": ["/m/guitar"], "cats": ["Cat"]})
        found, _ = self.frames(folder, ABSENT, {"superclasses": classes, "frame": {}})
        assert {label for _, label in found} == {"strings"}

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "absent.tsv: is empty"),
            ("filename\tlabel\none_0\n", "absent.tsv: line 2: expected a clip and a label"),
            ("filename\tlabel\none_0\t\n", "absent.tsv: line 2: expected a clip and a label"),
            (b"filename\tlabel\n\xff\tx\n", "absent.tsv: line 2: is not UTF-8"),
            ("filename\tlabel\none_0\t/m/cat\n", "absent.tsv: line 2: the label '/m/cat' is no known class"),
            (
                "filename\tlabel\ntwo_5000\t/m/dog\none_0\t/m/dog\n",
                "absent.tsv: line 3: 'one_0' is no clip of",
            ),
            ("filename\tlabel\nnone\t/m/dog\n", "absent.tsv: line 2: 'none' is no clip of the events"),
        ],
    )
    def test_refuses(self, folder, text, words):
        with pytest.raises(FileError, match=words):
            self.frames(folder, text, {"ontology": ONTOLOGY, "frame": {}})
        source, absent = folder / "in.tsv", folder / "absent.tsv"
        with pytest.raises(FileError, match=words):
            check(source, Steps(ontology=ONTOLOGY, frame={}), absent=absent)

    def test_strange_labels_by_policy(self, folder):
        text = "filename\tlabel\none_0\t/m/cat\n"
        steps = {"ontology": ONTOLOGY, "frame": {}}
        found, _ = self.frames(folder, text, steps | {"unknown": "ignore"})
        assert ("one_0", "/m/cat") not in found
        found, _ = self.frames(folder, text, steps | {"unknown": "isolate"})
        assert len(found["one_0", "/m/cat"]) == 10

    def test_only_for_frames(self, folder):
        with pytest.raises(AcdrefError, match="go with the step frame"):
            self.frames(folder, ABSENT, {})

    def test_agrees_with_frame_labels(self, folder):
        """Of one clip, all of whose events and absences are known."""
        rng = np.random.default_rng(0)
        for _ in range(20):
            onset = rng.integers(0, 9000, 4)
            events = np.stack([onset, onset + rng.integers(1, 4000, 4)], axis=1) / 1000
            classes, absent = rng.integers(0, 3, 4), np.flatnonzero(rng.random(3) < 0.5)
            rows = [f"a\t{x}\t{y}\t{c}\n" for (x, y), c in zip(events, classes, strict=True)]
            source = write(folder / "one.tsv", "filename\tonset\toffset\tevent_label\n" + "".join(rows))
            listed = write(folder / "no.tsv", "filename\tlabel\n" + "".join(f"a\t{c}\n" for c in absent))
            relabel(source, folder / "f.tsv", Steps(frame={}), absent=listed, classes=list("012"))
            found = np.full((10, 3), np.nan)
            for frame in LabelFile(folder / "f.tsv"):
                k = round(frame.details[0] / 0.96)
                found[k, [int(c) for c in frame.present]] = 1
                found[k, [int(c) for c in frame.absent]] = 0
            absent = np.setdiff1d(absent, classes)
            same(found, strong.frame_labels(events, classes, 3, absent))


def test_cosines_of_a_teacher_are_read_as_probabilities_or_as_labels(tmp_path):
    cosines = np.array([[0.5, 0.4], [np.nan, np.nan], [0.1, 0.3]])
    scores = TeacherScores(("a", "b", "c"), ("x", "y"), cosines, meta={"scale": 10.0})
    scores.save(tmp_path / "s.npz")
    decision = Decision("cosine", 0.3)
    for steps, expected in [
        (Steps(correct={}), scores.values("softmax")),
        (Steps(correct={}, logit_scale=3.0), scores.values("softmax", 3.0)),
        (Steps(zero_shot=decision), decision.labels(scores)),
    ]:
        found = relabel_module._open_scores(tmp_path / "s.npz", steps, [])
        assert found.classes == ("x", "y")
        assert [id for _, id, _ in found.rows()] == ["a", "b", "c"]
        same([row for *_, row in found.rows()], expected)


def test_scores_that_are_no_cosines_decide_nothing(tmp_path):
    write_scores(tmp_path / "s.npz", ["a"], ["dog"], [[0.5]])
    write(tmp_path / "s.csv", "path,dog\na,0.5\n")
    source = write(tmp_path / "in", "path,classes\na,dog\n")
    for name in ("s.npz", "s.csv"):
        for options in ({"zero_shot": Decision()}, {"correct": {}, "logit_scale": 3.0}):
            with pytest.raises(FileError, match="holds no cosines of acdref teach, but scores"):
                relabel(source, tmp_path / "out", Steps(**options), tmp_path / name)


def zero_shot(tmp_path, text, classes, cosines, **steps):
    """Relabel a manifest of a.wav, b.wav, c.wav by cosines above 0.3; returns the rows written."""
    scores = TeacherScores(("a.wav", "b.wav", "c.wav"), classes, np.array(cosines))
    scores.save(tmp_path / "s.npz")
    source, out = write(tmp_path / "m.csv", text), tmp_path / "o.csv"
    relabel_module.relabel(source, out, Steps(zero_shot=Decision("cosine", 0.3), **steps), tmp_path / "s.npz")
    return out.read_text().splitlines()


def test_zero_shot_labels_what_has_no_labels(tmp_path):
    found = zero_shot(
        tmp_path,
        "path,classes\na.wav,\nb.wav,\nc.wav,\n",
        ("rain", "dog"),
        [[0.4, 0.5], [0.1, 0.2], [np.nan, np.nan]],
    )
    assert found == ["path,classes,unknown", "a.wav,rain;dog,", "b.wav,,", "c.wav,,rain;dog"]


def test_zero_shot_replaces_labels_and_leaves_classes_that_the_teacher_does_not_know(tmp_path):
    found = zero_shot(
        tmp_path,
        "path,classes\na.wav,cat\nb.wav,dog;cat\nc.wav,dog\n",
        ("dog",),
        [[0.5], [0.1], [np.nan]],
    )
    assert found == ["path,classes,unknown", "a.wav,cat;dog,", "b.wav,cat,", "c.wav,,dog"]


def test_zero_shot_goes_alone():
    with pytest.raises(AcdrefError, match="zero-shot makes all labels"):
        Steps(zero_shot=Decision(), correct={})


def test_who_masks_makes_unknown_labels():
    assert Steps(percentile={"mask": True}).make_unknown and Steps(correct={}).make_unknown
    assert Steps(percentile={}).make_unknown  # as the job masks where nothing is said
    assert not Steps(percentile={"mask": False}).make_unknown
    assert not Steps(correct={"mask": False}, mean_threshold={}).make_unknown


def said(source, out, steps, scores=None, **more):
    """The notes of a job, which are those of the check, too."""
    notes, checked = [], []
    relabel(source, out, steps, scores, say=notes.append, **more)
    check(source, steps, scores, say=checked.append, **more)
    assert checked == notes
    return notes


def test_scores_and_labels_that_do_not_match_are_named(tmp_path):
    source = write(tmp_path / "m.csv", "path,classes\na,dog;cow\nb,\n")
    scores = write_scores(tmp_path / "s.npz", ["a", "b"], ["dog", "Katze"], np.full((2, 2), 0.5))
    assert said(source, tmp_path / "out", Steps(correct={}), scores) == [
        f"{scores}: scores that are of no class, and say nothing: Katze",
        f"{scores}: classes of the labels that have no scores, and stay: cow",
    ]


def test_scores_that_match_need_no_word(tmp_path):
    source = write(tmp_path / "m.csv", "path,classes\na,dog\nb,\n")  # of the 11 super-classes
    scores = write_scores(tmp_path / "s.npz", ["a", "b"], ["dog", "cat"], np.full((2, 2), 0.5))
    assert said(source, tmp_path / "out", Steps(correct={}), scores) == []


def test_events_that_give_no_frame_are_counted_and_named(tmp_path):
    source = write(tmp_path / "e.tsv", "f\to\te\tl\na\t1500\t2600\tDog\nb\t0\t1\tDog\n")
    (note,) = said(source, tmp_path / "out", Steps(frame={}), format="strong")
    assert note.startswith(f"{source}: 1 of 2 events gave no frame (a 1500-2600 s Dog)")
    assert note.endswith("times look like milliseconds, or --duration is too small")
    report = relabel(source, tmp_path / "out", Steps(frame={}), format="strong").as_dict()
    assert report["events_without_frame"] == 1


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        ({"duration": 0.5}, "a frame of 0.96 s is longer than the clip of 0.5 s"),
        ({"frame": 20.0}, "a frame of 20 s is longer than the clip of 10 s"),
        ({"duration": 1e12}, "not below 1e\\+12 s"),
        ({"duration": np.nan}, "not below"),
        ({"duration": 1e9}, "would have 1.04e\\+09 frames, and can have 1,000,000"),
        ({"hop": 0.0}, "must be positive"),
        ({"frame": 0.9601}, "whole number of milliseconds"),
    ],
)
def test_frames_that_no_clip_has(frame, words):
    with pytest.raises(AcdrefError, match=words):
        Steps(frame=frame)


def test_a_wrong_label_is_in_its_own_line(tmp_path):
    rows = "a\t0\t1\tDog\na\t1\t2\tDog\na\t2\t3\tDgo\n"
    source = write(tmp_path / "e.tsv", "filename\tonset\toffset\tevent_label\n" + rows)
    with pytest.raises(FileError, match="line 4: the label 'Dgo' is no known class"):
        check(source, Steps(), classes=["Dog"])
