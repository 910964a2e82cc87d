"""`acdref report`: a page to see and hear what is in recordings."""

from dataclasses import fields

import click

from acdref.commands._network import given_paths, network_options, null_option, open_network
from acdref.commands._options import (
    CLASSES,
    PATH,
    PLACE,
    Listed,
    Number,
    click_options,
    option,
    telling_options,
)
from acdref.commands._output import check_folder, check_output
from acdref.commands._progress import Progress, end, strays
from acdref.commands._work import Watcher, chosen_classes, event_grid
from acdref.options.labels import EVENT_WINDOW, Decision, EventOptions


@click.command(short_help="Write a page to see and hear what is in recordings.")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=PLACE)
@option(
    "--out",
    PATH,
    "The page: a file that ends in .html and holds all, or a folder, which gets index.html and data/.",
    required=True,
)
@network_options
@option("--window", Number(min=0.1), f"Seconds scored at a time  [default: {EVENT_WINDOW:g}]")
@option("--hop", Number(min=0.01), "Seconds from one window to the next  [default: half of --window]")
@option(
    "--threshold", Number(0, 1), "Score from which a sound counts as heard  [default: as of predict --events]"
)
@click_options(Decision, ("by_class",))
@option(
    "--classes",
    Listed(),
    f"Only these classes, in this order; {CLASSES}  [default: all of the weights]",
    metavar="A,B,...",
)
@click_options(EventOptions)
@option("--embed", Number(min=0), "Megabytes of recordings to put into the page.", default=20)
@null_option
@telling_options
def command(
    paths, out, weights, backend, threads, window, hop, embed, null, threshold, by_class, classes, **rules
):
    """Write a page on the recordings PATH: files, folders, or "-" for a list of paths on stdin, as `acdref
    predict` takes them.

    The page shows how long each class is heard, in which recordings and when; of each recording spectrogram,
    scores and events, with a player that jumps to them. Thresholds, and what else makes an event, begin as
    given here and can be changed in the page. Open it from the disk: it needs no network and no server.

    A file is for some recordings: all is in it (of sound as much as --embed says), to be sent by mail, say. A
    folder is for many or long ones: the page loads what is looked at. Recordings are put in, in their order,
    as long as there is room (--embed); the others are played where they are, so that page and recordings must
    be moved together.

    A bad file costs one line on stderr and a row with its error in the page. stdout gets the page's path.

    \b
    Examples:
      acdref report street.wav --out street.html
      acdref report recordings/ --out report
      find . -name '*.flac' | acdref report --classes alarm,dog --class-threshold alarm=0.3 --out report -

    \b
    Exit codes: 0 success; 1 nothing could be scored, and there is no page (stderr says why); 2 wrong usage;
    3 partial: some recordings failed, the page has the others; 130 interrupted.
    """
    check_page(out, weights, *paths)
    window, hop = event_grid(window, hop)
    known = None if "-" in paths else paths
    paths, rules = given_paths(paths, null), {field.name: rules[field.name] for field in fields(EventOptions)}
    with Progress() as progress:
        net, names = open_network(weights, backend, threads, progress)

        from acdref.files import weights_file
        from acdref.predict.events import timelines
        from acdref.predict.formats import printable
        from acdref.predict.scoring import class_thresholds, tag_thresholds
        from acdref.predict.tagging import only, predict
        from acdref.report import Recording, write_report

        classes, columns = chosen_classes(classes, names, weights)
        usual = tag_thresholds([net.thresholds[c] for c in columns]) if threshold is None else threshold
        thresholds = class_thresholds(classes, dict(by_class), usual)
        tally = Watcher(progress, False, known)
        results = tally.watch(predict(net, paths, window, hop, progress.log, strays, ends=True))
        found = timelines(only(results, columns), thresholds, **rules)
        written = write_report(
            out,
            (Recording(each, each.path) for each in found),
            classes,
            thresholds(float("inf")),
            rules,
            title="What is heard",
            sound=round(embed * 1e6),
            made=f"Weights: {weights_file(weights)}; windows of {window:g} s, {hop:g} s apart.",
            said=progress.log,
        )
        tally.check()
    click.echo(printable(str(written)))
    end(tally.failed, tally.windows)


def check_page(out: str | None, *inputs: str | None, flag: str = "--out") -> None:
    """Refuse a page before any work is done for it, as :func:`check_output` and :func:`check_folder` do."""
    if out is None:
        return
    from acdref.report.page import is_file, refuse_foreign

    if is_file(out):
        check_output(out, *inputs, flag=flag)
    else:
        check_folder(out, *inputs, written=r"index\.html")
        refuse_foreign(out)
