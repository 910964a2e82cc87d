"""`acdref cut`: the events of recordings as sound files."""

import os

import click

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
from acdref.commands._output import check_folder
from acdref.commands._progress import Progress, end
from acdref.commands._tags import opened_tags, thresholds_option
from acdref.options.labels import Decision

_FORMATS = ("flac", "wav")


@click.command(short_help="Cut the events out of recordings, as sound files.")
@click.argument("tags", metavar="TAGS", type=PLACE)
@option("--out", PATH, "The folder to write to, made if need be.", required=True, metavar="FOLDER")
@option("--classes", Listed(), f"Only these classes; {CLASSES}  [default: all]", metavar="A,B,...")
@option(
    "--threshold",
    Number(0, 1),
    "Only events whose peak is at or above it, windows scored so  [default: all events; windows --weights', "
    "but 0.99 below 0.3 s]",
)
@click_options(Decision, ("by_class",))
@thresholds_option
@option("--pad", Number(min=0), "Seconds before and after an event.", default=0.5)
@option("--format form", _FORMATS, "wav keeps floating point, and more than 8 channels.", default="flac")
@telling_options
def command(tags, out, classes, threshold, by_class, weights, pad, form):
    """Write each event in TAGS, the CSV or JSONL file of `acdref predict --events`, as a sound file into
    FOLDER; "-" is stdin. Of windows, those of one class that touch count as one event.

    Files keep the recording's rate and channels, and are named after it, the event's onset and offset in
    seconds, and its class: street_12.000-15.000_alarm.flac. The same TAGS give the same names; what has such
    a name from before is replaced, a recording in TAGS never. Recordings are found by their paths in TAGS,
    from the folder in which acdref predict ran. A bad one costs a line on stderr.

    \b
    Examples:
      acdref predict --events --out events.csv recordings/; acdref cut events.csv --out clips
      acdref cut events.csv --out alarms --classes alarm --pad 2 --format wav

    \b
    Exit codes: 0 success; 1 nothing was written (one line on stderr says why); 2 wrong usage; 3 partial: some
    recordings failed, the others are cut; 130 interrupted.
    """
    check_folder(out, None if tags == "-" else tags)

    from acdref.errors import FileError
    from acdref.files import claimed, settle
    from acdref.predict.cutting import ClipNames, Piece, cut
    from acdref.predict.formats import printable

    written, failed = [], 0
    with Progress() as progress, claimed(out):
        with opened_tags(tags, classes, threshold, dict(by_class), progress, weights) as tagged:
            found = _spans(tagged, classes)
        with_events = [path for path, spans in found.items() if spans]
        names = ClipNames(out, form, [*found, *([] if tags == "-" else [tags])])
        for number, path in enumerate(with_events, start=1):
            clips = [
                Piece(max(0.0, onset - pad), offset + pad, names.place(path, label, onset, offset))
                for label, onset, offset in found[path]
            ]
            try:
                for clip in cut(path, clips):  # some may be written before a failure
                    written.append(os.path.basename(clip.place))
            except FileError as error:
                failed += 1
                progress.error(error)
            progress.progress(number, len(with_events))
        settle(out, written)
    of = f"{len(with_events) - failed} of {len(with_events)} recordings with events"
    click.echo(f"{printable(out)}: {len(written)} clips; {of} cut")
    end(failed, written)


def _spans(tagged, classes):
    """Of each recording (label, onset, offset): those of a class that touch are one."""
    from acdref.labels.events import merge_gaps

    found = {}
    for each in tagged:
        found.setdefault(each.path, []).extend(each.spans)
    for path, spans in found.items():
        labels = dict.fromkeys(label for label, *_ in spans if classes is None or label in classes)
        found[path] = [
            (label, *map(float, span))
            for label in labels
            for span in merge_gaps([ends for each, *ends in spans if each == label])
        ]
    return found
