"""The shipped weights: whole, of the documented network, and not deaf to sounds of the generator."""

import csv
import json
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from acdref import checkpoint
from acdref.files import resource
from acdref.nets import ACDNET_2024
from acdref.predict.scoring import score_samples
from acdref.synth import sound
from acdref.tables.manifest import ACD_CLASSES

SCRIPT = Path(__file__).parents[1] / "weights" / "train_weights.py"
SISTERS = {"acdnet": 1, "acdnet-small": 0.5}


def test_they_are_the_network_of_the_paper_with_its_classes():
    net, meta = checkpoint.load_weights(resource("weights", "acdnet.npz"))
    assert net.config == ACDNET_2024
    assert tuple(meta["classes"]) == ACD_CLASSES
    assert sum(p.size for p in net.params.values()) == 248_539
    assert resource("weights", "README.md").exists()


def test_they_hear_wind_and_bangs():
    net, _ = checkpoint.load_weights(resource("weights", "acdnet.npz"))
    rng = np.random.default_rng(0)
    for name in ("windnoise", "gunshot"):
        own = ACD_CLASSES.index(name)
        heard = np.mean([score_samples(net, sound(name, rng, 3.0))[own] for _ in range(4)])
        other = np.mean([score_samples(net, sound("music", rng, 3.0))[own] for _ in range(4)])
        assert heard > other


@pytest.mark.parametrize(("name", "width"), SISTERS.items())
def test_sisters_are_the_same_network_by_name(name, width):
    net, meta = checkpoint.load_weights(name, backend="numpy")
    assert net.config == ACDNET_2024.scaled(width)
    assert tuple(meta["classes"]) == ACD_CLASSES
    assert meta["calibration"]["recordings"] == 574 and sum(meta["calibration"]["fitted"]) == 10
    assert f"`{name}`" in resource("weights", "README.md").read_text(encoding="utf-8")


def test_no_others_ship():
    assert {path.stem for path in resource("weights", "README.md").parent.glob("*.npz")} == {*SISTERS}


@pytest.mark.parametrize("name", SISTERS)
@pytest.mark.parametrize("level", [0.0, 0.01, 0.5])
def test_silence_and_tones_get_no_tag(level, name):
    net, meta = checkpoint.load_weights(name, backend="numpy")
    for hertz in (60, 440, 3000):
        tone = level * np.sin(2 * np.pi * hertz * np.arange(160_000) / 16_000).astype(np.float32)
        assert not (score_samples(net, tone) >= meta["thresholds"]).any()


def listed(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_source_has_a_maker_and_a_licence_without_nc_or_gpl():
    sources = listed(resource("weights", "sources.csv"))
    assert len(sources) > 1000 and {row["use"] for row in sources} == {"training", "thresholds"}
    for row in sources:
        assert row["source_id"] and row["attribution"] and int(row["recordings"]) > 0, row
        assert row["licence"] and "NC" not in row["licence"] and "GPL" not in row["licence"], row


def test_no_source_serves_training_and_thresholds_or_is_in_the_demo():
    by_use = {"training": set(), "thresholds": set()}
    for row in listed(resource("weights", "sources.csv")):
        by_use[row["use"]].add(row["source_id"])
    assert not by_use["training"] & by_use["thresholds"]
    demo = {row["source_id"] for row in listed(resource("fixtures", "demo") / "manifest.csv")}
    assert len(demo) == 8 and not demo & (by_use["training"] | by_use["thresholds"])


def started(data, given):
    """The script, with a folder of runs in that of the data."""
    command = [sys.executable, str(SCRIPT), str(data), "--runs", str(data / "runs"), *given]
    return subprocess.run(command, capture_output=True, text=True, timeout=100)


@pytest.mark.parametrize(
    "given",
    [
        ["--width", "0.5"],
        ["--widen", "acdnet", "--width", "2"],
        ["--held-out", "1"],
        ["--share", "0.5"],
        ["--stages", "long"],
        ["--name", "acdnet-small"],
    ],
)
def test_no_other_takes_the_name_of_the_shipped(tmp_path, given):
    done = started(tmp_path, given)
    assert done.returncode == 2 and "another --name" in done.stderr and not (tmp_path / "runs").exists()


@pytest.mark.parametrize("given", [["--held-out", "5"], ["--held-out", "1,2"], ["--share", "0"]])
def test_a_fold_is_held_out_and_something_is_trained(tmp_path, given):
    (tmp_path / "all.csv").write_text("path,fold\na.wav,1\nb.wav,2\nc.wav,4\n")
    done = started(tmp_path, ["--name", "mine", *given])
    assert done.returncode == 2 and "is a fold of all.csv" in done.stderr and not (tmp_path / "runs").exists()


def test_a_run_goes_on_by_its_own_recipe_alone(tmp_path):
    (tmp_path / "all.csv").write_text("path,fold\na.wav,1\nc.wav,4\n")
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    recipe = {"width": 1.0, "widen": None, "held_out": "1", "share": 1.0, "stages": ["long"]}
    (tmp_path / "runs" / "mine" / "recipe.json").write_text(json.dumps(recipe))
    done = started(tmp_path, ["--name", "mine", "--stages", "long"])
    assert done.returncode == 2 and "is of another recipe" in done.stderr
    assert [path.name for path in (tmp_path / "runs" / "mine").iterdir()] == ["recipe.json"]


def test_the_held_out_fold_is_whole_and_the_others_are_thinned():
    chosen = runpy.run_path(str(SCRIPT))["chosen"]
    rows = [
        {"fold": fold, "source_id": f"{kind}{n}", "source_repo": "r", "classes": "dog"}
        for fold in "12"
        for kind in ("a:", "mtr:")
        for n in range(9)
    ]
    taken = chosen(rows, "2", 3, True)
    assert [row for row in taken if row["fold"] == "2"] == [
        r for r in rows if r["fold"] == "2" and "a:" in r["source_id"]
    ]
    assert sum(row["fold"] == "1" for row in taken) == 3
    assert not any("mtr:" in row["source_id"] for row in chosen(rows, "2", 99, False))


def test_a_widened_network_computes_the_same():
    script = runpy.run_path(str(SCRIPT))
    net, _ = checkpoint.load_weights(resource("weights", "acdnet.npz"), backend="numpy")
    wide = script["widened"](net, 2)
    assert wide.config == ACDNET_2024.scaled(2)
    x = np.random.default_rng(0).standard_normal((2, 150, 257, 2)).astype(np.float32)
    assert np.allclose(wide.forward(x)[0], net.forward(x)[0], atol=1e-4)
    weight = wide.params["block3.pointwise.weight"]  # (in, out)
    assert not np.allclose(weight[:64], weight[64:], atol=1e-3), "two channels that would learn the same"


def test_the_sources_are_those_of_the_recordings_that_the_script_takes():
    data = Path(__file__).parents[1] / ".." / "shared" / "data"
    if not (data / "all.csv").exists():
        pytest.skip("the collection is not here")
    script = runpy.run_path(str(SCRIPT))
    columns, rows = script["sources"](script["read_rows"](data))
    expected = [dict(zip(columns, map(str, row), strict=True)) for row in rows]
    assert listed(resource("weights", "sources.csv")) == expected
