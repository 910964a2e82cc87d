"""`acdref recipe strong`: what strong labels are worth."""

import os

import click

from acdref.commands._options import click_options, option
from acdref.commands.recipe._common import do, manifest_and_out, quick_options, run_options
from acdref.commands.recipe._soundscapes import soundscapes
from acdref.options.recipes import StrongOptions


@click.command(short_help="Train on weak, then on diffuse and on strong labels, and compare.")
@manifest_and_out
@click_options(StrongOptions, ("events",))
@option("--quick", bool, "Try it on made-up soundscapes, with a small network.")
@click_options(StrongOptions, without=("events",))
@run_options
def command(manifest, out, quick, threads, as_json, **options):
    """Train a network on the labels of MANIFEST, then on from it with three kinds of labels, and compare.

    The network sees patches of 0.96 s. At first each has all the labels of its recording. Then the network is
    trained on: so again (tuned-weak); with patches of the recordings in --events that have all classes of
    which there is an event anywhere (tuned-diffuse); or those that are heard in the patch (tuned-strong).
    Recordings of --val-fold or --val (or those whose split is "val") are measured on. Their events say what
    is heard in each frame; classes that MANIFEST does not list for a recording are absent from it.

    Printed are d' and lwlrap of frames of 0.96 s and of recordings, and the weights of tuned-strong.

    The shares of strong patches are the paper's; so is --net resnet50, which takes weeks on a CPU.
    It may be stopped at any moment, even by kill -9: the same command continues to the same result.

    \b
    Examples:
      acdref recipe strong --quick --out tried
      acdref recipe strong scenes/manifest.csv --out compared --epochs 30
      acdref recipe strong audioset.csv --events strong.tsv --val eval.csv --root audio --out compared \\
          --net resnet50 --width 0.25 --shares 0.1,0.3

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
    networks = {name: stage for name, stage in stages.items() if "frames" in stage}
    width = max(map(len, networks))
    lines = [f"{'':{width}}  frames: d'  lwlrap  recordings: d'  lwlrap"]
    for name, stage in networks.items():
        values = [stage[part][key] for part in ("frames", "clips") for key in ("d_prime", "lwlrap")]
        texts = ("-" if value is None else f"{value:.3f}" for value in values)
        lines.append(f"{name:{width}}  " + "{:>10}  {:>6}  {:>14}  {:>6}".format(*texts))
    number = list(stages).index("tuned-strong") + 1
    return os.path.join(out, f"{number}-tuned-strong", "weights.npz"), "\n".join(lines)
