"""`acdref recipe`: jobs of several stages, from recordings to a network."""

import click

from acdref.commands.recipe import (
    pseudo_strong,
    relabel_transfer,
    self_correct,
    self_verify,
    strong,
    unlabelled,
    what_if,
)


@click.group(short_help="Jobs of several stages: correct labels, train on unlabelled recordings.")
def command():
    """Do a job of several stages, each of which is what one command does.

    A recipe's folder gets one subfolder for each stage. It may be stopped at any moment, even by kill -9: the
    same command continues, passes over the stages that are finished, and ends with the same weights, bit for
    bit. With other options, or after a change of the labels, it refuses to.

    \b
    Examples:
      acdref recipe pseudo-strong --quick --out tried
      acdref recipe relabel-transfer --quick --out tried
      acdref recipe self-correct manifest.csv --root recordings --val-fold 4 --out corrected
      acdref recipe self-verify --quick --out tried
      acdref recipe strong --quick --out tried
      acdref recipe unlabelled clap-htsat-unfused/ field-recordings/ --out field
      acdref recipe what-if --quick --out tried

    \b
    Exit codes: 0 success; 1 a stage could not be done (one line on stderr says why); 2 wrong usage; 130
    interrupted.
    """


for module in (pseudo_strong, relabel_transfer, self_correct, self_verify, strong, unlabelled, what_if):
    command.add_command(module.command, module.__name__.rpartition(".")[2].replace("_", "-"))
