"""`acdref evaluate`: measure a network on labelled recordings."""

import csv
import dataclasses

import click

from acdref.commands._network import network_options, open_network, scheduler_option
from acdref.commands._options import (
    CLASSES,
    PATH,
    PLACE,
    Listed,
    Number,
    click_options,
    option,
    telling_options,
)
from acdref.commands._output import check_output, opened
from acdref.commands._progress import Progress, end, tell
from acdref.commands.report import check_page
from acdref.options.labels import WINDOW
from acdref.options.training import RecordingOptions

_OF_MANIFEST = ("root", "fold", "split")
_OF_FSD50K = ("class_map", "part", "seed", "manifest_out")


@click.command(short_help="Measure weights on labelled recordings.")
@click.argument("manifest", required=False, type=PLACE)
@click_options(RecordingOptions, ("root",))
@click.option("--fold", metavar="K,...", help="Only recordings of these folds.")
@click.option("--split", metavar="S,...", help="Only recordings of these splits.")
@click.option("--match", metavar="GLOB", help="Only recordings whose path matches; * stands for / too.")
@option("--fsd50k", PATH, "In place of MANIFEST: FSD50K's folder, of which clips are sampled.", metavar="DIR")
@option("--class-map", PATH, "fsd50k: the authors' audio_content_ontology.csv.", metavar="CSV")
@option(
    "--part",
    ["test", "val"],
    "fsd50k: test: of eval, clips of 5 s and more, 140 of each class. val: of dev, 8 s, 200.",
    default="test",
)
@option("--seed", click.IntRange(min=0), "fsd50k: of the sampling.", default=0)
@option("--manifest-out", PLACE, "fsd50k: write the sampled clips here too, for `acdref train --val`.")
@option(
    "--classes",
    Listed(),
    f"Measure only these classes; {CLASSES}  [default: all of the weights]",
    metavar="A,B,...",
)
@option(
    "--threshold",
    Number(0, 1),
    "A class is found where its score is above  [default: the weights' own, and 0.5 for the accuracy]",
)
@option("--window", Number(min=0.1), "Seconds of sound scored at a time.", default=WINDOW)
@option("--recordings-out", PLACE, "Write a CSV file with labels, scores and errors of every recording.")
@option(
    "--report",
    PATH,
    "Write a page of what is wrong, the surest first, to see and hear: a file that ends in .html, or a "
    "folder, as of acdref report.",
    metavar="PAGE",
)
@network_options
@scheduler_option
@option("--json as_json", bool, "Print JSON, schema acdref.evaluate/1.")
@telling_options
def command(
    manifest, fsd50k, match, classes, threshold, window, recordings_out, report, weights, backend, threads,
    scheduler, as_json, **where,
):  # fmt: skip
    """Measure how well the weights find the classes of MANIFEST's recordings, or of FSD50K's.

    MANIFEST is a CSV file with the columns path and classes (";"-separated, empty: none of the classes), and
    perhaps unknown, fold and split; or a folder with one subfolder per class. Its classes must be among those
    of the weights; classes that it never names count as absent everywhere (see --classes).

    --fsd50k DIR evaluates on FSD50K as Braun & Gamper do: so many clips of each class, long enough (which of
    them is left to --seed: our choice, rare classes first). DIR has FSD50K.ground_truth, FSD50K.dev_audio and
    FSD50K.eval_audio as published, and --class-map says which labels belong to which class.

    Printed are each class's average precision (AP) beside its prior, the share of positives, which is about
    the AP of random scores; area under the ROC curve (AUC) and d'; at the threshold precision, recall and F1;
    their means over the classes that have one (mAP); lwlrap; the class-average accuracy beside that of
    finding nothing, ever; and what is taken for what: of the recordings of one class that are known not to
    have another, how many are tagged with that. A recording's score is the mean over its windows.
    Recordings that cannot be used are left out and listed on stderr.

    Intervals hold 95 % of 500 resamples of whole sources: MANIFEST's column source_id, or source, says which
    recordings come from one; without it each is its own, and the intervals are too narrow if some are alike.

    \b
    Examples:
      acdref evaluate manifest.csv --root recordings
      acdref evaluate manifest.csv --root recordings --fold 4 --weights run/best.npz --json
      acdref evaluate manifest.csv --fold 4 --match '*sonyc*'
      acdref evaluate manifest.csv --threshold 0.3 --recordings-out recordings.csv
      acdref evaluate dogs_and_cats/ --classes dog,cat
      acdref evaluate manifest.csv --fold 4 --report errors.html
      acdref evaluate --fsd50k FSD50K/ --class-map audio_content_ontology.csv --weights run/best.npz

    \b
    JSON: mAP, prior (its baseline), accuracy, accuracy_of_none (its baseline), ap, auc, d_prime, precision,
    recall, f1, priors, accuracies, positives (by class), means, intervals (low, high), sources, confusion
    (the 100 largest), threshold (of the accuracy), thresholds, window, clips, failures, weights, and
    manifest, or fsd50k, class_map, part and seed. Undefined values are null.

    \b
    CSV of --recordings-out: path, classes, unknown, missed, false, the score of each class, error, schema.

    \b
    Exit codes: 0 success; 1 nothing could be measured (one line on stderr says why); 2 wrong usage;
    3 partial: some recordings were left out; 130 interrupted.
    """
    _check(manifest, fsd50k, where)
    from acdref.files import weights_file

    read, out = (where["class_map"], weights), where["manifest_out"]
    check_output(out, *read, flag="--manifest-out", endings=(".csv", ""))
    read = (manifest, where["class_map"], weights_file(weights), out)
    check_output(recordings_out, *read, flag="--recordings-out", endings=(".csv", ""))
    check_page(report, *read, recordings_out, flag="--report")
    with Progress() as progress:
        net, names = open_network(weights, backend, threads, progress, scheduler=scheduler)

        from acdref.evaluate import evaluate, matching

        failures = []
        if fsd50k is None:
            recordings, source = _listed(manifest, names, where, progress.log), {"manifest": manifest}
        else:
            recordings, source = _sampled(fsd50k, names, where, failures, progress)
        if match is not None:
            recordings = matching(recordings, match)
        windows = {}

        def heard(number, scored):
            progress.heard(scored[-1].end)
            if report:
                windows[number] = scored

        told = progress.left_out, progress.progress, threshold, heard
        result = evaluate(net, recordings, classes, *told, net.thresholds, window)
    whole = dataclasses.replace(result, failures=(*failures, *result.failures))
    tell(whole.as_dict() | {"weights": weights_file(weights)} | source, lambda: _table(whole), as_json)
    if recordings_out is not None:
        _write_recordings(recordings_out, result)
    if report is not None:
        made = f"{manifest or fsd50k}; weights: {weights_file(weights)}."
        progress.log(f"report: {_report(report, recordings, result, windows, made)}")
    end(whole.failures)


