"""`acdref predict`: tag recordings."""

import os
import sys

import click

from acdref.commands._network import given_paths, network_options, null_option, open_network
from acdref.commands._options import PATH, Number, option
from acdref.commands._output import STDOUT, check_output, is_stream, opened
from acdref.commands._progress import Progress, end, strays
from acdref.errors import AcdrefError

_FORMATS = ("table", "csv", "jsonl")
_ENDINGS = {".csv": "csv", ".jsonl": "jsonl", ".table": "table", ".txt": "table", "": "csv"}


@click.command(short_help="Tag recordings.")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@network_options
@option(
    "--window",
    Number(min=0.1),
    "Seconds scored at a time; the network was trained on 10. Memory grows with it.",
    default=10.0,
)
@option("--hop", Number(min=0.01), "Seconds from one window to the next  [default: --window]")
@option(
    "--threshold",
    Number(0, 1),
    "Only classes scored at or above it  [default: in a table without --top 0.5, but 0.99 in windows below "
    "0.3 s, which are too short to know a sound by; else all classes]",
)
@option("--top", click.IntRange(min=1), "Only so many classes, those with the highest scores.")
@option(
    "--format form", _FORMATS, "[default: the ending of --out; else table on a terminal and csv elsewhere]"
)
@null_option
@option(
    "--out",
    PATH,
    "Write to this file (.csv, .jsonl, or .txt for a table), which appears when all is done; or to a stream, "
    "as results come: -, /dev/stdout, a FIFO.",
)
@option(
    "--scores",
    PATH,
    "Score the recordings of the manifest (or folder) PATH into OUT, .npz or .csv, for acdref relabel.",
    metavar="OUT",
)
@option("--root", PATH, "scores: folder that the manifest's paths are relative to  [its own]")
def command(paths, weights, backend, threads, window, hop, scores, root, **options):
    """Tag the recordings PATH: files, folders (with their subfolders), or "-" for a list of paths on stdin,
    one a line, or with --null each with a NUL after it.

    Everything that libsndfile reads is accepted, at any rate, mono or not, and where ffmpeg is on the PATH
    what that adds (m4a, mp4, webm, wma, aac, ...). In folders, linked ones too, recordings are found by the
    endings of their names; a line on stderr says what was passed over. A file that ends early is used up to
    there, with a note.

    Results come window by window while the work goes on. Memory is bounded by the window, not by the length
    of a recording. A bad file costs one error row and a line on stderr; the others are done all the same.

    \b
    Formats (schema acdref.predict/1):
      table   for people: the tags of each window, the surest first
      csv     one row a window: schema, path, start, end, a column for each class, note, error
      jsonl   one object a line: schema, path, start, end, scores (by class), perhaps note; or schema, path,
              error

    With --scores PATH is a manifest, or a folder, and each of its recordings gets one row in OUT: the mean
    over its windows, all classes, under the path that the manifest has; none if it fails. What is done is
    kept in OUT.part: stopped, even by kill -9, the same command continues. As backend, auto then means Numba
    (where installed) from the start.

    \b
    Examples:
      acdref predict recordings/
      acdref predict --top 3 street.wav
      acdref predict --hop 5 --out tags.csv recordings/
      find . -name '*.flac' | acdref predict --format jsonl - | jq .scores.dog
      find . -newer last.csv -print0 | acdref predict --null -
      acdref predict --weights run/best.npz --backend numba --threads 1 recordings/
      acdref predict --weights teacher/best.npz --scores scores.npz manifest.csv --root recordings

    \b
    Exit codes: 0 success (also when the reader of the output closes it); 1 nothing could be scored (stderr
    says why); 2 wrong usage; 3 partial: some recordings failed, the others are done; 130 interrupted.
    """
    network = (weights, backend, threads)
    read = (weights, *paths)
    if scores is None:
        check_output(options["out"], *read, **_known(options["form"]), stream=True)
        if root is not None:
            raise click.UsageError("--root goes with --scores")
        _windows(paths, network, window, hop, **options)
    else:
        for name, value in options.items():
            if value is not None and value is not False:
                raise click.UsageError(f"--{'format' if name == 'form' else name} does not go with --scores")
        if len(paths) > 1:
            raise click.UsageError("--scores takes one PATH: a manifest, or a folder")
        check_output(scores, *read, flag="--scores", endings=(".npz", ".csv"))
        _set(paths[0], root, network, window, hop, scores)


def _windows(paths, network, window, hop, threshold, top, form, null, out):
    """Windows as they come."""
    paths, out = given_paths(paths, null), None if out in STDOUT else out
    form = _form_of(form, out)
    with Progress() as progress:
        net, classes = open_network(*network, progress.log if progress.live else None)

        from acdref.predict.formats import FORMATS
        from acdref.predict.scoring import tag_threshold
        from acdref.predict.tagging import predict

        if form == "table" and threshold is None and top is None:
            threshold = tag_threshold
        tally = _Tally(progress, form == "table" and out is None and sys.stdout.isatty())
        results = tally.watch(predict(net, paths, window, hop, progress.log, strays))
        with opened(out, for_people=form == "table") as stream:
            for text in FORMATS[form](results, classes, threshold, top):
                progress.clear()
                stream.write(text)
                stream.flush()
            tally.check()
    end(tally.failed, tally.windows)


def _set(path, root, network, window, hop, scores):
    """One row for each recording of a set."""
    with Progress() as progress:
        net, classes = open_network(*network, progress.log if progress.live else None, repeatable=True)

        from acdref.predict.score_set import network_key, score_set
        from acdref.tables.manifest import open_recordings

        recordings = open_recordings(path, root, progress.log)

        told = {"on_failure": progress.left_out, "progress": progress.progress, "say": progress.log}
        told["printed"] = strays
        scored = score_set(net, recordings, classes, scores, network_key(net.net), window, hop, **told)
    click.echo(f"{scores}: scores of {scored} of {len(recordings)} recordings")
    end(scored < len(recordings), scored)


def _known(form):
    """What an ending of --out may be: anything, if --format says what to write."""
    return {} if form else {"endings": tuple(_ENDINGS), "or_else": "; or name it by --format"}


def _form_of(form, out):
    """By --format, the name of the file, or what stdout is: for people on a terminal, else for programs."""
    if form is not None:
        return form
    if out is None:
        return "table" if sys.stdout.isatty() else "csv"
    return "csv" if is_stream(out) else _ENDINGS[os.path.splitext(out)[1].lower()]


class _Tally:
    """Counts results on their way, shows where the work is, names failures on stderr."""

    def __init__(self, progress, rows_on_terminal):
        self.progress = progress
        self.rows_on_terminal = rows_on_terminal  # where the error rows are to be seen anyway
        self.windows = self.failed = self.recordings = 0

    def watch(self, results):
        from acdref.predict.formats import printable
        from acdref.predict.tagging import Failure

        under_way = None  # the recording whose windows are coming
        for result in results:
            if isinstance(result, Failure):
                self.failed += 1
                self.recordings += result.path != under_way
                under_way = None
                if not self.rows_on_terminal:
                    self.progress.log(f"{result.path}: {result.error}")
            else:
                self.windows += 1
                self.recordings += result.start == 0
                under_way = result.path
                place = f"{printable(result.path)}  {result.end:.0f} s"
                self.progress.show(f"recording {self.recordings}  {place}")
            yield result

    def check(self):
        if not self.recordings:
            raise AcdrefError("no recordings were given")
        if self.failed and self.recordings > 1:
            self.progress.log(f"{self.failed} of {self.recordings} failed")
