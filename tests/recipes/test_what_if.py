"""What-if from end to end with a tiny network, and on vectors of which everything is known."""

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from predict_support import write_tiny_weights
from recipes_support import Killed, dying_at
from train_support import Recorder, write_corpus

from acdref import metrics
from acdref.errors import AcdrefError, ManifestError, OptionError
from acdref.fit import Stopped
from acdref.labels.noise import repair_counts
from acdref.metrics import Paired, paired
from acdref.recipes import what_if as recipe
from acdref.recipes.what_if import CONDITIONS, PERFECT, RAW, RULES, Lesson, WhatIfOptions, what_if
from acdref.tables.manifest import Manifest

NAN = np.nan


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    weights = write_tiny_weights(folder / "tiny.npz")
    few = {"hidden": 4, "epochs": 2, "batch": 4, "seeds": 2, "seed": 3}
    manifest = str(write_corpus(folder))
    return WhatIfOptions(manifest, val_fold="2", weights=weights, missing=(0.5,), false=0.0, **few)


@pytest.fixture(scope="module")
def finished(options, tmp_path_factory):
    out = tmp_path_factory.mktemp("recipes") / "whole"
    return out, what_if(options, out)


def contents(out):
    names = ("runs.csv", "0.npz", "1.npz")
    return {str(p.relative_to(out)): p.read_bytes() for p in Path(out).rglob("*") if p.name in names}


