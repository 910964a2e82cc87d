"""`acdref recipe relabel-transfer`: base networks on labels expanded by an ontology, and their transfer."""

import os

import click

from acdref.commands._options import click_options, option
from acdref.commands.recipe._common import do, manifest_and_out, quick_options, run_options
from acdref.options.recipes import RelabelTransferOptions

_FIRST = ("ontology", "target", "base", "labels")  # in the help


@click.command(short_help="Expand labels by an ontology, train on some classes, transfer to others.")
@manifest_and_out
@option("--quick", bool, "Try it on made-up sounds, with a small network and few epochs.")
@click_options(RelabelTransferOptions, _FIRST)
@click_options(RelabelTransferOptions, without=_FIRST)
@run_options
def command(manifest, out, quick, threads, as_json, **options):
    """Train a network on the recordings of MANIFEST that are not about a class of an ontology, and transfer
    it to those that are.

    The classes of MANIFEST are ids or names of the ontology. Recordings of --target and the classes below it
    are the target set, the others the base set, whose labels are taken as they are (ol), with all their
    ancestors (pel), or so and with the children masked that annotators may have left out (pe-cml). Transfer
    is by a perceptron on what the base network makes of the target set ("extracted"), and by training that
    network on with a new last layer ("tuned"). Printed is the mAP of each on a tenth of its set.

    The rates are the paper's, the network is not: --net conv1d is, and takes days on a CPU.

    It may be stopped at any moment, even by kill -9: the same command continues to the same result.

    \b
    Examples:
      acdref recipe relabel-transfer --quick --out tried
      acdref recipe relabel-transfer clips.csv --ontology ontology.json --target "Human sounds" --out human
      acdref recipe relabel-transfer clips.csv --ontology ontology.json --target /m/0dgw9r --net conv1d \\
          --base ol --base pel --base pe-cml --out compared

    \b
    Exit codes: 0 success; 1 a stage could not be done (one line on stderr says why); 2 wrong usage; 130
    interrupted (the same command continues).
    """
    options = quick_options(RelabelTransferOptions, manifest, quick, options, brought=("ontology",))
    from acdref.recipes.made_up import ontology_sounds
    from acdref.recipes.relabel_transfer import RECIPE, relabel_transfer

    if quick:
        manifest, ontology = ontology_sounds(os.path.join(out, "sounds"))
        options["ontology"], out = str(ontology), os.path.join(out, "recipe")
    elif options["ontology"] is None or options["target"] is None:
        raise click.UsageError("--ontology and --target say what to transfer to")
    options = RelabelTransferOptions(str(manifest), **options)
    do(RECIPE, out, lambda observer: relabel_transfer(options, out, observer), as_json, threads, _told)


def _told(stages, out):
    """The folder of the last tuned network, and a table of all."""
    lines = ["network             best epoch     mAP"]
    for name, stage in stages.items():
        if "mAP" in stage:
            score = "–" if stage["mAP"] is None else f"{stage['mAP']:.3f}"
            lines.append(f"{name:18} {stage['best_epoch']:4} of {stage['epochs']:4}  {score:>6}")
    *_, last = stages
    return os.path.join(out, f"{len(stages)}-{last}", "best.npz"), "\n".join(lines)
