"""FSD50K's evaluation sets, of a made-up folder of its layout."""

import csv

import pytest
from predict_support import ROOT, noise, write

from acdref.errors import AcdrefError, FileError
from acdref.labels import SuperClasses
from acdref.tables import fsd50k
from acdref.tables.fsd50k import PARTS, fsd50k_set
from acdref.tables.label_files import fsd50k_name

MAP = SuperClasses(
    {
        "machinery": ["Mechanical fan", "Dishes, pots, and pans"],
        "nature": ["Chicken, rooster", "Wind"],
        "windnoise": ["Wind noise (microphone)", "Wind"],
        "cat": ["Cat"],
    }
)
LABELS = {"Mechanical_fan": "/m/1", "Chicken_and_rooster": "/m/2", "Wind": "/m/3", "Meow": "/m/4",
          "Dishes_and_pots_and_pans": "/m/5"}  # fmt: skip


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Seconds a tenth as long, and one or two clips of a class."""
    monkeypatch.setattr(fsd50k, "PARTS", {"val": ("dev", 2, 0.8), "test": ("eval", 1, 0.5)})


def make(folder, clips, name="eval"):
    """Ground truth and recordings; clips are (name, seconds or None for no file, labels)."""
    lines = ["fname,labels,mids"]
    (folder / f"FSD50K.{name}_audio").mkdir()
    for clip, seconds, labels in clips:
        mids = ",".join(LABELS[label] for label in labels)
        lines.append(f'{clip},"{",".join(labels)}","{mids}"')
        if seconds is not None:
            write(folder / f"FSD50K.{name}_audio" / f"{clip}.wav", noise(seconds, rate=44100), 44100)
    (folder / "FSD50K.ground_truth").mkdir(exist_ok=True)
    (folder / "FSD50K.ground_truth" / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return folder


CLIPS = [
    ("10", 0.5, ["Dishes_and_pots_and_pans"]),
    ("11", 0.49, ["Mechanical_fan"]),
    ("12", 0.6, ["Wind"]),
    ("13", 0.6, ["Meow"]),
    ("14", 0.6, []),
]


def test_the_papers_numbers():
    """Section 4.2."""
    assert PARTS == {"val": ("dev", 200, 8.0), "test": ("eval", 140, 5.0)}


def test_labels_are_mapped_and_short_clips_left_out(tmp_path):
    found = fsd50k_set(make(tmp_path, CLIPS), MAP)
    assert found.classes == ("machinery", "nature", "windnoise", "cat")
    assert found.paths == ("FSD50K.eval_audio/10.wav", "FSD50K.eval_audio/12.wav")
    assert found.labels.tolist() == [[1, 0, 0, 0], [0, 1, 1, 0]]
    assert found.root == str(tmp_path) and found.source.endswith("eval.csv")


def test_so_many_of_each_class_and_the_same_for_one_seed(tmp_path):
    clips = [(str(i), 0.9 if i % 4 else 0.7, [list(LABELS)[i % 2]]) for i in range(40)]
    make(tmp_path, clips, "dev")
    draws = [fsd50k_set(tmp_path, MAP, "val", seed).paths for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]
    found = fsd50k_set(tmp_path, MAP, "val")
    assert found.labels.sum(axis=0).tolist() == [2, 2, 0, 0]
    assert not any(int(path.split("/")[1][:-4]) % 4 == 0 for path in found.paths)


def test_train_and_validation_clips_of_dev_are_merged(tmp_path):
    make(tmp_path, [("1", 0.9, ["Wind"]), ("2", 0.9, ["Wind"])], "dev")
    table = tmp_path / "FSD50K.ground_truth" / "dev.csv"
    head, *rows = table.read_text().splitlines()
    table.write_text("\n".join([f"{head},split", f"{rows[0]},train", f"{rows[1]},val"]))
    assert len(fsd50k_set(tmp_path, MAP, "val")) == 2


def test_recordings_that_cannot_be_opened_are_told_and_not_drawn(tmp_path):
    make(tmp_path, [*CLIPS, ("15", None, ["Wind"]), ("16", None, []), ("17", 0.9, ["Wind"])])
    (tmp_path / "FSD50K.eval_audio" / "17.wav").write_bytes(b"no sound")
    failures, progress = [], []
    found = fsd50k_set(
        tmp_path, MAP, on_failure=failures.append, progress=lambda *done: progress.append(done)
    )
    assert [error.path.rsplit("/")[-1] for error in failures] == ["15.wav", "17.wav"]  # 16 has no class
    assert failures[0].cause == "no such file"
    assert len(found) == 2 and progress[-1] == (5, 5)


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("FSD50K.ground_truth/eval.csv", "eval.csv: No such file"),
        ("FSD50K.eval_audio", "FSD50K.eval_audio: no such folder"),
        ("FSD50K.eval_audio/10.wav", "no clip of 0.5 s and more has one of machinery, nature"),
    ],
)
def test_what_is_missing_is_named(tmp_path, missing, words):
    (make(tmp_path, CLIPS[:1]) / missing).rename(tmp_path / "x")
    with pytest.raises(AcdrefError, match=words):
        fsd50k_set(tmp_path, MAP)


def test_a_damaged_table_is_named_with_its_line(tmp_path):
    table = make(tmp_path, CLIPS) / "FSD50K.ground_truth" / "eval.csv"
    table.write_text(table.read_text() + '99,"Wind,Meow",/m/3\n')
    with pytest.raises(FileError, match=r"eval.csv: line 7: 2 labels, but 1 mids"):
        fsd50k_set(tmp_path, MAP)


def test_another_part(tmp_path):
    with pytest.raises(ValueError, match="part = 'dev'"):
        fsd50k_set(tmp_path, MAP, "dev")


def test_the_authors_map_and_the_names_that_fsd50k_makes_of_its_labels():
    place = ROOT.parent / "shared" / "data" / "audioset"
    if not place.exists():
        pytest.skip("the shared folder is absent")
    with open(place / "class_labels_indices.csv", encoding="utf-8") as file:
        known = {fsd50k_name(row["display_name"]) for row in csv.DictReader(file)}
    assert {"Dishes_and_pots_and_pans", "Fixed-wing_aircraft_and_airplane", "Rattle_(instrument)"} <= known
    members = SuperClasses.from_csv(place / "audio_content_ontology.csv").members
    spelled = {fsd50k_name(label) for labels in members.values() for label in labels}
    assert spelled <= known
    assert {"Traffic_noise_and_roadway_noise", "Livestock_and_farm_animals_and_working_animals"} <= spelled
