"""`acdref recipe relabel-transfer`: base networks on labels expanded by an ontology, and their transfer."""

import os

import click

from acdref.commands._options import click_options, option, telling_options
from acdref.commands.recipe._common import do, manifest_and_out, quick_options, run_options
from acdref.options import LABELLINGS
from acdref.options.recipes import RelabelTransferOptions

_FIRST = ("ontology", "target", "base", "labels")  # in the help


@click.command(short_help="Expand labels by an ontology, train on some classes, transfer to others.")
@manifest_and_out
@option("--quick", bool, "Try it on made-up sounds, with a small network and few epochs.")
@click_options(RelabelTransferOptions, _FIRST)
@click_options(RelabelTransferOptions, without=_FIRST)
@run_options
@telling_options
def command(manifest, out, quick, threads, as_json, **options):
    """Train a network on the recordings of MANIFEST that are not about a class of an ontology, and transfer
    it to those that are.

    The classes of MANIFEST are ids or names of the ontology. Recordings of --target and the classes below it
    are the target set, the others the base set. The labels of both are taken as they are (ol), with all their
    ancestors (pel), and so but with the children masked that annotators may have left out (pe-cml). Transfer
    is by a perceptron on what the base network makes of the target set ("extracted"), and by training that
    network on with a new last layer ("tuned"); "from scratch" is a network trained on the target set alone.
    Printed is the mAP on a tenth of the set that nothing was trained on, for each way, labelling of the base
    set and labelling of the target set; what is masked is not measured. Each --target is a split of its own.

    Rates, epochs and all else are the paper's, but the network is not: --net conv1d is, and takes days on a
    CPU.

    It may be stopped at any moment, even by kill -9: the same command continues to the same result.

    \b
    Examples:
      acdref recipe relabel-transfer --quick --out tried
      acdref recipe relabel-transfer clips.csv --ontology ontology.json --target "Human sounds" --out human
      acdref recipe relabel-transfer clips.csv --ontology ontology.json --net conv1d --out four \\
          --target "Human sounds" --target "Sounds of things" --target "Source-ambiguous sounds" \\
          --target "Natural sounds"

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
    elif options["ontology"] is None or not options["target"]:
        raise click.UsageError("--ontology and --target say what to transfer to")
    options = RelabelTransferOptions(str(manifest), **options)
    do(RECIPE, out, lambda observer: relabel_transfer(options, out, observer), as_json, threads, _told)


def _told(stages, out):
    """The folder of the last tuned network, and for each root a table of way and base by target labelling."""
    found = [stage for stage in stages.values() if "mAP" in stage]
    lines = []
    for root in dict.fromkeys(stage["root"] for stage in found):
        rows = {}
        for stage in found:
            if stage["root"] == root:
                row = rows.setdefault(_row(stage), {})
                row[stage["labels"]] = "–" if stage["mAP"] is None else f"{stage['mAP']:.3f}"
        columns = [name for name in LABELLINGS if any(name in row for row in rows.values())]
        lines.append(f"{root:24}" + "".join(f"{name:>8}" for name in columns))
        for name, row in rows.items():
            lines.append(f"  {name:22}" + "".join(f"{row.get(column, ''):>8}" for column in columns).rstrip())
    *_, last = stages
    return os.path.join(out, f"{len(stages)}-{last}", "best.npz"), "\n".join(lines)


def _row(stage):
    """The name of a network's row."""
    alone = {"scratch": "from scratch", "base": "base networks"}
    return alone.get(stage["way"]) or f"{stage['way']}, base {stage['base']}"
