"""`acdref summary`: what was found in recordings, in sum."""

import sys

import click

from acdref.commands._options import CLASSES, PLACE, Listed, Number, click_options, option
from acdref.commands._output import opened
from acdref.commands._progress import Progress
from acdref.commands._tags import opened_tags, thresholds_option
from acdref.options.labels import Decision

_FORMATS = ("table", "csv", "json")


@click.command(short_help="Say which recordings have which sounds, how long and when.")
@click.argument("tags", metavar="TAGS", type=PLACE)
@option("--classes", Listed(), f"Only these classes; {CLASSES}  [default: all]", metavar="A,B,...")
@option(
    "--threshold",
    Number(0, 1),
    "Only windows scored, and events whose peak is, at or above it  [default: windows --weights', but 0.99 "
    "below 0.3 s; all events]",
)
@click_options(Decision, ("by_class",))
@thresholds_option
@option("--format form", _FORMATS, "[default: table on a terminal, csv elsewhere]")
def command(tags, classes, threshold, by_class, weights, form):
    """Sum up TAGS, the CSV or JSONL file of `acdref predict`, with or without --events; "-" is stdin.

    For each class: the recordings in which it is heard, the events and their seconds in all. For each class
    in a recording: events, seconds, when the first begins and the last ends. Windows that touch or overlap
    count as one event. Recordings stand in their order, without those in which none of the classes is heard.

    \b
    Formats:
      table  for people: the classes, then the recordings
      csv    a row for each class in each recording: path, label, events, seconds, first, last, schema
      json   schema (acdref.summary/1), recordings, silent, failed, classes, files (the columns of csv)

    \b
    Examples: which recordings have alarms, and when?
      acdref predict --events --out events.csv recordings/
      acdref summary --classes alarm events.csv
      acdref predict --events recordings/ | acdref summary --format table -
      acdref summary --weights acdnet tags.csv           windows at the thresholds of the weights, as tags

    \b
    Exit codes: 0 success; 1 TAGS cannot be read (one line on stderr says why); 2 wrong usage;
    130 interrupted.
    """
    form = form or ("table" if sys.stdout.isatty() else "csv")

    from acdref.predict.summary import FORMATS, summarise

    with opened_tags(tags, classes, threshold, dict(by_class), Progress(), weights) as tagged:
        summary = summarise(tagged, classes)
    with opened(None, for_people=form == "table") as out:
        out.write(FORMATS[form](summary))
