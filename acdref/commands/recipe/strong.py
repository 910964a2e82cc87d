"""`acdref recipe strong`: what strong labels are worth."""

import os

import click

from acdref.commands._options import click_options, option, telling_options
from acdref.commands.recipe._common import do, manifest_and_out, quick_options, run_options
from acdref.commands.recipe._soundscapes import soundscapes
from acdref.options.recipes import StrongOptions


@click.command(short_help="Train on weak, diffuse and strong labels, and compare.")
@manifest_and_out
@click_options(StrongOptions, ("events",))
@option("--quick", bool, "Try it on made-up soundscapes, with a small network.")
@click_options(StrongOptions, without=("events",))
@run_options
@telling_options
def command(manifest, out, quick, threads, as_json, **options):
    """Train networks on weak, diffuse and strong labels, alone and after weak ones, and compare.

    The network sees random patches of 0.96 s. From scratch it learns the recordings in --events alone, the
    strong set, with the labels of MANIFEST (weak-part), with all classes of which there is an event anywhere
    in the recording (diffuse-part), or with those that are heard in the patch (strong-part); and all
    recordings with the labels of MANIFEST (weak-all). From there it is trained on with a share of patches
    from the strong set (plus-diffuse, plus-strong). Some of the strong set is held out, and its frames pick
    each network's epoch, and of several shares the best.

    Recordings of --val-fold or --val (or those whose split is "val") are measured on, by the labels of
    MANIFEST (weak eval: the mean over a recording's frames) and by their events (strong eval: each frame).
    Classes that MANIFEST does not list for a recording are absent from it: explicit negatives. Those that
    nobody was asked about belong in its column "unknown".

    Printed are the six rows of the paper's table, and the weights of plus-strong.

    The shares of strong patches are those that the paper picked; its network, --net resnet50, takes weeks on
    a CPU.
    It may be stopped at any moment, even by kill -9: the same command continues to the same result.

    \b
    Examples:
      acdref recipe strong --quick --out tried
      acdref recipe strong scenes/manifest.csv --out compared --epochs 30
      acdref recipe strong audioset.csv --events strong.tsv --val eval.csv --root audio --out compared \\
          --net resnet50 --width 0.25 --mu-strong 0.2,0.7,0.8,0.9 --shares 0.1,0.3

    \b
    Exit codes: 0 success; 1 a stage could not be done (one line on stderr says why); 2 wrong usage; 130
    interrupted (the same command continues).
    """
    options = quick_options(StrongOptions, manifest, quick, options, brought=("events",))
    from acdref.recipes.strong import RECIPE, strong

    if quick:
        manifest = soundscapes(os.path.join(out, "sounds"))
        out = os.path.join(out, "recipe")
    options = StrongOptions(manifest, **options)
    do(RECIPE, out, lambda observer: strong(options, out, observer), as_json, threads, _told)


def _told(stages, out):
    """The file of the weights, and a table of the networks."""
    networks = {name: stage for name, stage in stages.items() if "strong" in stage}
    width = max(map(len, networks))
    lines = [f"{'':{width}}    mu  epoch  weak eval: d'  lwlrap  strong eval: d'  lwlrap"]
    for name, stage in networks.items():
        values = [stage[part][key] for part in ("weak", "strong") for key in ("d_prime", "lwlrap")]
        texts = ("-" if value is None else f"{value:.3f}" for value in values)
        chosen = f"{stage['mu']:4.2f}  {stage['epoch']:5}"
        lines.append(f"{name:{width}}  {chosen}  " + "{:>13}  {:>6}  {:>15}  {:>6}".format(*texts))
    number = list(stages).index("plus-strong") + 1
    return os.path.join(out, f"{number}-plus-strong", "weights.npz"), "\n".join(lines)