def _write_recordings(out, result):
    """Labels, scores and errors of every recording."""
    from acdref.evaluate import recording_rows

    with opened(out) as stream:
        csv.writer(stream, lineterminator="\n").writerows(recording_rows(result))


def _report(out, recordings, result, windows, made):
    """Write the page of errors; returns its path."""
    from acdref.evaluate import columns_of
    from acdref.report import write_report
    from acdref.report.errors import evaluated

    columns = columns_of(recordings, result.classes)
    shown = evaluated(recordings, windows, result.failures, columns)
    thresholds = result.thresholds.tolist()
    return write_report(out, shown, result.classes, thresholds, title="What is wrong", errors=True, made=made)


def _check(manifest, fsd50k, where):
    """Wrong usage, if the options do not say what to measure on, or say it twice."""
    if (manifest is None) == (fsd50k is None):
        raise click.UsageError("give either MANIFEST or --fsd50k DIR")
    source = click.get_current_context().get_parameter_source
    for name in _OF_MANIFEST if manifest is None else _OF_FSD50K:
        if source(name).name == "COMMANDLINE":
            other = "MANIFEST" if manifest is None else "--fsd50k"
            raise click.UsageError(f"--{name.replace('_', '-')} goes with {other}")
    if fsd50k is not None and where["class_map"] is None:
        raise click.UsageError("--fsd50k needs --class-map CSV, which says what belongs to which class")


