"""`acdref recipe pseudo-strong`: a network labels short windows for another."""

import os

import click

from acdref.commands._options import click_options, option, telling_options
from acdref.commands.recipe._common import do, manifest_and_out, quick_options, run_options
from acdref.commands.recipe._soundscapes import soundscapes
from acdref.options.recipes import PseudoStrongOptions

OTHER_CLASSES = ("music", "urban", "machinery", "nature")


@click.command(short_help="Let a network label short windows for another.")
@manifest_and_out
@option("--quick", bool, "Try it on made-up soundscapes, with a small network.")
@click_options(PseudoStrongOptions)
@run_options
@telling_options
def command(manifest, out, quick, threads, as_json, **options):
    """Train an annotator on the labels of MANIFEST, and students on its probabilities of short windows.

    Students are trained on windows of --windows seconds; their labels are the annotator's probabilities,
    which are computed while training, from the very sound that the student hears. To compare there are
    students whose labels are those of MANIFEST (weak), on windows of 10 s and of the shortest, and one with
    the mean of both (mixed). Recordings of --val-fold or --val (or those whose split is "val") are measured
    on, whole.

    Printed are mAP, d' and lwlrap; how many labels recordings have in MANIFEST, and in all windows of a
    length together; and the weights of the student of the shortest windows. With --transfer the weights of
    annotator and student are trained on with another set, and compared by mAP, lwlrap and, where each of its
    recordings has one class, MAP@3. The paper's network is --net mobilenetv2, and its annotator had many more
    recordings than its students (--more, or --annotator).

    It may be stopped at any moment, even by kill -9: the same command continues to the same result.

    \b
    Examples:
      acdref recipe pseudo-strong --quick --out tried
      acdref recipe pseudo-strong balanced.csv --more unbalanced.csv --val eval.csv --root audio --out psl \\
          --net mobilenetv2
      acdref recipe pseudo-strong mine.csv --val-fold 4 --annotator run/best.npz --windows 2 --out psl
      acdref recipe pseudo-strong balanced.csv --val eval.csv --root audio --out psl --steps released \\
          --transfer fsdkaggle2018.csv

    \b
    Exit codes: 0 success; 1 a stage could not be done (one line on stderr says why); 2 wrong usage; 130
    interrupted (the same command continues).
    """
    brought = ("more", "transfer", "annotator")
    options = quick_options(PseudoStrongOptions, manifest, quick, options, brought)
    from acdref.recipes.pseudo_strong import RECIPE, pseudo_strong

    if quick:
        sets = os.path.join(out, "sounds")
        manifest = soundscapes(os.path.join(sets, "few"), count=64)
        options["more"] = soundscapes(os.path.join(sets, "more"), count=80, seed=1)
        options["transfer"] = soundscapes(os.path.join(sets, "others"), OTHER_CLASSES, 40, 2, most=1)
        out = os.path.join(out, "recipe")
    options = PseudoStrongOptions(manifest, **options)
    do(RECIPE, out, lambda observer: pseudo_strong(options, out, observer), as_json, threads, _told)


def _told(stages, out):
    """The file of the weights, and tables of the networks, of label counts and of the transfer."""
    networks = {name: stage for name, stage in stages.items() if "mAP" in stage}
    moved = {name: networks.pop(name) for name in list(networks) if name.startswith("transfer-")}
    counts = stages["counts"]
    lines = _table(networks, ("mAP", "d_prime", "lwlrap"))
    bins = list(counts["given"]["clips"])
    lines += [
        "",
        "recordings with so many labels" + "".join(f"{title:>6}" for title in bins) + "  windows without any",
    ]
    for window, count in counts.items():
        title = "in the manifest" if window == "given" else f"in windows of {window} s"
        shares = "".join(f"{100 * count['clips'][title]:4.0f} %" for title in bins)
        none = "" if window == "given" else f"{100 * count['none']:19.0f} %"
        lines.append(f"{title:30}{shares}{none}")
    if moved:
        measured = [key for key in ("mAP", "MAP@3", "lwlrap") if key in next(iter(moved.values()))]
        lines += ["", *_table(moved, measured)]
        if {"transfer-annotator", "transfer-psl"} <= moved.keys():
            lines += _table({"improvement": _gain(moved)}, measured, "+")[1:]
    name = f"psl-{list(counts)[-1]}s"
    return os.path.join(out, f"{list(stages).index(name) + 1}-{name}", "weights.npz"), "\n".join(lines)


def _gain(moved):
    """What the student's weights bring over the annotator's, measure by measure."""
    ours, theirs = moved["transfer-psl"], moved["transfer-annotator"]
    return {key: value - theirs[key] for key, value in ours.items() if None not in (value, theirs.get(key))}


def _table(networks, measured, sign=""):
    """Lines: a network each, under their measures."""
    width = max(18, *map(len, networks))
    titles = ("d'" if key == "d_prime" else key for key in measured)
    lines = [" " * width + "".join(f"{title:>8}" for title in titles)]
    for name, stage in networks.items():
        values = (stage.get(key) for key in measured)
        texts = (f"{'-' if value is None else format(value, f'{sign}.3f'):>8}" for value in values)
        lines.append(f"{name:{width}}" + "".join(texts))
    return lines
