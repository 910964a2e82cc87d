"""`acdref demo`: a first impression, without recordings of one's own."""

import contextlib
import itertools
import os
import shlex
import sys
import tempfile

import click

from acdref.commands._network import one_blas_thread
from acdref.commands._options import PATH, option, telling_options, threads_option
from acdref.commands._output import check_folder
from acdref.commands._progress import Progress, TerminalObserver
from acdref.commands.report import check_page
from acdref.errors import FileError
from acdref.options.labels import EVENT_WINDOW

_PAGE = "acdref-demo"


class _Watcher(TerminalObserver):
    """Takes no signals: nothing of a demo can be continued, so Ctrl-C ends it at once."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        Progress.__exit__(self)


@click.command(short_help="Tag eight recordings, train on made-up scenes, write a page: a minute or two.")
@option(
    "--out",
    PATH,
    "The page on the recordings, as of acdref report: a folder, or a file that ends in .html  [default: "
    f"{_PAGE}, or {_PAGE}-2, ..., a folder that is not there yet]",
)
@option("--keep", PATH, "Keep scenes and run in DIR  [default: a temporary folder]", metavar="DIR")
@option("--seed", click.IntRange(min=0), "Of scenes and training.", default=0)
@threads_option
@telling_options
def command(out, keep, seed, threads):
    """Tag eight recordings that ship, write a page on them, and train the network on synthetic scenes.

    Printed is what each recording is, by its source, what the shipped weights hear in it, and how many of
    these are right. The weights have been trained on none of them. A page shows more, and plays them.

    Then the same weights are trained for half a minute or more on sound scenes of the same 11 classes, which
    are made up here, and measured on other scenes before and after, as average precision (AP) of each class.
    The sounds are caricatures and the training is short: it shows that everything works, not how well.

    \b
    Examples:
      acdref demo
      acdref demo --out page.html
      acdref demo --keep demo && acdref predict --weights demo/run/best.npz demo/scenes

    \b
    Exit codes: 0 success; 1 a folder cannot be written (one line on stderr says why); 2 wrong usage; 130
    interrupted.
    """
    check_page(out)
    _check_kept(keep)
    one_blas_thread()
    with _page(out) as place, _Watcher() as observer:
        from acdref.demo import fine_tune, sizes
        from acdref.ops.threads import set_threads

        set_threads(threads)
        _recordings(place, observer)
        scenes, options, less = sizes()
        if less:
            observer.log(less)
        with tempfile.TemporaryDirectory(prefix="acdref-demo-") as temporary:
            result = fine_tune(keep or temporary, observer, seed, scenes, options)
    click.echo("\n".join(_learnt(result)))


def _check_kept(folder):
    """Refuse a folder that has scenes or a run already."""
    check_folder(folder)
    for name in ("scenes", "run") if folder is not None else ():
        if os.path.lexists(os.path.join(folder, name)):
            raise FileError(os.path.join(folder, name), "is there already; name another folder")


@contextlib.contextmanager
def _page(out):
    """Context with the page's place: without a name a new folder, which goes if nothing comes into it."""
    if out is not None:
        yield out
        return
    for number in itertools.count(1):
        folder = _PAGE if number == 1 else f"{_PAGE}-{number}"
        try:
            os.mkdir(folder)
            break
        except FileExistsError:
            continue
        except OSError as error:
            raise FileError(folder, f"{error.strerror}; name another place with --out") from None
    try:
        yield folder
    finally:
        with contextlib.suppress(OSError):
            os.rmdir(folder)


def _recordings(place, observer):
    """Say what is heard in the recordings that ship, and write the page."""
    from acdref.demo import recordings, tagged, write_page
    from acdref.files import weights_file
    from acdref.predict.tagger import Tagger

    manifest, found = recordings(), []
    tagger = Tagger.load(weights_file(), "numpy")  # nobody waits for a compiler here
    click.echo(_row("recording", "is, by its source", "", "heard"))
    for each in tagged(tagger):
        found.append(each)
        scores = each.found.tags()
        heard = [f"{name} {score:.2f}" for name, score in scores.items()]
        if each.surest[0] not in scores:
            heard.insert(0, "({} {:.2f})".format(*each.surest))
        verdict = "right" if each.right else "wrong"
        click.echo(_row(each.path, ", ".join(each.classes), verdict, ", ".join(heard)))
    click.echo("\n".join(_tally(found)))
    click.echo(f"all CC0 1.0, by whom: {manifest.source}")
    observer.show("writing the page")
    page = write_page(place, tagger, found)
    observer.clear()
    click.echo(f"to see and hear them, {EVENT_WINDOW:g} s at a time: {_opening(page)}")


def _row(path, classes, verdict, heard):
    return f"{path:<24}{classes:<19}{verdict:<7}{heard}"


def _tally(found):
    """How many are right, and how many tags."""
    right = f"{sum(each.right for each in found)} of {len(found)} right"
    yield f"{right}: they have the class that scores highest (in brackets: too low for a tag)"
    tags = [name in each.classes for each in found for name in each.found.tags()]
    there = sum(len(each.classes) for each in found)
    yield f"tags: {sum(tags)} of the {there} classes that they have, and {len(tags) - sum(tags)} others"


def _opening(page):
    """The command that opens a file with what the system has for it."""
    if sys.platform == "win32":
        return f'start "" "{page}"'
    return f"{'open' if sys.platform == 'darwin' else 'xdg-open'} {shlex.quote(page)}"


def _learnt(result):
    """The measures before and after the training."""
    taught, held_out = result["scenes"]
    training = f"training on {result['sequences']} sequences from {taught} others"
    yield f"AP on {held_out} synthetic scenes, before and after {training}:"
    for name, before in result["before"].items():
        yield f"  {name:<10}{_number(before)}  {_number(result['after'][name])}"
    before, after = result["mAP"]
    yield f"  {'mAP':<10}{_number(before)}  {_number(after)}  (chance: {result['prior']:.3f})"


def _number(value):
    """Three decimals, a dash for a class that none of the scenes has."""
    return f"{value:.3f}" if value == value else "    -"
