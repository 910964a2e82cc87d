"""The reproductions: a seed is done once, verdicts say what the rows do, and the page what the results do."""

import importlib
import json
import sys
from concurrent.futures import Executor, Future
from dataclasses import replace

import numpy as np
import pytest
from predict_support import ROOT
from train_support import write_corpus

from acdref.errors import AcdrefError

FOLDER = ROOT / "benchmarks" / "reproduce"
MODULES = sorted(path.stem for path in FOLDER.glob("*.py"))
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if "EFFECT = " in path.read_text(encoding="utf-8"))
LATER = {"of these right", "machine", "signal", "outdoors", "weapon", "precision"}
"""Measures of what does not happen in the small."""


@pytest.fixture(scope="module")
def scripts():
    """The modules by name; they are no part of the package, and afterwards nothing is left of them."""
    before = list(sys.path)
    others = {name: sys.modules.pop(name) for name in (*MODULES, "machine") if name in sys.modules}
    with pytest.MonkeyPatch.context() as patch:
        # To compile would take longer than all of these tests.
        patch.setattr("acdref.nets.network.available", lambda: False)
        for name in ("ACDREF_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            patch.setenv(name, "1")
        patch.syspath_prepend(str(FOLDER))
        yield {name: importlib.import_module(name) for name in MODULES}
    for name in (*MODULES, "machine"):
        sys.modules.pop(name, None)
    sys.modules.update(others)
    sys.path[:] = before


@pytest.fixture(scope="module")
def place(scripts, tmp_path_factory):
    corpus = tmp_path_factory.mktemp("corpus")
    write_corpus(corpus)
    return scripts["effect"].Place(tmp_path_factory.mktemp("sounds"), corpus)


def rows_of(*values, condition="new", measure="mAP"):
    return [{"condition": condition, "seed": i, measure: value} for i, value in enumerate(values)]


class TestClaim:
    def claim(self, scripts):
        return scripts["effect"].Claim("new beats old", "new", "old")

    @pytest.mark.parametrize(
        ("new", "old", "verdict"),
        [
            ((0.3, 0.5, 0.71), (0.1, 0.3, 0.5), "shown"),
            ((0.1, 0.3, 0.5), (0.3, 0.5, 0.71), "the opposite"),
            ((0.3, 0.5, 0.4), (0.1, 0.6, 0.5), "not shown"),
            ((0.3,), (0.1,), "not run"),
            ((), (), "not run"),
        ],
    )
    def test_verdicts(self, scripts, new, old, verdict):
        rows = rows_of(*new) + rows_of(*old, condition="old")
        assert self.claim(scripts).verdict(rows) == verdict

    def test_seeds_are_paired_whatever_their_order(self, scripts):
        rows = rows_of(0.3, 0.7) + rows_of(0.1, 0.5, 0.9, condition="old")[::-1]
        assert self.claim(scripts).differences(rows) == pytest.approx([0.2, 0.2])


class Inline(Executor):
    """Does at once what a pool of processes would do."""

    def __init__(self, *_):
        pass

    def submit(self, work, *arguments):
        future = Future()
        future.set_result(work(*arguments))
        return future


class TestRun:
    @pytest.fixture
    def toy(self, scripts, monkeypatch):
        """An effect without training, run in this process, and the seeds that were."""
        effect, done = scripts["effect"], []

        def run(setting, seed, place):
            done.append(seed)
            kept = place.kept("drawn", lambda n: {"x": np.arange(float(n))}, n=setting["n"])
            yield {"condition": "old", "mAP": 0.5 + 0.001 * seed}
            yield {"condition": "new", "mAP": 0.6 + float(kept["x"].sum()) / 100}

        claim = effect.Claim("new beats old", "new", "old")
        sizes, conditions = ({"n": 3}, {"n": 2}), ("old", "new")
        made = effect.Effect("toy", "Toys", "nobody", "", *sizes, range(3), run, (claim,), conditions)
        monkeypatch.setattr(effect, "effect_of", lambda name: made)
        monkeypatch.setattr(effect, "ProcessPoolExecutor", Inline)
        return made, done

    def rows(self, scripts, toy, tmp_path, *arguments):
        effect = scripts["effect"]
        given = ["--work", tmp_path, "--results", tmp_path, *arguments]
        return effect.run([toy[0]], effect.parser("").parse_args(list(map(str, given))))["toy"].rows

    def test_a_seed_is_done_once(self, scripts, toy, tmp_path):
        first = self.rows(scripts, toy, tmp_path, "--seeds", "2")
        assert toy[0].verdict(toy[0].claims[0], first) == "running"
        rows = self.rows(scripts, toy, tmp_path)
        assert toy[1] == [2, 0, 1]
        assert [(row["seed"], row["mAP"]) for row in rows] == [
            (0, 0.5), (0, 0.63), (1, 0.501), (1, 0.63), (2, 0.502), (2, 0.63),
        ]  # fmt: skip
        assert rows[-2:] == first
        assert toy[0].verdict(toy[0].claims[0], rows) == "shown"

    def test_a_trial_is_apart(self, scripts, toy, tmp_path):
        assert [row["mAP"] for row in self.rows(scripts, toy, tmp_path, "--quick")] == [0.5, 0.61]
        assert not (tmp_path / "toy.csv").exists()

    def test_sizes_do_not_mix(self, scripts, toy, tmp_path):
        self.rows(scripts, toy, tmp_path)
        toy[0].setting["n"] = 4
        with pytest.raises(AcdrefError, match=r"toy\.csv: has runs of another setting"):
            self.rows(scripts, toy, tmp_path)

    def test_other_seeds_do_not_get_onto_the_page(self, scripts, toy, tmp_path, monkeypatch):
        monkeypatch.setattr(scripts["effect"], "RESULTS", tmp_path)
        with pytest.raises(AcdrefError, match="--seeds 100: not of the page's"):
            self.rows(scripts, toy, tmp_path, "--seeds", "1,100")
        other = replace(toy[0], name="other", seeds=range(100, 101))
        given = scripts["effect"].parser("").parse_args(["--results", str(tmp_path), "--seeds", "1"])
        with pytest.raises(AcdrefError, match="--seeds 1: not of the page's"):
            scripts["effect"].run([toy[0], other], given)
        assert toy[0].counted([{"seed": 100}, {"seed": 1}]) == [{"seed": 1}]

    def test_sounds_are_made_once(self, place):
        made = []

        def make(n):
            made.append(n)
            return {"x": np.arange(n)}

        for n in (2, 2, 3):
            np.testing.assert_array_equal(place.kept("x", make, n=n)["x"], np.arange(n))
        assert made == [2, 3]

    def test_what_is_missing_is_named(self, scripts):
        given = scripts["effect"].parser("").parse_args([])
        with pytest.raises(AcdrefError, match="CORPUS is missing"):
            scripts["effect"].run([scripts["table2_own"].EFFECT], given)


@pytest.mark.parametrize("name", NAMES)
def test_an_effect_runs_in_the_small(scripts, name, place, monkeypatch):
    effect = scripts[name].EFFECT
    assert set(effect.setting) >= set(effect.quick)
    monkeypatch.setattr(scripts["corpus"], "FOLD", "2")
    rows = [row | {"seed": 0} for row in effect.run(effect.size(quick=True), 0, place)]
    found = {row["condition"] for row in rows}
    assert len(found) == len(rows)
    # With fewer rounds or roots there is less.
    assert found <= set(effect.conditions)
    assert all(any(measure in row for row in rows) for measure in effect.measures if measure not in LATER)
    for claim in effect.claims:
        assert {claim.better, claim.worse} <= set(effect.conditions)
        assert {claim.measure, *claim.over} <= set(effect.measures)


@pytest.mark.parametrize("name", ["fig3", "strong"])
def test_a_seed_has_the_same_figures_again(scripts, name, place, tmp_path):
    """Sounds made anew, too."""
    effect, there = scripts[name].EFFECT, scripts["effect"].Place(tmp_path, place.corpus)
    runs = ((1, place), (1, there), (2, place))
    first, again, other = (repr(list(effect.run(effect.size(quick=True), *run))) for run in runs)
    assert first == again != other


def test_repairs_are_counted(scripts):
    counted = scripts["rules"].counted
    truth, noisy = np.array([[1.0, 1, 0, 0]]), np.array([[0.0, 0, 0, 1]])
    found = counted(truth, noisy, np.array([[1.0, np.nan, 1, 1]]))
    assert found == pytest.approx(
        {"recall": 1 / 3, "recall with masks": 2 / 3, "precision": 1 / 2, "precision with masks": 2 / 3}
    )
    assert counted(truth, noisy, noisy) == {"recall": 0.0, "recall with masks": 0.0}


def test_errors_in_labels_are_of_the_size_that_is_said(scripts):
    truth = (np.random.default_rng(1).random((20000, 4)) < 0.3).astype(float)
    noisy = scripts["table2"].with_errors(truth, np.random.default_rng(2), [0.1, 0.35], 0.01)
    missing = ((truth == 1) & (noisy == 0)).sum(axis=0) / truth.sum(axis=0)
    false = ((truth == 0) & (noisy == 1)).sum(axis=0) / truth.sum(axis=0)
    assert missing.min() > 0.09 and missing.max() < 0.36 and np.ptp(missing) > 0.02
    np.testing.assert_allclose(false, 0.01, atol=1e-3)


def test_the_page_is_what_the_results_say(scripts):
    page, effect = scripts["page"], scripts["effect"]
    results = {}
    for made in page.in_order():
        path = effect.RESULTS / f"{made.name}.csv"
        results[made] = effect.Rows(path, made.setting).rows  # of the very setting that the script has
        assert not results[made] or path.with_suffix(".png").exists()
        known = {row["condition"] for row in results[made]}
        assert not known or known == set(made.conditions)
    assert page.page(results) == page.PAGE.read_text(encoding="utf-8")


def test_a_page_that_differs_is_told_of(scripts, tmp_path, monkeypatch):
    page = scripts["page"]
    monkeypatch.setattr(sys, "argv", ["page.py", "--check"])
    page.main()
    changed = tmp_path / "reproduction.md"
    changed.write_text(page.PAGE.read_text(encoding="utf-8").replace("shown", "seen", 1), encoding="utf-8")
    monkeypatch.setattr(page, "PAGE", changed)
    with pytest.raises(SystemExit, match=r"reproduction\.md is not what the results say"):
        page.main()


def test_a_plot_of_other_results_is_told_of(scripts, tmp_path):
    page, effect = scripts["page"], scripts["effect"].effect_of("fig2")
    rows = effect.counted(scripts["effect"].read_rows(scripts["effect"].RESULTS / "fig2.csv"))
    plot = scripts["effect"].RESULTS / "fig2.png"
    assert page.is_of(plot, effect, rows)
    assert not page.is_of(plot, effect, [{**rows[0], "mAP": rows[0]["mAP"] + 1e-5}, *rows[1:]])
    assert not page.is_of(tmp_path / "fig2.png", effect, rows)


def test_every_effect_is_on_the_page(scripts):
    assert set(scripts["all"].NAMES) == set(NAMES)


def test_the_network_is_what_the_page_says(scripts):
    net = scripts["learning"].network(11, 0)
    text = (FOLDER / "introduction.md").read_text(encoding="utf-8")
    assert f"{sum(p.size for p in net.params.values()):,} parameters" in text


def test_settings_are_plain(scripts):
    """As JSON they are the same, so that a digest of them stands for them."""
    for name in scripts["all"].NAMES:
        setting = scripts[name].EFFECT.setting
        assert json.loads(json.dumps(setting)) == setting
