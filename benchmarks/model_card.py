"""The figures of the model card: how good weights are on recordings that they were not trained on.

    python benchmarks/model_card.py MANIFEST [--root DIR] [--fold 4] [--without GLOB]
                                    [--weights NAME]... [--diagram PNG]

scores the recordings of a fold and prints, of each file of weights:

* by class, average precision with its interval by source, of all recordings and of each collection (the first
  folder of the paths), and F1 at the stored threshold;
* means over the classes: mAP of all and of each collection; F1 at thresholds that were fitted to other
  sources, five times so that each source is left out once, and at the best thresholds in hindsight; and the
  expected calibration error, as the network was trained and when scale and shift are fitted to other sources.

The JSON file keeps the rows of other weights that it has of the same fold.  The diagram, which wants
matplotlib, has how often a class was there beside how sure the weights were of it.
"""

import argparse
import fnmatch
import json
from pathlib import Path

import numpy as np
from machine import describe
from report import RESULTS, Table

from acdref import metrics
from acdref.calibrate import applied, calibration
from acdref.checkpoint import load_weights
from acdref.data import open_dataset
from acdref.files import sha256, weights_file
from acdref.predict.scoring import mean_over_windows, score_manifest

PARTS = 5
FOLD = "4"
"""Which the weights that ship were not trained on."""
COLUMNS = {
    "weights": "{weights}",
    "class": "{name}",
    "positives": "{positives}",
    "sources": "{sources}",
    "prior": "{prior:.2f}",
    "AP": "{ap:.3f}",
    "95 % interval": "{low:.2f} to {high:.2f}",
    "AP, corpus": "{ap_corpus:.3f}",
    "AP, extra": "{ap_extra:.3f}",
    "threshold": "{threshold:.2f}",
    "F1": "{f1:.3f}",
    "F1, cross-fitted": "{f1_crossed:.3f}",
    "F1, in hindsight": "{f1_best:.3f}",
    "error": "{error:.3f}",
    "error, uncalibrated": "{error_before:.3f}",
}


def held_out(given, classes):
    """The recordings of a fold, or several, but of some sources."""
    manifest = open_dataset(given.manifest, given.root, classes).where(fold=given.fold)
    return manifest.select(
        [i for i, s in enumerate(manifest.sources) if not fnmatch.fnmatch(s, given.without)]
    )


def collections(manifest):
    """Which recordings are of each collection, where there are several: the first folder of the paths."""
    first = np.array([path.split("/")[0] for path in manifest.paths])
    return {name: first == name for name in ("corpus", "extra") if 0 < (first == name).sum() < len(first)}


def chooses_recordings(parser, fold=True):
    """The arguments that :func:`held_out` goes by, of which a script may set the fold itself."""
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--root")
    if fold:
        parser.add_argument("--fold", default=FOLD, help="[%(default)s]")
    parser.add_argument("--without", default="", help="sources to leave out, such as 'mtr:*'")


def parts(manifest):
    """The part that each recording is in; those of a source are in one."""
    names = sorted(set(manifest.sources))
    part = np.random.default_rng(0).permutation(len(names)) % PARTS
    return [part[names.index(source)] for source in manifest.sources]


def crossed(manifest, windows, part):
    """Calibrated scores (n, C), and tags at thresholds, both fitted to the other parts."""
    scores, tags = np.empty(manifest.labels.shape), np.empty(manifest.labels.shape)
    for inside in [np.equal(part, each) for each in np.unique(part)]:
        rest, own = np.flatnonzero(~inside), np.flatnonzero(inside)
        fitted = calibration(manifest.select(rest), [windows[i] for i in rest])
        scores[own] = applied([windows[i] for i in own], fitted.scale, fitted.shift)
        tags[own] = scores[own] > fitted.thresholds
    return scores, tags


def precisions(manifest, p):
    """By class: average precision of all recordings, and of each collection."""
    y, ap = manifest.labels, metrics.average_precision
    return {"ap": ap(y, p)} | {
        f"ap_{name}": ap(y[own], p[own]) for name, own in collections(manifest).items()
    }


def counts(manifest):
    """By class: recordings that have it, and sources that these are of."""
    y, sources = manifest.labels == 1, np.array(manifest.sources)
    return {"positives": y.sum(axis=0), "sources": [len({*sources[own]}) for own in y.T]}


