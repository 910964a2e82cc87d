"""`acdref synth`: write a folder of synthetic labelled scenes."""

from functools import partial

import click

from acdref.commands._options import PATH, Number, option, telling_options
from acdref.commands._output import check_folder
from acdref.commands._progress import Progress


@click.command(short_help="Write synthetic labelled sound scenes.")
@click.argument("directory", metavar="DIR", type=PATH)
@option("--count", click.IntRange(min=1), "Number of scenes.", default=300)
@option("--seed", click.IntRange(min=0), "Same seed, same files.", default=0)
@option("--seconds", Number(min=0.1), "Duration of a scene.", default=10.0)
@option("--val-fraction", Number(0, 1), "Part of the scenes marked as validation.", default=0.2)
@option("--force", bool, "Write into a folder that holds other files; they stay.")
@telling_options
def command(directory, count, seed, seconds, val_fraction, force):
    """Write synthetic sound scenes with labels into DIR.

    Each scene is a 16 kHz FLAC file with one to three of the 11 classes (or none) over background noise.
    manifest.csv lists the scenes with their classes and split, events.tsv says when each sound starts and
    ends, synth.json how the folder was made. A folder made by this command is replaced when it is run again.

    \b
    Examples:
      acdref synth scenes
      acdref synth scenes --count 2000 --seed 7 --seconds 5
      acdref train scenes/manifest.csv --root scenes --out run

    \b
    Exit codes: 0 success; 1 the folder holds other files or cannot be written (one line on stderr says
    why); 2 wrong usage; 130 interrupted.
    """
    from acdref.synth import write_dataset

    check_folder(directory)

    with Progress() as progress:
        show = partial(progress.progress, of="scenes")
        rows = write_dataset(
            directory, count, seed, seconds, val_fraction=val_fraction, force=force, progress=show
        )
    val = sum(split == "val" for _, _, split in rows)
    split = f"{count - val} train and {val} val"
    click.echo(f"{directory}: {count} scenes of {seconds:g} s, {split}, in manifest.csv")
