"""`acdref augment`: hear and see what training varies."""

import click

from acdref.commands._options import PATH, option
from acdref.commands._output import check_folder
from acdref.commands._progress import end, say
from acdref.options import AUGMENTATIONS


@click.command(short_help="Hear and see how training varies sounds.")
@click.argument("recordings", metavar="[RECORDING]...", nargs=-1, type=PATH)
@option("--listen", PATH, "Folder of the examples.", required=True, metavar="DIR")
@option(
    "--augment", AUGMENTATIONS, "What the last examples draw from, as in `acdref train`.", default="paper"
)
@option("--seed", click.IntRange(min=0), "Same seed, same examples.", default=0)
def command(recordings, listen, augment, seed):
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
    from acdref import augment as augmenting
    from acdref.listen import write_page

    check_folder(listen, *recordings, written=r"\d+-\d\d-.*\.wav|index\.html")
    failures = []

    def failed(error):
        failures.append(error)
        say(f"acdref: {error}")

    click.echo(write_page(listen, recordings, seed, augmenting.AUGMENTATIONS[augment], failed))
    end(failures)
