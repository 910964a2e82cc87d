"""`acdref evaluate`: measure a network on labelled recordings."""

import click

from acdref.commands._network import network_options, open_network, weights_path
from acdref.commands._options import PATH, Listed, click_options, option
from acdref.commands._progress import Progress, end, tell
from acdref.options.training import RecordingOptions


@click.command(short_help="Measure weights on labelled recordings.")
@click.argument("manifest", type=PATH)
@click_options(RecordingOptions, ("root",))
@click.option("--fold", metavar="K,...", help="Only recordings of these folds.")
@click.option("--split", metavar="S,...", help="Only recordings of these splits.")
@click.option("--match", metavar="GLOB", help="Only recordings whose path matches; * stands for / too.")
@option("--classes", Listed(), "Measure only these classes  [default: all of the weights]", metavar="A,B,...")
@network_options
@option("--json as_json", bool, "Print JSON, schema acdref.evaluate/1.")
def command(manifest, root, fold, split, match, classes, weights, backend, threads, as_json):
    """Measure how well the weights find the classes of MANIFEST's recordings.

    MANIFEST is a CSV file with the columns path and classes (";"-separated, empty: none of the classes), and
    perhaps unknown, fold and split; or a folder with one subfolder per class. Its classes must be among those
    of the weights; classes that it never names count as absent everywhere (see --classes).

    Printed are each class's average precision (AP) beside its prior, the share of positives, which is about
    the AP of random scores; their means over the classes that have positives (mAP); and the class-average
    accuracy at 0.5 beside that of finding nothing, ever. A recording's score is the mean over its windows of
    10 s. Recordings that cannot be used are left out and listed on stderr.

    \b
    Examples:
      acdref evaluate manifest.csv --root recordings
      acdref evaluate manifest.csv --root recordings --fold 4 --weights run/best.npz --json
      acdref evaluate manifest.csv --fold 4 --match '*sonyc*'
      acdref evaluate dogs_and_cats/ --classes dog,cat

    \b
    JSON: mAP, prior (its baseline), accuracy, accuracy_of_none (its baseline), ap, priors, accuracies,
    positives (by class), clips, failures, weights, manifest. Undefined values are null.

    \b
    Exit codes: 0 success; 1 nothing could be measured (one line on stderr says why); 2 wrong usage;
    3 partial: some recordings were left out; 130 interrupted.
    """
    with Progress() as progress:
        net, names = open_network(weights, backend, threads, progress.log if progress.live else None)

        from acdref.evaluate import evaluate, matching
        from acdref.tables.manifest import open_dataset

        recordings = open_dataset(manifest, root, names).where(fold=fold, split=split)
        if match is not None:
            recordings = matching(recordings, match)
        result = evaluate(net, recordings, classes, progress.left_out, progress.progress)
    source = {"weights": weights_path(weights), "manifest": manifest}
    tell(result.as_dict() | source, lambda: _table(result), as_json)
    end(result.failures)


def _table(result):
    width = max(len(name) for name in (*result.classes, "class"))
    lines = [f"{'class':<{width}}  positives  prior     AP"]
    columns = result.classes, result.positives, result.priors, result.ap
    for name, positives, prior, ap in zip(*columns, strict=True):
        lines.append(f"{name:<{width}}  {positives:>9}  {_number(prior)}  {_number(ap)}")
    mean_prior, mean_ap = _number(result.mean_prior), _number(result.mean_ap)
    accuracy, of_none = result.mean_accuracy, result.accuracy_of_none
    left_out = f", {len(result.failures)} left out" if result.failures else ""
    lines += [
        f"{'mean':<{width}}  {'':>9}  {mean_prior}  {mean_ap}  (mAP)",
        f"accuracy at 0.5: {accuracy:.3f} (finding nothing: {of_none:.3f})",
        f"{result.clips} recordings{left_out}",
    ]
    return "\n".join(lines)


def _number(value):
    """Three decimals, a dash for NaN."""
    return "    -" if value != value else f"{value:5.3f}"
