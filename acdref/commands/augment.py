"""`acdref augment`: hear and see what training varies."""

import click

from acdref import options


@click.command(short_help="Hear and see how training varies sounds.")
@click.argument("recordings", metavar="[RECORDING]...", nargs=-1, type=click.Path())
@click.option("--listen", required=True, metavar="DIR", type=click.Path(), help="Folder of the examples.")
@click.option(
    "--augment",
    type=click.Choice(options.AUGMENTATIONS),
    default="paper",
    show_default=True,
    help="What the last examples draw from, as in `acdref train`.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Same seed, same examples."
)
@click.pass_context
def command(ctx, recordings, listen, augment, seed):
    """Write examples of all that training varies: WAV files, and index.html with players and spectrograms.

    Of each RECORDING the first 10 s are used; without any, a synthetic scene is.

    \b
    Examples:
      acdref augment --listen examples
      acdref augment --listen examples --seed 3 dog.wav street.flac

    \b
    Exit codes: 0 success; 1 the job could not be done (one line on stderr says why); 2 wrong usage; 3 some
    recordings could not be decoded, the others are done; 130 interrupted.
    """
    from acdref.augment import AUGMENTATIONS
    from acdref.listen import write_page

    failures = []

    def failed(error):
        failures.append(error)
        click.echo(f"acdref: {error}", err=True)

    click.echo(write_page(listen, recordings, seed, AUGMENTATIONS[augment], failed))
    if failures:
        ctx.exit(3)
