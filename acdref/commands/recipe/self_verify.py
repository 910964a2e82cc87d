"""`acdref recipe self-verify`: networks vouch for labels that nobody has checked."""

import os

import click

from acdref.commands._numbers import Number
from acdref.commands._training import class_names, recording_options, validation_options
from acdref.commands.recipe._common import do, network_options, quick_options, run_options

QUICK_CLASSES = ("voice", "dog", "music", "machinery", "alarm", "gunshot")
QUICK = {
    "net": "mobilenetv2",
    "width": 0.125,
    "clip": 3.0,
    "excerpt": 1.5,
    "epochs": 10,
    "constant": 5,
    "lr": 5e-3,
    "rounds": 2,
    "tune_epochs": 4,
    "tune_constant": 1,
    "tune_lr": 2e-3,
    "batch": 16,
    "excerpts": 2,
    "threshold": 0.6,
}


@click.command(short_help="Train on doubtful labels, accept those that networks confirm, train on.")
@click.argument("manifest", required=False, type=click.Path())
@click.option("--out", required=True, type=click.Path(), help="Folder of the recipe.")
@click.option("--quick", is_flag=True, help="Try it on made-up sounds, with a small network and few rounds.")
@recording_options
@validation_options
@network_options
@click.option(
    "--spectrogram",
    type=click.IntRange(1, 2),
    default=1,
    show_default=True,
    help="Of vgg-gap. 1: A-weighted mel; 2: logarithmic filterbank.",
)
@click.option(
    "--clip",
    type=Number(min=0, min_open=True),
    metavar="SECONDS",
    help="Repeat or cut recordings to this  [default: 3000 of vgg-gap's frames, 18 s]",
)
@click.option(
    "--excerpt",
    type=Number(min=0, min_open=True),
    metavar="SECONDS",
    help="Train on random excerpts of this length  [default: 384 of vgg-gap's frames, 2.304 s]",
)
@click.option("--folds", type=click.IntRange(min=2), default=4, show_default=True, help="Networks.")
@click.option("--epochs", type=click.IntRange(min=1), default=500, show_default=True, help="On all labels.")
@click.option(
    "--constant",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    help="Epochs before the learning rate begins to fall to 0.",
)
@click.option("--lr", type=Number(min=0, min_open=True), default=1e-3, show_default=True)
@click.option("--alpha", type=Number(min=0), default=0.3, show_default=True, help="Of mixup; 0: no mixup.")
@click.option("--rounds", type=click.IntRange(min=0), default=10, show_default=True, help="Of verification.")
@click.option(
    "--tune-epochs", type=click.IntRange(min=1), default=30, show_default=True, help="In each round."
)
@click.option(
    "--tune-constant",
    type=click.IntRange(min=0),
    default=5,
    show_default=True,
    help="Of these, before the rate begins to fall.",
)
@click.option("--tune-lr", type=Number(min=0, min_open=True), default=2e-4, show_default=True)
@click.option("--batch", type=click.IntRange(min=1), default=100, show_default=True)
@click.option(
    "--excerpts",
    type=click.IntRange(min=1),
    default=25,
    show_default=True,
    help="Excerpts of a recording that a network is asked about.",
)
@click.option(
    "--threshold",
    type=Number(0, 1),
    default=0.95,
    show_default=True,
    help="Smallest mean posterior of a label that is accepted; 0 for none, as in the published commands.",
)
@click.option(
    "--cap",
    type=click.IntRange(min=0),
    default=40,
    show_default=True,
    help="Most accepted recordings of a class.",
)
@click.option(
    "--also",
    multiple=True,
    type=click.Path(),
    metavar="FOLDER",
    help="Average in the end with this finished run of other networks; repeatable.",
)
@run_options
def command(manifest, out, quick, classes, also, threads, as_json, **options):
    """Train networks on the labels of MANIFEST, let them verify those that nobody has checked, and train on.

    Every recording has one class; the column "verified" says 1 where somebody has checked it, else 0. Each of
    four networks leaves a fold out. In every round, a label counts as verified if the network that has not
    heard the recording gives it the highest posterior, at least --threshold, and it is among the --cap best
    of its class; then the networks are trained on, with what is verified. Recordings of --val-fold or --val
    (or those whose split is "val") are measured on, and nothing else.

    The defaults are the paper's, but for the network: --net vgg-gap is the paper's, and takes days on a CPU.
    Logits are taken as those of a softmax, whatever the network.

    It may be stopped at any moment, even by kill -9: the same command continues to the same result.

    \b
    Examples:
      acdref recipe self-verify --quick --out tried
      acdref recipe self-verify FSDKaggle2018.csv --root audio --net vgg-gap --out verified
      acdref recipe self-verify labels.csv --val-fold 5 --epochs 60 --constant 20 --rounds 4 --out verified
      acdref recipe self-verify FSDKaggle2018.csv --net vgg-gap --spectrogram 2 --also verified --out both

    \b
    Exit codes: 0 success; 1 a stage could not be done (one line on stderr says why); 2 wrong usage; 130
    interrupted (the same command continues).
    """
    options = quick_options(manifest, quick, options, QUICK)
    from acdref.ops.threads import set_threads
    from acdref.recipes.made_up import single_sounds
    from acdref.recipes.self_verify import RECIPE, Options, self_verify

    if quick:
        manifest = single_sounds(os.path.join(out, "sounds"), QUICK_CLASSES)
        out = os.path.join(out, "recipe")
    set_threads(threads)
    options = Options(str(manifest), classes=class_names(classes), **options)
    do(RECIPE, out, lambda observer: self_verify(options, out, also, observer), as_json, _told)


def _told(stages, out):
    """The folder of the best weights, and a table of the rounds."""
    rounds = {name: stage for name, stage in stages.items() if "val_loss" in stage and name != "ensemble"}
    best = stages["ensemble"]
    lines = ["round        accepted  val loss  accuracy"]
    for name, stage in rounds.items():
        test = f"  {stage['test']['accuracy']:8.3f}" if "test" in stage else ""
        lines.append(f"{name:12} {stage.get('accepted', ''):8}  {stage['val_loss']:8.4f}{test}")
    if "test" in best:
        test = best["test"]
        lines.append(f"best: {best['best']}, accuracy {test['accuracy']:.3f}, MAP@3 {test['MAP@3']:.3f}")
    else:
        lines.append(f"best: {best['best']}")
    return os.path.join(out, best["weights"]), "\n".join(lines)