def _listed(manifest, names, where, say):
    """The recordings of a manifest."""
    from acdref.tables.manifest import open_dataset

    recordings = open_dataset(manifest, where["root"], names, say)
    return recordings.where(fold=where["fold"], split=where["split"])


def _sampled(fsd50k, names, where, failures, progress):
    """The recordings sampled from FSD50K, and how."""
    from acdref.errors import FileError
    from acdref.labels import SuperClasses
    from acdref.tables.fsd50k import fsd50k_set
    from acdref.tables.manifest import write_manifest

    def left_out(error):
        failures.append(error)
        progress.left_out(error)

    how = {name: where[name] for name in ("part", "seed")}
    superclasses = SuperClasses.from_csv(where["class_map"])
    for name in names:
        if name not in superclasses.names:
            raise FileError(where["class_map"], f"has no column {name!r}, a class of the weights")
    recordings = fsd50k_set(fsd50k, superclasses, **how, on_failure=left_out, progress=progress.progress)
    if where["manifest_out"] is not None:  # with whole paths: what it validates has a root of its own
        paths = tuple(map(recordings.file, range(len(recordings))))
        write_manifest(dataclasses.replace(recordings, paths=paths), where["manifest_out"])
    labels = recordings.labels[:, [superclasses.names.index(name) for name in names]]
    recordings = dataclasses.replace(recordings, labels=labels, classes=tuple(names))
    return recordings, {"fsd50k": fsd50k, "class_map": where["class_map"]} | how


_MORE = {"auc": "AUC", "d_prime": "d'", "precision": "precision", "recall": "recall", "f1": "F1"}
"""Measures in the table's last columns."""
_TAKEN = 5  # pairs of confused classes in the table


def _table(result):
    """The evaluation for people."""
    width = max(len(name) for name in (*result.classes, "class"))
    lines = [f"{'class':<{width}}  positives  prior     AP            95 %{_more(_MORE)}"]
    intervals = result.intervals

    def row(name, positives, prior, at, values):
        """A class, or the mean."""
        interval = " to ".join(map(_number, intervals["ap"][:, at]))
        head = f"{name:<{width}}  {positives:>9}  {_number(prior)}  {_number(values['ap'])}  {interval}"
        lines.append(head + _more({key: _number(values[key]) for key in _MORE}))

    for at, columns in enumerate(zip(result.classes, result.positives, result.priors, strict=True)):
        row(*columns, at, {key: values[at] for key, values in result.by_class.items()})
    row("mean", "", result.mean_prior, -1, result.means)
    for bound, name in enumerate(("low", "high")):
        ends = {key: _number(intervals[key][bound, -1]) for key in _MORE}
        lines.append(f"{name:<{width}}{'':>41}{_more(ends)}")
    return "\n".join([*lines, *_notes(result)])


def _more(texts):
    """Texts in the table's last columns, by measure."""
    return "".join(f"  {text:>{max(6, len(_MORE[key]))}}" for key, text in texts.items())


def _notes(result):
    """What is said below the table."""
    for pair in result.confusion[:_TAKEN]:
        yield f"{pair.label} taken for {pair.taken_for}: {pair.share:.0%} ({pair.recordings} of {pair.of})"
    low, high = result.intervals["lwlrap"][:, -1]
    yield f"lwlrap: {result.means['lwlrap']:.3f} ({low:.3f} to {high:.3f})"
    at = sorted(set(result.thresholds.tolist()))
    yield f"precision, recall, F1 at {at[0]:.3g}{f' to {at[-1]:.3g}, by class' if at[1:] else ''}"
    accuracy, of_none = result.mean_accuracy, result.accuracy_of_none
    yield f"accuracy at {result.threshold:g}: {accuracy:.3f} (finding nothing: {of_none:.3f})"
    column, count = result.manifest.source_column, len(set(result.sources))
    said = f"{count} sources, by the column {column}" if column else "each recording its own source"
    yield f"intervals: 95 % of resamples of sources ({said})"
    left_out = f", {len(result.failures)} left out" if result.failures else ""
    yield f"{result.clips} recordings{left_out}"


def _number(value):
    """Three decimals, a dash for NaN."""
    return "    -" if value != value else f"{value:5.3f}"