def as_rows(manifest, p, by_class, quality, **whole):
    """Rows for JSON: one a class, and one of the means, which `quality` alone has.

    In both is the interval by source of the average precision that scores p (n, C) have.
    """
    y, ap, mean_ap = manifest.labels, metrics.average_precision, metrics.mean_average_precision
    low, high = metrics.bootstrap_intervals(ap, y, p, manifest.sources)
    by_class = {"low": low, "high": high} | by_class | quality
    rows = [
        {"name": name} | {key: value[c] for key, value in by_class.items()}
        for c, name in enumerate(manifest.classes)
    ]
    low, high = metrics.bootstrap_interval(mean_ap, y, p, manifest.sources)
    means = {key: metrics.mean_over_classes(np.asarray(value, np.float64)) for key, value in quality.items()}
    rows.append({"name": "mean", "low": low, "high": high} | means | whole)
    return [{key: _plain(value) for key, value in row.items()} for row in rows]


def measured(manifest, windows, meta):
    """Rows: one a class, and one of all."""
    y, thresholds = manifest.labels, np.array(meta["thresholds"])
    p = np.array([mean_over_windows(own) for own in windows])
    whole, tags = crossed(manifest, windows, parts(manifest))
    before = meta.get("calibration")
    raw = applied(windows, *undone(before)) if before else p
    quality = precisions(manifest, p) | {
        "prior": y.mean(axis=0),
        "f1": metrics.f_score(y, p, thresholds),
        "f1_crossed": metrics.f_score(y, tags),
        "f1_best": metrics.f_score(y, p, metrics.best_thresholds(y, p, repeats=0)),
    }
    errors = {"error": metrics.reliability(y, whole).error, "error_before": metrics.reliability(y, raw).error}
    rows = as_rows(manifest, p, counts(manifest) | {"threshold": thresholds}, quality, **errors)
    return rows, (y, raw, whole)


def undone(before):
    """Scale and shift that take back what calibration did."""
    scale, shift = np.array(before["scale"]), np.array(before["shift"])
    return 1 / scale, -shift / scale


def name_of(file):
    """Of weights; those of a run have the name of its folder."""
    path = Path(file)
    return path.parent.name if path.stem == "best" else path.stem


def _plain(value):
    value = value.item() if isinstance(value, np.generic) else value
    return None if value != value else value


def draw(path, y, raw, whole):
    """The reliability diagram."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(4.5, 4.2), layout="constrained")
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    for name, p, mark in (("as trained", raw, "o--"), ("calibrated on other sources", whole, "s-")):
        found = metrics.reliability(y, p)
        axes.plot(found.probability, found.share, mark, label=name, markersize=4)
    axes.set(xlabel="how sure the weights are of a class", ylabel="how often it is there")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.legend()
    figure.savefig(path, dpi=110, metadata={"Software": None})


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    chooses_recordings(parser)
    parser.add_argument("--weights", action="append", help="file or name [acdnet]")
    parser.add_argument("--diagram", type=Path, help="of the first")
    parser.add_argument("--json", type=Path, default=RESULTS / "model_card.json")
    given = parser.parse_args()
    table = Table(
        COLUMNS, describe("acdref", "numpy", "numba", "soundfile"), fold=given.fold, without=given.without
    )
    for k, name in enumerate(given.weights or ["acdnet"]):
        net, meta = load_weights(weights_file(name))
        manifest = held_out(given, meta["classes"])
        windows = {}
        score_manifest(net, manifest, on_windows=windows.__setitem__)
        ordered = [windows[i] for i in range(len(manifest))]
        rows, curves = measured(manifest, ordered, meta)
        for row in rows:
            table.add(weights=name_of(name), sha256=sha256(weights_file(name)), **row)
        if given.diagram and k == 0:
            draw(given.diagram, *curves)
    before = json.loads(given.json.read_text()) if given.json.exists() else {}
    if [before.get(key) for key in ("fold", "without")] == [given.fold, given.without]:
        now = {row["weights"] for row in table.rows}
        table.rows += [row for row in before["rows"] if row["weights"] not in now]
    table.write(given.json)


if __name__ == "__main__":
    main()
