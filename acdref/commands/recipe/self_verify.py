"""`acdref recipe self-verify`: networks vouch for labels that nobody has checked."""

import os

import click

from acdref.commands._options import PATH, click_options, option, telling_options
from acdref.commands.recipe._common import do, manifest_and_out, quick_options, run_options
from acdref.options.recipes import SelfVerifyOptions

QUICK_CLASSES = ("voice", "dog", "music", "machinery", "alarm", "gunshot")


@click.command(short_help="Train on doubtful labels, accept those that networks confirm, train on.")
@manifest_and_out
@option("--quick", bool, "Try it on made-up sounds, with a small network and few rounds.")
@click_options(SelfVerifyOptions, without=("seed",))
@option(
    "--also",
    PATH,
    "Average in the end with this finished run of other networks; repeatable.",
    multiple=True,
    metavar="FOLDER",
)
@click_options(SelfVerifyOptions, ("seed",))
@run_options
@telling_options
def command(manifest, out, quick, also, threads, as_json, **options):
    """Train networks on the labels of MANIFEST, let them verify those that nobody has checked, and train on.

    Every recording has one class; the column "verified" says 1 where somebody has checked it, else 0. Each of
    four networks leaves a fold out. In every round, a label counts as verified if the network that has not
    heard the recording gives it the highest posterior, at least --threshold, and it is among the --cap best
    of its class; then the networks are trained on, with what is verified. Of each training the epoch counts
    that has the lowest loss on the verified recordings left out; of the rounds the one whose mean over the
    networks is lowest. Recordings of --val-fold or --val (or those whose split is "val") are measured on, and
    nothing else.

    The defaults are the paper's, but for the network: --net vgg-gap is the paper's, and takes months on a
    CPU. Logits are taken as those of a softmax, whatever the network.

    It may be stopped at any moment, even by kill -9: the same command continues to the same result.

    \b
    Examples:
      acdref recipe self-verify --quick --out tried
      acdref recipe self-verify FSDKaggle2018.csv --root audio --net vgg-gap --out verified
      acdref recipe self-verify labels.csv --val-fold 5 --epochs 60 --constant 20 --rounds 4 --out verified

    \b
    The paper's three networks, two of them on version 1 of the spectrogram, and the mean of their answers:
      acdref recipe self-verify FSDKaggle2018.csv --net vgg-gap --out first
      acdref recipe self-verify FSDKaggle2018.csv --net vgg-gap --width 0.75 --out second
      acdref recipe self-verify FSDKaggle2018.csv --net vgg-gap --spectrogram 2 --out all \\
        --also first --also second

    \b
    Exit codes: 0 success; 1 a stage could not be done (one line on stderr says why); 2 wrong usage; 130
    interrupted (the same command continues).
    """
    options = quick_options(SelfVerifyOptions, manifest, quick, options)
    from acdref.recipes.made_up import single_sounds
    from acdref.recipes.self_verify import RECIPE, self_verify

    if quick:
        manifest = single_sounds(os.path.join(out, "sounds"), QUICK_CLASSES)
        out = os.path.join(out, "recipe")
    options = SelfVerifyOptions(str(manifest), **options)
    do(RECIPE, out, lambda observer: self_verify(options, out, also, observer), as_json, threads, _told)


def _told(stages, out):
    """The folder of the best weights, and a table of the first training and the rounds."""
    rounds = {name: stage for name, stage in stages.items() if "val_loss" in stage and name != "ensemble"}
    best = stages["ensemble"]
    lines = ["round        accepted  val loss  val accuracy  accuracy"]
    for name, stage in rounds.items():
        test = f"  {stage['test']['accuracy']:8.3f}" if "test" in stage else ""
        found = f"{stage['val_loss']:8.4f}  {stage['val_accuracy']:12.3f}{test}"
        lines.append(f"{name:12} {stage.get('accepted', ''):8}  {found}")
    test = best.get("test")
    score = f", accuracy {test['accuracy']:.3f}, MAP@3 {test['MAP@3']:.3f}" if test else ""
    lines.append(f"best of the rounds by mean val loss: {best['best']}{score}")
    return os.path.join(out, best["weights"]), "\n".join(lines)
