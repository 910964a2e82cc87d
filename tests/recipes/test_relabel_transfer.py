"""Re-labelling and transfer from end to end on tones and noises, with a tiny network."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from predict_support import noise, write, write_tiny_weights
from recipes_support import Killed, dying_at, tiny_mobilenet
from train_support import Recorder

from acdref import checkpoint, losses
from acdref.errors import AcdrefError
from acdref.fit import Stopped
from acdref.labels import Ontology, fix_length
from acdref.nets import registry
from acdref.recipes import features
from acdref.recipes.relabel_transfer import (
    Perceptron,
    PerceptronConfig,
    RelabelTransferOptions,
    _RelabelTransfer,
    _TransferLesson,
    embedding,
    relabel_transfer,
    squared_error,
)

NODES = [
    {"id": "t", "name": "Tone", "child_ids": ["low", "high"]},
    {"id": "low", "name": "Low tone", "child_ids": []},
    {"id": "high", "name": "High tone", "child_ids": []},
    {"id": "n", "name": "Noise", "child_ids": ["loud", "faint"]},
    {"id": "loud", "name": "Loud noise", "child_ids": []},
    {"id": "faint", "name": "Faint noise", "child_ids": []},
]


def write_corpus(folder):
    """40 recordings of four kinds, some labelled with the parent alone; names and ids mixed."""
    t = np.arange(16000) / 16000
    rows = ["path,classes"]
    for i in range(40):
        kind = i % 4
        tone = 0.3 * np.sin(2 * np.pi * (200, 3000)[kind % 2] * t)
        write(folder / f"{i}.wav", tone if kind < 2 else noise(1.0, (0.3, 0.01)[kind % 2], i))
        label = (("Low tone", "high", "Loud noise", "faint"), ("t", "t", "n", "Noise"))[i % 10 == 3][kind]
        rows.append(f"{i}.wav,{'n' if label == 'Noise' else label}")
    rows[1] += ";t"
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    (folder / "ontology.json").write_text(json.dumps(NODES))
    return folder


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    folder = write_corpus(tmp_path_factory.mktemp("corpus"))
    return RelabelTransferOptions(
        str(folder / "manifest.csv"),
        ontology=str(folder / "ontology.json"),
        target=("Tone",),
        base=("ol", "pe-cml"),
        labels=("ol", "pe-cml"),
        init=tiny_mobilenet(folder / "tiny.npz", ("a",)),
        seconds=0.6,
        epochs=2,
        tune_epochs=2,
        extract_epochs=3,
        batch=8,
        hidden=4,
        seed=2,
    )


@pytest.fixture(scope="module")
def finished(options, tmp_path_factory):
    out = tmp_path_factory.mktemp("recipes") / "whole"
    return out, relabel_transfer(options, out)


def contents(out):
    names = ("sets.json", "best.npz", "test.npy", "embeddings.npy")
    return {str(p.relative_to(out)): p.read_bytes() for p in Path(out).rglob("*") if p.name in names}


def test_stages(finished):
    out, stages = finished
    both = ("ol", "pe-cml")
    names = ["sets", *(f"scratch-{labels}" for labels in both)]
    for base in both:
        names += [f"base-{base}", f"embeddings-{base}"]
        names += [f"{way}-{base}-{labels}" for way in ("extracted", "tuned") for labels in both]
    assert list(stages) == ["given", "features", *(f"tone-{name}" for name in names)]
    assert stages["tone-sets"] == {
        "root": "Tone",
        "base": {"train": 16, "val": 2, "test": 2},
        "target": {"train": 16, "val": 2, "test": 2},
    }
    tones = ["Low tone", "high", "t"]
    classes = {"base": ["Loud noise", "faint", "n"], "scratch": tones, "tuned": tones}
    for number, name in enumerate(names, 3):
        found, way = stages[f"tone-{name}"], name.split("-")[0]
        if "mAP" in found:
            base = [found["base"]] if way in ("extracted", "tuned") else []
            assert "-".join([found["way"], *base, found["labels"]]) == name
        if way in classes:
            _, meta = checkpoint.load(out / f"{number}-tone-{name}" / "best.npz")
            assert meta["classes"] == classes[way]
            assert (meta["epoch"], meta["val_mAP"]) == (found["best_epoch"], found["val_mAP"])


def test_parts_are_drawn_by_the_seed(options):
    parts = [_RelabelTransfer(replace(options, seed=s)).roots[0]._parts(np.arange(40)) for s in (2, 2, 3)]
    assert parts[0] == parts[1] != parts[2]
    assert {name: len(rows) for name, rows in parts[2].items()} == {"train": 32, "val": 4, "test": 4}


def test_sets_are_disjoint_and_by_root(finished):
    sets = json.loads((finished[0] / "3-tone-sets" / "sets.json").read_text())
    members = {name: [i for part in parts.values() for i in part] for name, parts in sets.items()}
    assert sorted(members["base"]) == [i for i in range(40) if i % 4 >= 2]
    assert sorted(members["target"]) == [i for i in range(40) if i % 4 < 2]


def of(out, name, file):
    """A file of a stage."""
    (path,) = out.glob(f"*-tone-{name}/{file}")
    return path.read_bytes()


def test_a_labelling_changes_what_is_trained_with_it_only(finished, options, tmp_path):
    """The others as without it: whatever number their stages have."""
    out, stages = finished
    other = relabel_transfer(replace(options, base=("pe-cml",), labels=("pe-cml",)), tmp_path)
    assert all(other[name] == stages[name] for name in other)
    for name in ("extracted-pe-cml-pe-cml", "tuned-pe-cml-pe-cml", "scratch-pe-cml"):
        assert of(tmp_path, name, "test.npy") == of(out, name, "test.npy")
    assert of(out, "base-ol", "best.npz") != of(out, "base-pe-cml", "best.npz")
    for way in ("scratch", "extracted-ol", "tuned-ol"):
        assert of(out, f"{way}-ol", "test.npy") != of(out, f"{way}-pe-cml", "test.npy")
    for way in ("extracted", "tuned"):
        assert of(out, f"{way}-ol-ol", "test.npy") != of(out, f"{way}-pe-cml-ol", "test.npy")


def test_embeddings_are_those_of_the_base_network(finished, options):
    """A row for each target recording; once for all labellings of the target set."""
    out, _ = finished
    net, _ = checkpoint.load_weights(next(out.glob("*-base-ol/best.npz")))
    values = np.load(next(out.glob("*-embeddings-ol/embeddings.npy")))
    rows = [
        i for part in json.loads((out / "3-tone-sets/sets.json").read_text())["target"].values() for i in part
    ]
    x = features.Features(out / "2-features")
    recipe = _RelabelTransfer(options)
    assert values.shape == (20, 8)
    for i, row in enumerate(rows):
        given = x[row][fix_length(np.arange(len(x[row])), recipe.steps)]
        np.testing.assert_array_equal(values[i], embedding(net, given[None])[0])


def test_each_root_has_its_own_split(options, tmp_path, monkeypatch):
    """And the same networks as alone; embeddings are made once a base."""
    made = []
    monkeypatch.setattr(
        "acdref.recipes.relabel_transfer.embedding", lambda net, x: made.append(1) or embedding(net, x)
    )
    few = replace(options, base=("ol",), labels=("pel", "pe-cml"), epochs=1, tune_epochs=1, extract_epochs=1)
    stages = relabel_transfer(replace(few, target=("Tone", "n")), tmp_path / "both")
    assert len(made) == 40
    alone = relabel_transfer(replace(few, target=("Noise",)), tmp_path / "alone")
    assert [name for name in stages if name.startswith("noise-")] == list(alone)[2:]
    assert all(stages[name] == alone[name] for name in alone)
    assert {stage["root"] for stage in stages.values() if "root" in stage} == {"Tone", "Noise"}
    sets = [
        json.loads((tmp_path / f"both/{name}/sets.json").read_text())
        for name in ("3-tone-sets", "12-noise-sets")
    ]
    members = [
        {which: {i for rows in parts.values() for i in rows} for which, parts in one.items()} for one in sets
    ]
    assert members[0]["base"] == members[1]["target"] and members[0]["target"] == members[1]["base"]


def test_what_is_masked_is_not_measured():
    sklearn = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    labels = np.where(rng.random((30, 4)) < 0.3, np.nan, rng.integers(0, 2, (30, 4)))
    lesson = object.__new__(_TransferLesson)
    lesson.labels, lesson.parts = labels, {"test": list(range(5, 30))}
    p = rng.random((25, 4))
    known = ~np.isnan(labels[5:])
    each = [sklearn.average_precision_score(labels[5:, c][k], p[k, c]) for c, k in enumerate(known.T)]
    assert lesson._measure(p, "test") == pytest.approx(np.mean(each), abs=1e-12)


def test_the_perceptron_is_an_affine_map_normalisation_elu_and_an_affine_map():
    net = Perceptron(PerceptronConfig(128, 256, 3), 1, np.float64, "numpy")
    sizes = {name: a.size for name, a in net.params.items()}
    assert sizes == {
        "hidden.weight": 128 * 256,
        "hidden.bias": 256,
        "hidden_norm.gamma": 256,
        "hidden_norm.beta": 256,
        "dense.weight": 256 * 3,
        "dense.bias": 3,
    }
    x = np.random.default_rng(0).standard_normal((4, 128))
    z = (x @ net.params["hidden.weight"] + net.params["hidden.bias"]) / np.sqrt(1 + 1e-5)
    z = np.where(z > 0, z, np.expm1(z)) @ net.params["dense.weight"] + net.params["dense.bias"]
    np.testing.assert_allclose(net.predict_proba(x), 1 / (1 + np.exp(-z)), rtol=1e-12)


def test_a_split_is_followed(options, tmp_path):
    folder = write_corpus(tmp_path)
    lines = (folder / "manifest.csv").read_text().splitlines()
    parts = [("train", "val", "test", "none")[i // 4 % 4] for i in range(40)]
    split = [lines[0] + ",split", *(f"{line},{part}" for line, part in zip(lines[1:], parts, strict=True))]
    (folder / "manifest.csv").write_text("\n".join(split) + "\n")
    changed = replace(options, manifest=str(folder / "manifest.csv"), base=("ol",), labels=("ol",))
    relabel_transfer(changed, tmp_path / "out")
    sets = json.loads((tmp_path / "out/3-tone-sets/sets.json").read_text())
    for parts_of in sets.values():
        assert all(parts[i] == part for part, rows in parts_of.items() for i in rows)


def test_killed_at_every_file_it_ends_the_same(finished, options, tmp_path, monkeypatch):
    out, deaths = tmp_path / "out", 0
    while deaths < 200:
        try:
            with dying_at(monkeypatch, 3 + deaths % 5, late=deaths % 2):
                relabel_transfer(options, out)
            break
        except Killed:
            deaths += 1
    assert deaths >= 5
    assert contents(out) == contents(finished[0])


def test_a_stopped_recipe_continues(finished, options, tmp_path):
    with pytest.raises(Stopped):
        relabel_transfer(options, tmp_path, Recorder(50))
    assert relabel_transfer(options, tmp_path) == finished[1]
    assert contents(tmp_path) == contents(finished[0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"target": ("Car",)}, "the class 'Car' is neither an id nor a name of"),
        ({"target": ("low",), "classes": ("low",)}, "is not one of low"),
        ({"target": ("Tone", "t")}, "two targets are called 'tone'"),
        ({"seconds": 0.1, "init": None}, "0.1 s are too short for acdnet"),
        ({"base": ("pal",)}, "base = 'pal': choose one of 'ol', 'pel'"),
    ],
)
def test_options_that_do_not_do(options, tmp_path, change, words):
    with pytest.raises(AcdrefError, match=words):
        relabel_transfer(replace(options, **change), tmp_path / "out")


@pytest.mark.parametrize(("name", "shape"), [("conv1d", (2, 80000)), ("resnet50", (2, 2, 96, 64))])
def test_embeddings_of(name, shape):
    net = registry.build(name, 3, 0.0625, backend="numpy")
    x = np.random.default_rng(0).standard_normal(shape)
    values = embedding(net, x)
    assert values.shape[0] == 2 and values.shape[1] == len(net.params["dense.weight"])
    np.testing.assert_allclose(embedding(net, x[1:]), values[1:], rtol=1e-4, atol=1e-5)


def test_the_last_layer_of_acdnet_makes_its_logits_of_the_embedding(tmp_path):
    net, _ = checkpoint.load_weights(write_tiny_weights(tmp_path / "tiny.npz"), backend="numpy")
    x = np.random.default_rng(0).standard_normal((2, 40, 257, 2))
    logits = embedding(net, x) @ net.params["dense.weight"] + net.params["dense.bias"]
    np.testing.assert_allclose(logits, net.forward(x)[0], rtol=1e-5, atol=1e-6)


def test_squared_error_against_differences():
    rng = np.random.default_rng(0)
    y = np.where(rng.random((4, 3)) < 0.2, np.nan, rng.integers(0, 2, (4, 3)))
    z, d = rng.standard_normal((2, 4, 3))
    loss, gradient = squared_error(y, z)
    np.testing.assert_allclose(loss, losses.mse(y, 1 / (1 + np.exp(-z)))[0], rtol=1e-14)
    slope = (squared_error(y, z + 1e-6 * d)[0] - squared_error(y, z - 1e-6 * d)[0]) / 2e-6
    np.testing.assert_allclose((gradient * d).sum(), slope, rtol=1e-7)


def test_labels_are_the_ontologys(options):
    """PE-CML of the base: the children of a bare Noise are unknown."""
    recipe = _RelabelTransfer(options)
    ontology = Ontology(NODES)
    names = {node["name"]: node["id"] for node in NODES}
    rows = [
        [names.get(c, c) for c, y in zip(recipe.recordings.classes, labels, strict=True) if y]
        for labels in recipe.recordings.labels
    ]
    given = ontology.encode(rows).to_dense()
    columns = ontology.columns([names.get(c, c) for c in recipe.recordings.classes])
    np.testing.assert_array_equal(recipe.labels["pe-cml"], ontology.children_mask(given)[:, columns])
    np.testing.assert_array_equal(recipe.labels["pel"], ontology.parent_expand(given)[:, columns])
    assert np.isnan(recipe.labels["pe-cml"]).any()


def test_trainings_are_as_printed(options, tmp_path, monkeypatch):
    """All four kinds alike: Adam and its rates, squared error, batches of 24, 100 epochs."""
    jobs = {}

    def fit(net, job, path, observer):
        jobs[path.parent.name.partition("-tone-")[2]] = job
        if not isinstance(net, Perceptron):
            checkpoint.save_weights(job.best, net, job.meta["classes"])
        return [{"epoch": 1, "val_mAP": 0.5}]

    monkeypatch.setattr("acdref.recipes.relabel_transfer.fit", fit)
    usual = RelabelTransferOptions(
        options.manifest,
        ontology=options.ontology,
        target=options.target,
        base=("ol",),
        labels=("ol",),
        init=options.init,
        seconds=0.6,
    )
    relabel_transfer(usual, tmp_path / "out")
    assert list(jobs) == ["scratch-ol", "base-ol", "extracted-ol-ol", "tuned-ol-ol"]
    for job in jobs.values():
        assert (job.epochs, job.keep, job.loss, job.weight_decay) == (100, "mAP", squared_error, 0)
        assert [job.rate(epoch, 0) for epoch in (0, 99)] == pytest.approx([1e-3, 1e-3 * 0.987**99])
        assert job.steps == 1  # 16 recordings
    relabel_transfer(replace(usual, batch=15), tmp_path / "small")
    assert {job.steps for job in jobs.values()} == {2}


def test_the_rate_falls_by_the_epoch_and_the_highest_map_is_kept(options, tmp_path, monkeypatch):
    class Enough(Exception):
        """What the test wanted to see has been seen."""

    def look(net, job, path, observer):
        assert (job.epochs, job.keep) == (2, "mAP")
        rates = [job.rate(epoch, step) for epoch, step in ((0, 0), (0, 5), (3, 0))]
        assert rates == pytest.approx([0.01, 0.01, 0.01 * 0.9**3])
        raise Enough

    monkeypatch.setattr("acdref.recipes.relabel_transfer.fit", look)
    with pytest.raises(Enough):
        relabel_transfer(replace(options, lr=0.01, decay=0.9), tmp_path / "out")
