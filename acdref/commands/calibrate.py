"""`acdref calibrate`: thresholds and honest probabilities for weights."""

import click

from acdref.commands._network import network_options, open_network
from acdref.commands._options import PLACE, Number, click_options, option, telling_options
from acdref.commands._output import check_output
from acdref.commands._progress import Progress, end, tell
from acdref.options.labels import WINDOW
from acdref.options.training import RecordingOptions


@click.command(short_help="Fit thresholds and probabilities of weights to your recordings.")
@click.argument("manifest", type=PLACE)
@option("--out", PLACE, "The weights file to write.", required=True, metavar="WEIGHTS")
@click_options(RecordingOptions, ("root",))
@click.option("--fold", metavar="K,...", help="Only recordings of these folds.")
@click.option("--split", metavar="S,...", help="Only recordings of these splits.")
@option("--window", Number(min=0.1), "Seconds of sound scored at a time.", default=WINDOW)
@network_options
@option("--json as_json", bool, "Print JSON, schema acdref.calibrate/1.")
@telling_options
def command(manifest, out, root, fold, split, window, weights, backend, threads, as_json):
    """Fit the weights' thresholds and probabilities to the recordings of MANIFEST, as `acdref evaluate` takes
    it, and write them to --out.

    THE WEIGHTS MUST NOT HAVE BEEN TRAINED ON THESE RECORDINGS. Nobody can tell from the weights whether they
    have; if so, their scores are surer here than anywhere else, and thresholds and probabilities get worse
    rather than better. Recordings that decided which weights were kept will do; those of --fold K after
    `acdref train --val-fold K`, say.

    Of each class the logits get a scale and a shift (Platt), folded into the last layer, after which a score
    of 0.8 means that 8 of 10 such recordings have the class (AP and AUC stay, but for recordings of several
    windows); and a threshold, that with the best F1, as the median over resamples of sources (column
    source_id or source). `predict`, `evaluate` and Python's Tagger use it from then on. A class with fewer
    than 5 recordings that have it, or 5 that have not, stays as it is, and networks other than acdnet and
    conv1d get thresholds alone; both are said.

    Printed is what it brings to these same recordings; others gain less.

    \b
    Examples:
      acdref train manifest.csv --root recordings --out run --val-fold 4
      acdref calibrate manifest.csv --root recordings --fold 4 --weights run/best.npz --out mine.npz
      acdref predict --weights mine.npz new/

    \b
    JSON: positives, fitted, scale, shift, thresholds (by class), recordings, before and after (error: the
    expected calibration error; f1: the mean F1 at the thresholds), weights, out, failures.

    \b
    Exit codes: 0 success; 1 nothing could be fitted (one line on stderr says why); 2 wrong usage;
    3 partial: some recordings were left out; 130 interrupted.
    """
    from acdref.files import weights_file

    weights = weights_file(weights)
    check_output(out, manifest, weights, endings=(".npz",))
    failures = []
    with Progress() as progress:
        net, names = open_network(weights, backend, threads, progress)

        from acdref.calibrate import LEAST, calibrate, can_fold, save
        from acdref.tables.manifest import open_dataset

        recordings = open_dataset(manifest, root, names, progress.log).where(fold=fold, split=split)

        def left_out(error):
            failures.append(error)
            progress.left_out(error)

        found = calibrate(net, recordings, net.thresholds, left_out, progress.progress, window)
        few = [name for name, fitted in zip(names, found.fitted, strict=True) if not fitted]
        if few:
            cause = f"fewer than {LEAST} recordings have them, or have them not"
            progress.log(f"stay as they are, since {cause}: {', '.join(few)}")
        if not can_fold(net.net):
            progress.log("thresholds only: this network's last layer is no dense one that gives its logits")
    save(found, weights, out)
    failed = [{"path": error.path, "error": error.cause} for error in failures]
    facts = found.as_dict() | {"weights": str(weights), "out": out, "failures": failed}
    tell(facts, lambda: _table(found, out), as_json)
    end(failures)


def _table(found, out):
    """The calibration for people."""
    width = max(len(name) for name in (*found.classes, "class"))
    lines = [f"{'class':<{width}}  positives  threshold  scale   shift"]
    columns = found.classes, found.positives, found.thresholds, found.scale, found.shift
    for name, positives, threshold, scale, shift in zip(*columns, strict=True):
        lines.append(f"{name:<{width}}  {positives:>9}  {threshold:>9.3f}  {scale:>5.3f}  {shift:>6.3f}")
    before, after = found.before, found.after
    lines += [
        f"calibration error: {before['error']:.3f} before, {after['error']:.3f} after",
        f"mean F1: {before['f1']:.3f} before, {after['f1']:.3f} after",
        f"{out}: fitted to {found.recordings} recordings",
    ]
    return "\n".join(lines)
