"""`acdref compare`: runs of training side by side."""

import os
import sys

import click

from acdref.commands._options import PATH, option, telling_options
from acdref.commands._output import check_output, opened
from acdref.commands._progress import Progress, end

_FORMATS = ("table", "csv", "json")


@click.command(short_help="Set runs of training side by side.")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=PATH)
@option("--format form", _FORMATS, "[default: table on a terminal, csv elsewhere]")
@option("--out", PATH, "A page of their curves too, one over the other: a file that ends in .html.")
@telling_options
def command(runs, form, out):
    """Set the runs in the folders RUN (--out of `acdref train`) side by side: what each has reached in the
    epoch whose weights are kept, average precision by class, and the options in which they differ.

    Runs that have not ended count as far as they are. Each run's own curves are in curves.html in its folder.

    \b
    Formats:
      table  for people; of more than 20 classes, those in which the runs differ most
      csv    a row a run: run, epochs, planned, epoch (the one kept), its measures as metrics.csv names them,
             option.NAME for options that differ, schema
      json   schema (acdref.compare/1), runs (run, epochs, planned, epoch, figures, ap, options), differ

    \b
    Examples:
      acdref compare runs/a runs/b
      acdref compare runs/* --out compare.html
      acdref compare runs/* --format json | jq '.runs | max_by(.figures.val_mAP).run'

    \b
    Exit codes: 0 success; 1 no run could be read (stderr says why); 2 wrong usage; 3 partial: some were left
    out, one line on stderr for each; 130 interrupted.
    """
    from acdref.report.curves import PAGE
    from acdref.tables.history import CONFIG, METRICS, read_history

    read = [os.path.join(run, name) for run in runs for name in (CONFIG, METRICS, PAGE)]
    check_output(out, *runs, *read, endings=(".html", ".htm"))
    form = form or ("table" if sys.stdout.isatty() else "csv")

    from acdref.compare import FORMATS, notes
    from acdref.errors import FileError

    found, failed = [], 0
    with Progress() as progress:
        for run in runs:
            try:
                found.append(read_history(run))
            except FileError as error:
                failed += 1
                progress.left_out(error)
        for note in notes(found) if found else ():
            progress.log(note)
    if found:
        with opened(None, for_people=form == "table") as stream:
            stream.write(FORMATS[form](found))
        if out is not None:
            from acdref.report.curves import write_curves

            write_curves(out, found)
    end(failed, found)