def test_stages(finished):
    out, stages = finished
    assert list(stages) == ["given", "vectors", "seed-3", "seed-4", "rules"]
    with open(out / "5-rules" / "runs.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["seed"], row["condition"]) for row in rows] == [(s, c) for s in "34" for c in CONDITIONS]
    found = stages["rules"]
    assert found["ceilings"] == {"noise": 0.5, "tone": 0.5}
    assert found["errors"] == {"missing": 2, "false": 0, "labels": 4} and found["T"] == 0.05
    assert list(found["conditions"]) == list(CONDITIONS)
    assert found["conditions"][PERFECT]["repair"] == [1.0, 1.0]
    assert {row["errors"] for row in rows} == {"2"}
    mean = np.mean([float(row["mAP"]) for row in rows if row["condition"] == PERFECT])
    assert found["conditions"][PERFECT]["mAP"] == pytest.approx(mean)
    assert found["verdict"]


def test_killed_at_every_file_it_ends_the_same(finished, options, tmp_path, monkeypatch):
    deaths = 0
    while deaths < 100:
        try:
            with dying_at(monkeypatch, 2 + deaths % 3, late=deaths % 2):
                stages = what_if(options, tmp_path / "out")
            break
        except Killed:
            deaths += 1
    assert deaths >= 5
    assert stages == finished[1]
    assert contents(tmp_path / "out") == contents(finished[0])


def test_a_stopped_recipe_continues(finished, options, tmp_path):
    with pytest.raises(Stopped):
        what_if(options, tmp_path, Recorder(15))  # among the conditions of the first seed
    assert (tmp_path / "2-vectors" / "finished.json").exists()
    assert what_if(options, tmp_path) == finished[1]


def test_other_options_are_refused(finished, options):
    with pytest.raises(AcdrefError, match=r"other options \(missing: "):
        what_if(replace(options, missing=(0.4,)), finished[0])


def test_more_seeds_are_added(finished, options, tmp_path, monkeypatch):
    out, done = tmp_path / "out", []
    shutil.copytree(finished[0], out)
    monkeypatch.setattr(
        Lesson, "runs", lambda self, *given, runs=Lesson.runs: done.append(given[-1]) or runs(self, *given)
    )
    stages = what_if(replace(options, seeds=3), out)
    assert done == [5] and list(stages)[-4:] == ["seed-3", "seed-4", "seed-5", "rules"]
    assert stages["rules"]["conditions"][RAW]["mAP_gain"]["n"] == 3
    assert what_if(options, out) == finished[1] and done == [5]


@pytest.mark.parametrize("missing", [(0.5, 0.3), (0.1, 0.2, 0.3)])
def test_missing_is_one_share_or_two(missing):
    with pytest.raises(OptionError, match="one share, or two of which the first is the lower"):
        WhatIfOptions("m.csv", missing=missing)
    assert WhatIfOptions("m.csv", missing=(0.2, 0.2)).missing == (0.2, 0.2)


class TestRuns:
    rng = np.random.default_rng(0)
    truth = np.column_stack([np.arange(40) % 2, np.arange(40) < 12]).astype(float)
    lesson = Lesson(rng.standard_normal((40, 3)), truth, rng.standard_normal((10, 3)), truth[:10])
    options = WhatIfOptions("m.csv", missing=(0.25, 0.5), false=0.1, T=0.2)

    def runs(self, monkeypatch, scores):
        """Rows, and the labels that networks have learned from; scores are the teacher's of what it heard."""
        learned, heard = [], []

        def learn(x, y, options, seed):
            assert x is self.lesson.x and options is self.options and seed == 7
            learned.append(y)
            return len(learned)

        def probabilities(net, x):
            heard.append((net, x))
            return scores if x is self.lesson.x else np.full((10, 2), 0.3) + 0.01 * net * self.truth[:10]

        monkeypatch.setattr(recipe.vectors, "learn", learn)
        monkeypatch.setattr(recipe.vectors, "probabilities", probabilities)
        noisy = self.lesson.with_errors(self.options, 7)
        return list(self.lesson.runs(noisy, self.options, 7)), learned, heard, noisy

    def test_each_learns_from_its_labels(self, monkeypatch):
        scores = np.random.default_rng(1).random((40, 2))
        rows, learned, heard, noisy = self.runs(monkeypatch, scores)
        assert (noisy != self.truth).any()
        expected = [noisy, *(rule(noisy, scores) for rule in recipe.rules(T=0.2).values()), self.truth]
        assert len(learned) == len(expected) == 9
        for labels, y, row in zip(learned, expected, rows, strict=True):
            np.testing.assert_array_equal(labels, y)
            assert row | repair_counts(self.truth, noisy, y) == row
        assert [row["condition"] for row in rows] == list(CONDITIONS)
        assert [net for net, x in heard if x is self.lesson.x] == [1]
        p = np.full((10, 2), 0.3) + 0.01 * self.truth[:10]
        assert rows[0]["mAP"] == metrics.mean_average_precision(self.truth[:10], p)
        assert rows[0]["accuracy"] == metrics.mean_accuracy(self.truth[:10], p)

    def test_a_rule_that_changes_nothing_is_not_learned_again(self, monkeypatch):
        rows, learned, heard, _ = self.runs(monkeypatch, np.full((40, 2), 0.5))
        assert len(learned) == 2  # with errors and without
        assert [net for net, _ in heard] == [1, *[1] * 8, 2]
        assert {row["mAP"] for row in rows[:-1]} == {rows[0]["mAP"]}

    def test_errors_are_drawn_by_the_seed(self):
        first, again, other = (self.lesson.with_errors(self.options, seed) for seed in (1, 1, 2))
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()
        lost = ((first == 0) & (self.truth == 1)).sum(axis=0) / self.truth.sum(axis=0)
        assert (lost > 0.15).all() and (lost <= 0.5).all()
        one = self.lesson.with_errors(replace(self.options, missing=(0.5,), false=0.0), 1)
        np.testing.assert_array_equal((one == 1).sum(axis=0), [10, 6])

    def test_vectors_are_scaled_by_those_to_train_on(self):
        x = np.column_stack([np.arange(8.0), np.full(8, 3.0)])
        found = Lesson(x, np.ones((8, 1)), np.array([[3.5, 4.0]]), np.ones((1, 1)))
        np.testing.assert_allclose(found.x.mean(axis=0), 0, atol=1e-6)
        np.testing.assert_allclose(found.x.std(axis=0), [1, 0], atol=1e-6)
        np.testing.assert_array_equal(found.test_x, np.array([[0.0, 1.0]], np.float32))


class TestParts:
    options = WhatIfOptions("m.csv")

    def manifest(self, count, sources=None, labels=1.0):
        paths = tuple(f"{i}.wav" for i in range(count))
        return Manifest("m.csv", ".", paths, np.full((count, 1), labels), ("a",), sources=sources)

    def test_without_others_each_seed_leaves_out_a_fold_of_sources(self):
        sources = tuple(f"s{i // 3}" for i in range(60))
        x = np.arange(60.0)[:, None]
        x[7] = NAN
        seen = []
        for number in range(5):
            # What each recording is can be told from its vector, which is scaled like the others.
            lesson = Lesson.of([self.manifest(60, sources)], [x], self.options, number)
            assert len(lesson.x) + len(lesson.test_x) == 59
            scaled = np.concatenate([lesson.x, lesson.test_x])[:, 0]
            order = np.argsort(scaled)
            rows = np.delete(np.arange(60), 7)
            which = np.empty(59, int)
            which[order] = rows
            trained, tested = which[: len(lesson.x)], which[len(lesson.x) :]
            assert not {sources[i] for i in trained} & {sources[i] for i in tested}
            seen += tested.tolist()
        assert sorted(seen) == rows.tolist()

    def test_the_others_are_measured_on(self):
        x = [np.array([[0.0], [NAN], [2.0]]), np.array([[1.0], [NAN]])]
        lesson = Lesson.of([self.manifest(3), self.manifest(2)], x, self.options, 1)
        np.testing.assert_array_equal(lesson.x, [[-1], [1]])
        np.testing.assert_array_equal(lesson.test_x, [[0]])

    def test_nothing_to_train_or_to_measure_on(self):
        x = [np.zeros((3, 1)), np.zeros((2, 1))]
        for labels, what in (
            ((0.0, 1.0), "3 recordings to train on"),
            ((1.0, NAN), "2 recordings to measure on"),
        ):
            manifests = [self.manifest(n, labels=value) for n, value in zip((3, 2), labels, strict=True)]
            with pytest.raises(ManifestError, match=f"m.csv: of the {what}, none is known"):
                Lesson.of(manifests, x, self.options, 0)


def row(seed, condition, score, **counts):
    counts = dict.fromkeys(("errors", "repaired", "masked", "harmed", "lost"), 0) | counts
    return {"seed": seed, "condition": condition, "mAP": score, "accuracy": 1 - score, **counts}


def test_comparison_by_hand():
    rows = [row(s, name, 0.5 + 0.1 * s) for s in (0, 1) for name in CONDITIONS if name != "correct FN"]
    rows += [row(1, "correct FN", 0.75, errors=4, repaired=1, harmed=1, lost=2)]
    rows += [row(0, "correct FN", 0.6, errors=6, repaired=3, masked=2)]
    rows.sort(key=lambda one: one["seed"])
    found = recipe.compare(rows)["conditions"]
    assert found[RAW] == found["mean threshold"]
    assert found[RAW]["repair"] == [None, None]
    own = found["correct FN"]
    assert own["mAP"] == pytest.approx(0.675) and own["accuracy"] == pytest.approx(0.325)
    assert own["repair"] == [4 / 5, 4 / 10]
    assert own["masks"] == [6 / 9, 6 / 10]
    gain = paired([0.1, 0.15])
    assert own["mAP_gain"] == pytest.approx(gain._asdict())
    assert own["accuracy_gain"]["up"] == 0 and own["accuracy_gain"]["mean"] == pytest.approx(-0.125)


def test_one_seed_has_no_interval():
    found = recipe.compare([row(0, name, 0.5 + 0.1 * (name in RULES)) for name in CONDITIONS])
    assert found["conditions"]["mean threshold"]["mAP_gain"]["half"] is None
    assert found["verdict"].endswith(f"changes no label: {', '.join(RULES)}; one seed tells nothing")


def test_verdicts():
    nothing = dict.fromkeys(CONDITIONS, Paired(0.0, 0.0, 0, 10))
    no_gain = "even a perfect repair shows no gain, so that little can be expected of any rule"
    assert recipe.verdict(nothing, RULES) == f"{no_gain}; changes no label: {', '.join(RULES)}"
    some = {"mean threshold": Paired(0.01, 0.002, 10, 10), "correct FN": Paired(0.02, 0.01, 9, 10)}
    some |= {"percentile correction": Paired(-0.01, 0.004, 1, 10), PERFECT: Paired(0.5, 0.1, 10, 10)}
    unclear, idle = Paired(0.0, 0.003, 5, 10), ["correct FN and FP", "correct and mask FN"]
    text = recipe.verdict(dict.fromkeys(CONDITIONS, unclear) | some, idle)
    seen = f"({unclear.detectable:.4f} would show)"
    assert text.split("; ") == [
        "helps: correct FN (+0.0200 ± 0.0100), mean threshold (+0.0100 ± 0.0020)",
        "harms: percentile correction (-0.0100 ± 0.0040)",
        f"cannot be told: percentile masking {seen}, correct and mask FN and FP {seen}",
        "changes no label: correct FN and FP, correct and mask FN",
    ]
    worse = recipe.verdict(dict.fromkeys(CONDITIONS, unclear) | {PERFECT: Paired(-0.5, 0.1, 0, 10)})
    assert worse.startswith(no_gain)


def test_a_rule_that_changes_labels_without_effect_on_map_is_no_idle_one():
    rows = [row(s, name, 0.5, harmed=int(name == "mean threshold")) for s in (0, 1) for name in CONDITIONS]
    text = recipe.compare(rows)["verdict"]
    assert "cannot be told: mean threshold" in text
    assert f"changes no label: {', '.join(name for name in RULES if name != 'mean threshold')}" in text


def test_shares_that_make_no_error_are_refused(options, tmp_path):
    with pytest.raises(ManifestError, match=r"none of its \d+ labels would be missing or false"):
        what_if(replace(options, missing=(0.01,), false=0.0), tmp_path)


def test_too_few_sources_are_refused_before_all_work(options, tmp_path):
    with pytest.raises(ManifestError, match=r"its \d+ sources are too few to leave a fifth of them out"):
        what_if(replace(options, val_fold=None, fold="2", seeds=5), tmp_path)
    assert not (tmp_path / "2-vectors").exists()


def test_the_rules_are_the_rows_of_table_2():
    """Of labels and scores that every row treats in its own way."""
    y, p = np.array([[0.0, 0, 0, 1, 1]]).T, np.array([[0.99, 0.7, 0.2, 0.4, 0.01]]).T
    found = {name: rule(y, p).ravel().tolist() for name, rule in RULES.items()}
    expected = {
        "percentile masking": [NAN, 0, 0, 1, 1],
        "percentile correction": [1, 0, 0, 1, 1],
        "mean threshold": [1, 1, 0, 1, 1],
        "correct FN": [1, 0, 0, 1, 1],
        "correct FN and FP": [1, 0, 0, 1, 0],
        "correct and mask FN": [1, NAN, 0, 1, 1],
        "correct and mask FN and FP": [1, NAN, 0, NAN, 0],
    }
    assert list(found) == list(expected)
    early = recipe.rules(T=0.35, q=0.7)
    assert early["correct FN"](y, p).ravel().tolist() == [1, 1, 0, 1, 1]
    np.testing.assert_array_equal(early["percentile masking"](y, p).ravel(), [NAN, NAN, 0, 1, 1])
    np.testing.assert_array_equal(early["percentile correction"](y, p).ravel(), [1, 1, 0, 1, 1])
    assert early["correct FN and FP"](y, 0.8 * p).ravel().tolist() == [1, 0, 0, 0, 0]
    for name, labels in expected.items():
        np.testing.assert_array_equal(found[name], labels, err_msg=name)
