"""Cases of the file formats that acdref reads and writes."""

import json
import os
import tempfile
from collections.abc import Iterator

import numpy as np

from acdref import labels
from acdref.conform.rules import rule_cases
from acdref.conform.writing import Case
from acdref.predict.formats import as_csv, as_jsonl
from acdref.predict.tagging import Failure, Window
from acdref.relabel import Steps, relabel
from acdref.tables.columns import read_vocabulary
from acdref.tables.label_files import LabelFile, label_matrix
from acdref.tables.manifest import read_manifest
from acdref.tables.scores import ScoreFile

NAN = np.nan


def cases() -> Iterator[Case]:
    """All of this section's."""
    for chapter in (_manifest, _audioset, _fsd50k, _strong, _framed, _ontology, _superclasses, _scores):
        yield from chapter()
    for chapter in (_predictions, _relabelled_manifest, _relabelled_audioset, _relabelled_fsd50k, _frames):
        yield from chapter()


def _json(value):
    return json.dumps(value, ensure_ascii=False) + "\n"


def _opened(read, *texts, suffix=".csv"):
    """``read`` of files that hold these texts."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, f"{i}{suffix}") for i in range(len(texts))]
        for path, text in zip(paths, texts, strict=True):
            with open(path, "w", encoding="utf-8", newline="") as file:
                file.write(text)
        return read(*paths)


def _clips(format, text):
    """All of a label file."""

    def read(path):
        file = LabelFile(path, format)
        return list(file), file.names

    return _opened(read, text)


# Read


def _manifest():
    def rule(**given):
        wanted = json.loads(given["wanted.json"])
        found = _opened(lambda path: read_manifest(path, classes=wanted), given["manifest.csv"])
        columns = {name: getattr(found, name) for name in ("paths", "classes", "fold", "split", "verified")}
        return {"columns.json": _json(columns), "labels": found.labels}

    plain = "path,classes\na.wav,dog;voice\nb.wav,\nsub/c.wav,music\n"
    every = (
        "\ufeff note , path,classes,unknown,fold,split,verified\r\n,,,,,,\r\n"
        'x,"a, b.wav", dog ; cat;dog,bird,1,train,1\r\n\r\n"two\nlines", c.wav ,,"dog;bird", 2 ,test, 0 \r\n'
    )
    yield from rule_cases(
        "formats/manifest",
        "a row of a CSV file is a recording: its classes 1, its unknown ones NaN, all others 0",
        rule,
        {
            "known_classes": {"manifest.csv": plain, "wanted.json": "null\n"},
            "other_classes": {"manifest.csv": plain + "d.wav,Zebra;ant\n", "wanted.json": "null\n"},
            "wanted_classes": {"manifest.csv": plain, "wanted.json": _json(["voice", "cat", "dog", "music"])},
            "all_columns": {"manifest.csv": every, "wanted.json": "null\n"},
        },
        {
            "unknown classes were 0": lambda **given: {"labels": np.nan_to_num(rule(**given)["labels"])},
        },
    )


SEGMENTS = (
    "# Segments csv created Sun Mar  5 10:54:25 2017\n"
    "# num_ytids=3, num_segs=3, num_unique_labels=3, num_positive_labels=4\n"
    "# YTID, start_seconds, end_seconds, positive_labels\n"
    '--PJHxphWEs, 30.000, 40.000, "/m/g,/m/e"\n'
    '-0RWZT-miFs, 0.000, 10.000, "/m/r"\n_y_comma, 5.500, 7.250, "/m/g"\n'
)
CLASS_MAP = (
    'index,mid,display_name\n0,/m/e,Electric guitar\n1,/m/g,Guitar\n2,/m/r,"Rain, raindrop"\n3,/m/m,Music\n'
)
NODES = [
    {"id": "/m/m", "name": "Music", "child_ids": ["/m/i"], "restrictions": []},
    {"id": "/m/i", "name": "Musical instrument", "child_ids": ["/m/g"], "restrictions": ["abstract"]},
    {"id": "/m/g", "name": "Guitar", "child_ids": ["/m/e", "/m/a"], "restrictions": []},
    {"id": "/m/e", "name": "Electric guitar", "child_ids": [], "restrictions": []},
    {"id": "/m/a", "name": "Acoustic guitar", "child_ids": [], "restrictions": ["abstract", "blacklist"]},
    {"id": "/m/r", "name": "Rain, raindrop", "child_ids": [], "restrictions": []},
]


def _audioset():
    def rule(**given):
        clips, _ = _clips("audioset", given["segments.csv"])
        classes = _opened(read_vocabulary, given["class_map.csv"])
        column = {id: c for c, (id, _) in enumerate(classes)}
        return {
            "clips.json": _json([{"id": clip.id, "labels": clip.present} for clip in clips]),
            "times": np.array([[float(time) for time in clip.details] for clip in clips]),
            "classes.json": _json(classes),
            "labels": label_matrix(clips, column, len(classes))[0],
        }

    spaced = '# a comment\n\nabc,1,2.5, "/m/r, /m/e,,/m/r"\r\n"d,e", 0.0, 10.0, "/m/m"\n'
    yield from rule_cases(
        "formats/audioset",
        "comment lines, then id, start, end, quoted list of class ids; class map: index, id, name",
        rule,
        {
            "segments": {"segments.csv": SEGMENTS, "class_map.csv": CLASS_MAP},
            "spaced": {"segments.csv": spaced, "class_map.csv": CLASS_MAP},
        },
    )


TRUTH = (
    'fname,labels,mids,split\n64760,"Electric_guitar,Guitar","/m/e,/m/g",train\n'
    "16399,Rain,/m/r,val\n7,,,train\n"
)


def _fsd50k():
    def rule(**given):
        clips, names = _clips("fsd50k", given["ground_truth.csv"])
        return {
            "clips.json": _json([{"id": clip.id, "labels": clip.present} for clip in clips]),
            "names.json": _json(names),
        }

    yield from rule_cases(
        "formats/fsd50k",
        "columns fname, labels (names), mids (ids), both separated by commas",
        rule,
        {"train": {"ground_truth.csv": TRUTH}},
    )


EVENTS = (
    "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\n"
    'b0RF_0\t0.300\t1.500\t/m/e\nb0RF_0\t2.7\t3.0\t/m/r\nb0RF_0\t0.3\t1.5\t/m/e\n"q"_10\t0\t10.000\t/m/g\n'
    "none_0\t\t\t\nlate_0\t9.7\t9.9\t/m/r\n"
)


def _strong():
    def rule(**given):
        clips, _ = _clips("strong", given["events.tsv"])
        facts = [{"id": clip.id, "labels": clip.present, "events": clip.details} for clip in clips]
        return {"clips.json": _json(facts)}

    yield from rule_cases(
        "formats/strong",
        "clip, onset, offset, label between tabs; rows of a clip stand together",
        rule,
        {"events": {"events.tsv": EVENTS}},
        {
            "quotes were taken for more than text": lambda **given: {
                "clips.json": rule(**given)["clips.json"].replace('\\"', "")
            }
        },
    )


def _framed():
    def rule(**given):
        clips, _ = _clips("framed", given["frames.tsv"])
        facts = [
            {
                "id": clip.id,
                "start": clip.details[0],
                "end": clip.details[1],
                "present": clip.present,
                "absent": clip.absent,
            }
            for clip in clips
        ]
        return {"frames.json": _json(facts)}

    text = (
        "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\tpresent\n"
        "a_0\t0.960\t1.920\t/m/r\tPRESENT\na_0\t0.000\t0.960\t/m/r\tNOT_PRESENT\n"
        "a_0\t0.96\t1.92\t/m/g\tNOT_PRESENT\n"
        "b_0\t0.000\t0.960\t/m/e\tPRESENT\nb_0\t0.000\t0.960\t/m/g\tPRESENT\n"
    )
    yield from rule_cases(
        "formats/framed",
        "clip, start, end, label, PRESENT or NOT_PRESENT between tabs; frames of a clip in order of time",
        rule,
        {"frames": {"frames.tsv": text}},
    )


def _ontology():
    def rule(**given):
        ontology = _opened(labels.Ontology.from_json, given["ontology.json"])
        edges = [(parent, child) for parent, below in enumerate(ontology.children) for child in below]
        nodes = json.loads(given["ontology.json"].removeprefix("\ufeff"))
        return {
            "nodes.json": _json({"ids": ontology.ids, "names": ontology.names}),
            "edges": np.array(edges, dtype=np.int64).reshape(-1, 2),  # (E, 2)
            "abstract": [node.get("restrictions") == ["abstract"] for node in nodes],
        }

    yield from rule_cases(
        "formats/ontology",
        "a list of nodes with id, name, child_ids, restrictions",
        rule,
        {"guitars": {"ontology.json": json.dumps(NODES, indent=1)}},
        {
            "blacklisted nodes were abstract": lambda **given: {
                "abstract": [
                    "abstract" in node["restrictions"] for node in json.loads(given["ontology.json"])
                ]
            }
        },
        "3, sec. II",
    )


def _superclasses():
    def rule(**given):
        return {
            "members.json": _json(_opened(labels.SuperClasses.from_csv, given["superclasses.csv"]).members)
        }

    text = 'unused,dog, wind ,nature\nHum,Bark,Wind,"Rain, raindrop"\n,Yip,,Wind\n,Bark,,\n'
    yield from rule_cases(
        "formats/superclasses",
        "one column per super-class: its name, then its labels; the column unused is left out",
        rule,
        {"four": {"superclasses.csv": text}},
        paper="1, sec. 3",
    )


SCORES = (
    'schema,path,start,end,dog,"cat, wild",note,error\nacdref.predict/1,a.wav,0.0,10.0,0.5,0.25,,\n'
    "acdref.predict/1,a.wav,10.0,12.0,0.9,,short,\nacdref.predict/1,b.wav,,,,,,an empty file\n"
    "acdref.predict/1,c.wav,0.0,3.0,1.0,0.125,,\n"
)


def _scores():
    def rule(name):
        def read(**given):
            def scores(path):
                file = ScoreFile(path)
                return file.classes, list(file.rows())

            classes, rows = _opened(scores, given[name])
            facts = {"ids": [id for _, id, _ in rows], "classes": classes}
            return {"rows.json": _json(facts), "scores": np.array([row for *_, row in rows])}

        return read

    formula = "the mean of a recording's windows, weighted by their lengths; NaN where one has no score"
    plain = "fname,dog,cat\nx,0.5,\ny,0,1e-3\n"
    yield from rule_cases(
        "formats/scores_csv",
        formula,
        rule("scores.csv"),
        {"predicted": {"scores.csv": SCORES}, "plain": {"scores.csv": plain}},
        {
            "windows counted alike, whatever their length": lambda **given: rule("scores.csv")(
                **{"scores.csv": given["scores.csv"].replace("10.0,12.0", "10.0,20.0")}
            ),
        },
        rtol=1e-13,
    )
    lines = [
        {
            "schema": "acdref.predict/1",
            "path": "a.wav",
            "start": 0.0,
            "end": 10.0,
            "scores": {"dog": 0.5, "cat": 0.25},
        },
        {
            "schema": "acdref.predict/1",
            "path": "a.wav",
            "start": 10.0,
            "end": 12.0,
            "scores": {"cat": 0.75, "bee": 0.5},
        },
        {"schema": "acdref.predict/1", "path": "b.wav", "error": "an empty file"},
    ]
    yield from rule_cases(
        "formats/scores_jsonl",
        formula,
        rule("scores.jsonl"),
        {"predicted": {"scores.jsonl": "".join(json.dumps(line) + "\n" for line in lines)}},
        rtol=1e-13,
    )


# Written


def _predictions():
    def rule(scores, threshold, top, **given):
        rows = iter(np.float32(scores))
        results = [
            Failure(one["path"], one["error"])
            if "error" in one
            else Window(one["path"], one["start"], one["end"], next(rows), one.get("note"))
            for one in json.loads(given["results.json"])
        ]
        classes = json.loads(given["classes.json"])
        limits = (None if np.isnan(threshold) else threshold, None if top < 0 else top)
        return {
            "predictions.csv": "".join(as_csv(results, classes, *limits)),
            "predictions.jsonl": "".join(as_jsonl(results, classes, *limits)),
        }

    results = [
        {"path": "a, b.wav", "start": 0.0, "end": 10.0},
        {"path": "a, b.wav", "start": 10.0, "end": 12.5, "note": "padded from 2.5 s"},
        {"path": 'c "d".wav', "error": "an empty file"},
    ]
    given = {
        "classes.json": _json(["dog", "cat, wild", "café"]),
        "results.json": _json(results),
        "scores": np.array([[0.1, 0.5, 0.333333343], [1.0, 0.5, 0.5]], dtype=np.float32),
    }
    yield from rule_cases(
        "formats/predictions",
        "scores in the shortest decimals that give the float32 back; those left out are empty, or no keys",
        rule,
        {
            "all": given | {"threshold": NAN, "top": -1},
            "threshold": given | {"threshold": 0.5, "top": -1},
            "top": given | {"threshold": NAN, "top": 2},
            "both": given | {"threshold": 0.4, "top": 1},
        },
        {
            "a score equal to the threshold was left out": lambda threshold, **others: rule(
                threshold=np.nextafter(threshold, 2), **others
            ),
            "scores were written as float64": lambda scores, **others: {
                "predictions.csv": _doubled(rule(scores=scores, **others)["predictions.csv"])
            },
        },
    )


def _doubled(text):
    for score in ("0.1", "0.33333334"):
        text = text.replace(f",{score},", f",{float(np.float32(score))!r},")
    return text


def _relabelled(source, steps, *others, **given):
    """What ``acdref relabel`` writes: the text."""

    def run(*paths):
        out = f"{paths[0]}.out"
        relabel(paths[0], out, steps, *paths[1:], **given)
        with open(out, encoding="utf-8", newline="") as file:
            return file.read()

    return _opened(run, source, *others)


def _relabelled_manifest():
    def rule(T, fp, mask, **given):
        steps = Steps(correct={"T": float(T), "fp": bool(fp), "mask": bool(mask)})
        return {"relabelled.csv": _relabelled(given["manifest.csv"], steps, given["scores.csv"])}

    manifest = (
        'id,path,classes,split\n1,a.wav,dog,train\n2,"b, c.wav",cat;dog,test\n3,d.wav,,train\n4,e.wav,bird,\n'
    )
    scores = (
        "path,bird,cat,dog\na.wav,0.97,0.7,0.2\n"
        '"b, c.wav",0.1,0.01,0.99\nd.wav,0.96,,0.5\ne.wav,0.5,0.94,0.96\n'
    )
    given = {"manifest.csv": manifest, "scores.csv": scores, "T": 0.05}
    yield from rule_cases(
        "formats/relabelled_manifest",
        "correct_labels by the scores; further columns as they were; unknown classes in a column unknown",
        rule,
        {
            "fn": given | {"fp": 0, "mask": 1},
            "fnfp": given | {"fp": 1, "mask": 1},
            "correct_only": given | {"fp": 1, "mask": 0},
        },
        paper="1, eq. 4 to 7",
    )


def _relabelled_audioset():
    def rule(**given):
        ontology = _opened(labels.Ontology.from_json, given["ontology.json"])
        text = _relabelled(given["segments.csv"], Steps(ontology=ontology, expand=True))
        return {"relabelled.csv": text}

    yield from rule_cases(
        "formats/relabelled_audioset",
        "parent_expand; the counts of the comment line are those of the new rows",
        rule,
        {"guitars": {"segments.csv": SEGMENTS, "ontology.json": json.dumps(NODES)}},
        paper="3, PEL",
    )


def _relabelled_fsd50k():
    def rule(**given):
        ontology = _opened(labels.Ontology.from_json, given["ontology.json"])
        classes = _opened(read_vocabulary, given["class_map.csv"])
        text = _relabelled(
            given["ground_truth.csv"], Steps(ontology=ontology, expand=True, vocabulary=classes)
        )
        return {"relabelled.csv": text}

    given = {"ground_truth.csv": TRUTH, "class_map.csv": CLASS_MAP, "ontology.json": json.dumps(NODES)}
    yield from rule_cases(
        "formats/relabelled_fsd50k",
        "parent_expand, of which the classes of the map are kept; names as FSD50K makes them",
        rule,
        {"guitars": given},
        paper="3, PEL",
    )


def _frames():
    def rule(guard, **given):
        def run(events, absent):
            out = f"{events}.out"
            relabel(events, out, Steps(frame={"guard": bool(guard)}), absent=absent)
            with open(out, encoding="utf-8", newline="") as file:
                return file.read()

        return {"frames.tsv": _opened(run, given["events.tsv"], given["absent.tsv"])}

    absent = "segment_id\tlabel\nb0RF_0\t/m/g\nb0RF_0\t/m/r\nnone_0\t/m/e\n"
    given = {"events.tsv": EVENTS, "absent.tsv": absent}
    yield from rule_cases(
        "formats/framed_events",
        "frame_labels of each clip's events, in ten frames of 0.96 s; pairs that are NaN have no row",
        rule,
        {"plain": given | {"guard": 0}, "guard": given | {"guard": 1}},
        paper="4, sec. 3",
    )
