"""`acdref recipe pseudo-strong`: a network labels short windows for another."""

import os

import click

from acdref.commands._options import click_options, option
from acdref.commands.recipe._common import do, manifest_and_out, quick_options, run_options
from acdref.commands.recipe._soundscapes import soundscapes
from acdref.options.recipes import PseudoStrongOptions

OTHER_CLASSES = ("music", "urban", "machinery", "nature")


@click.command(short_help="Let a network label short windows for another.")
@manifest_and_out
@option("--quick", bool, "Try it on made-up soundscapes, with a small network.")
@click_options(PseudoStrongOptions)
@run_options
def command(manifest, out, quick, threads, as_json, **options):
    """Train an annotator on the labels of MANIFEST, and students on its probabilities of short windows.

    Students are trained on windows of --windows seconds; their labels are the annotator's probabilities,
    which are computed while training, from the very sound that the student hears. To compare there are
    students whose labels are those of MANIFEST (weak), on windows of 10 s and of the shortest, and one with
    the mean of both (mixed). Recordings of --val-fold or --val (or those whose split is "val") are measured
    on, whole.

    Printed are mAP, d' and lwlrap, how many windows get no label, and the weights of the student of the
    shortest windows. The paper's network is --net mobilenetv2, and its annotator had many more recordings
    than its students (--more, or --annotator).

    It may be stopped at any moment, even by kill -9: the same command continues to the same result.

    \b
    Examples:
      acdref recipe pseudo-strong --quick --out tried
      acdref recipe pseudo-strong balanced.csv --more unbalanced.csv --val eval.csv --root audio --out psl \\
          --net mobilenetv2
      acdref recipe pseudo-strong mine.csv --val-fold 4 --annotator run/best.npz --windows 2 --out psl

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
        options["transfer"] = soundscapes(os.path.join(sets, "others"), OTHER_CLASSES, 40, 2)
        out = os.path.join(out, "recipe")
    options = PseudoStrongOptions(manifest, **options)
    do(RECIPE, out, lambda observer: pseudo_strong(options, out, observer), as_json, threads, _told)


def _told(stages, out):
    """The file of the weights, and a table of the networks."""
    networks = {name: stage for name, stage in stages.items() if "mAP" in stage}
    width = max(map(len, networks))
    lines = [f"{'':{width}}    mAP     d'  lwlrap"]
    for name, stage in networks.items():
        values = ("-" if stage[key] is None else f"{stage[key]:.3f}" for key in ("mAP", "d_prime", "lwlrap"))
        lines.append(f"{name:{width}}  " + "  ".join(f"{value:>5}" for value in values))
    for window, count in stages["counts"].items():
        none = f"{100 * count['none']:.0f} % without any"
        lines.append(f"windows of {window} s: {count['labels']:.2f} labels, {none}")
    name = f"psl-{list(stages['counts'])[-1]}s"
    return os.path.join(out, f"{list(stages).index(name) + 1}-{name}", "weights.npz"), "\n".join(lines)
