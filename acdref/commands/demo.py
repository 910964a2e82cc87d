"""`acdref demo`: see the whole chain work without any recordings."""

import tempfile

import click

from acdref.commands._options import PATH, option, telling_options, threads_option
from acdref.commands._output import check_folder


@click.command(short_help="Synthesise scenes, train on them, tag others: a minute or two.")
@option("--keep", PATH, "Keep scenes and run in DIR  [default: a temporary folder]", metavar="DIR")
@option("--seed", click.IntRange(min=0), default=0)
@threads_option
@telling_options
def command(keep, seed, threads):
    """Synthesise sound scenes, train the shipped ACDnet on them for a minute, tag scenes it has not heard.

    The sounds are synthetic and the training short: it shows that everything works, not how well.

    \b
    Examples:
      acdref demo
      acdref demo --keep demo && acdref predict --weights demo/run/best.npz demo/scenes

    \b
    Exit codes: 0 success; 1 the folder cannot be written; 130 interrupted.
    """
    from acdref.commands._progress import TerminalObserver
    from acdref.demo import demo
    from acdref.ops.threads import set_threads

    check_folder(keep)
    set_threads(threads)
    with tempfile.TemporaryDirectory(prefix="acdref-demo-") as temporary, TerminalObserver() as observer:
        result = demo(keep or temporary, observer, seed)
    if result is None:
        raise click.exceptions.Exit(130)
    click.echo(f"held-out scenes: mAP {result['mAP']:.3f} (chance {result['prior']:.3f})")
    for name, ap in result["ap"].items():
        click.echo(f"  {name:<10} AP {ap:.3f}")
    for path, true, tags in result["tags"]:
        listed = ", ".join(f"{name} {probability:.2f}" for name, probability in tags)
        click.echo(f"{path}  [{', '.join(true)}]  ->  {listed}")
