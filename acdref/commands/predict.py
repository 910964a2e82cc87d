"""`acdref predict`: tag recordings."""

import sys
from dataclasses import fields

import click

from acdref.commands._network import (
    given_paths,
    network_options,
    null_option,
    open_network,
    scheduler_option,
)
from acdref.commands._options import (
    CLASSES,
    PLACE,
    Listed,
    Number,
    click_options,
    given,
    option,
    telling_options,
)
from acdref.commands._output import check_output
from acdref.commands._progress import Progress, end, strays
from acdref.commands._stream import stream_of, stream_options
from acdref.commands._targets import FORMS, check_targets, opened_targets, targets_of
from acdref.commands._work import Watcher, chosen_classes, event_grid
from acdref.options.labels import EVENT_WINDOW, WINDOW, Decision, EventOptions


@click.command(short_help="Tag recordings, and say when a sound is heard.")
@click.argument("paths", metavar="PATH...", nargs=-1, type=PLACE)
@network_options
@option(
    "--window",
    Number(min=0.1),
    f"Seconds scored at a time; the network was trained on {WINDOW:g}, shorter windows tell better when. "
    f"Memory grows with it.  [default: {WINDOW:g}; for events {EVENT_WINDOW:g}]",
)
@option(
    "--hop", Number(min=0.01), "Seconds from one window to the next  [default: --window; for events half]"
)
@option("--events", bool, "Events, each with onset and offset, in place of windows.")
@option(
    "--threshold",
    Number(0, 1),
    "Only classes scored at or above it  [default: for events, and in a table without --top, that of the "
    "weights, or 0.5, but 0.99 in windows below 0.3 s, which are too short to know a sound by; else all "
    "classes]",
)
@click_options(Decision, ("by_class",))
@option("--top", click.IntRange(min=1), "Only so many classes of a window, those with the highest scores.")
@option(
    "--classes",
    Listed(),
    f"Only these classes, in this order; {CLASSES}  [default: all of the weights]",
    metavar="A,B,...",
)
@click_options(EventOptions)
@option(
    "--format form",
    FORMS,
    "[default: the ending of --out; else table on a terminal and csv elsewhere]",
    metavar="FORMAT",
)
@null_option
@option(
    "--out",
    PLACE,
    "Write there, FORMAT:PATH, or PATH whose ending names the format (.csv, .jsonl, .parquet, .tsv for "
    "dcase, .txt for a table): to a file, which appears when all is done; to a folder; or to a stream, as "
    "results come: -, /dev/stdout, a FIFO. May be given several times.",
    metavar="[FORMAT:]PATH",
    multiple=True,
)
@option(
    "--scores",
    PLACE,
    "Score the recordings of the manifest (or folder) PATH into OUT, .npz or .csv, for acdref relabel.",
    metavar="OUT",
)
@option("--root", PLACE, "scores: folder that the manifest's paths are relative to  [its own]")
@stream_options
@scheduler_option
@telling_options
def command(paths, weights, backend, threads, scheduler, window, hop, scores, root, out, pcm, mic, **options):
    """Tag the recordings PATH: files, folders (with their subfolders), or "-" for a list of paths on stdin,
    one a line, or with --null each with a NUL after it.

    Everything that libsndfile reads is accepted, at any rate, mono or not, and where ffmpeg is on the PATH
    what that adds (m4a, mp4, webm, wma, aac, ...). In folders, linked ones too, recordings are found by the
    endings of their names; a line on stderr says what was passed over. A file that ends early is used up to
    there, with a note.

    Results come window by window, or with --events recording by recording, while the work goes on. Memory is
    bounded by the window, not by the length of a recording, but for a kilobyte a window with --events. A
    bad file costs one error row and a line on stderr; the others are done all the same.

    \b
    Formats of windows (schema acdref.predict/1):
      table   for people: the tags of each window, the surest first
      csv     one row a window: schema, path, start, end, a column for each class, note, error
      jsonl   one object a line: schema, path, start, end, scores (by class), perhaps note; or schema, path,
              error
      parquet the columns of csv (needs pyarrow); parquet:FOLDER/ makes files of a million rows

    An event is a stretch of a recording in which the scores of one class stay at or above its threshold. The
    score of a moment is the mean over the windows that hold it, the peak of an event its highest.

    \b
    Formats of events (schema acdref.events/1); the first four with --events, the others always:
      table     for people: the events of each recording, in their order
      csv       one row an event: path, onset, offset, label, peak, mean, recording_seconds, note, error,
                schema; a recording without events has a row without
      jsonl     one object a recording: schema, path, seconds, events (label, onset, offset, peak, mean), ...
      parquet   the columns of csv
      dcase     for sed_eval: filename, onset, offset, event_label between tabs
      audacity  a folder, in it a label file for each recording
      raven     a folder of selection tables
      textgrid  a folder of Praat's files, with a tier for each class
      scores    a folder for sed_scores_eval: the scores of moments, not events

    The name of a file in a folder is that of the recording, with as much of its path before it as tells it
    from recordings before it in the same run; a file of that name from an earlier run is replaced.

    With --scores PATH is a manifest, or a folder, and each of its recordings gets one row in OUT: the mean
    over its windows, all classes, under the path that the manifest has; none if it fails. What is done is
    kept in OUT.part: stopped, even by kill -9, the same command continues. As backend, auto then means Numba
    (where installed) from the start.

    With --pcm sound comes through stdin as it is made, with --mic from a microphone: windows appear as soon
    as they are whole, for weeks if need be, in the same memory, and sound that was lost is said. As backend,
    auto then means Numba, loaded before the first window. Shorter windows that overlap answer sooner.

    \b
    Examples:
      acdref predict recordings/
      acdref predict --top 3 street.wav
      acdref predict --hop 5 --out tags.csv recordings/
      acdref predict --events --classes alarm,dog --class-threshold alarm=0.3 recordings/
      acdref predict --events --out events.csv --out audacity:labels/ recordings/; acdref summary events.csv
      find . -name '*.flac' | acdref predict --format jsonl - | jq .scores.dog
      find . -newer last.csv -print0 | acdref predict --null -
      ffmpeg -v error -i rtsp://camera/ -f s16le -ar 16000 -ac 1 - | acdref predict --pcm s16le:16000:1
      acdref predict --mic --window 4 --hop 1 --threshold 0.5
      acdref predict --weights run/best.npz --backend numba --threads 1 recordings/
      acdref predict --weights teacher/best.npz --scores scores.npz manifest.csv --root recordings
      acdref predict --scheduler tcp://10.0.0.1:8786 --out parquet:tags/ /archive/recordings/

    \b
    Exit codes: 0 success (also when the reader of the output closes it); 1 nothing could be scored (stderr
    says why); 2 wrong usage; 3 partial: some recordings failed, the others are done; 130 interrupted.
    """
    network = {"weights": weights, "backend": backend, "threads": threads, "scheduler": scheduler}
    read = (weights, *paths)
    targets = targets_of(out, options.pop("form"), options.pop("events")) if scores is None else []
    alone = {"null": options["null"], "scores": scores, "root": root, "scheduler": scheduler}
    alone["events"] = any(target.events for target in targets)
    stream = stream_of(paths, pcm, mic, [target.path for target in targets], **alone)
    if scores is None:
        check_targets(targets, *read)
        if root is not None:
            raise click.UsageError("--root goes with --scores")
        window, hop = _grid(window, hop, targets)
        _refuse_strays(targets, options["top"])
        _windows(paths, stream, network, window, hop, targets, **options)
    else:
        source = click.get_current_context().get_parameter_source
        for param in click.get_current_context().command.params:
            if param.name in ("out", *options) and source(param.name).name != "DEFAULT":
                raise click.UsageError(f"{param.opts[0]} does not go with --scores")
        if len(paths) > 1:
            raise click.UsageError("--scores takes one PATH: a manifest, or a folder")
        check_output(scores, *read, flag="--scores", endings=(".npz", ".csv"))
        _set(paths[0], root, network, window or WINDOW, hop, scores)


def _grid(window, hop, targets):
    """Seconds of a window, and from one to the next."""
    if not any(target.events for target in targets):
        return window or WINDOW, hop
    return event_grid(window, hop)


def _refuse_strays(targets, top):
    """Options that say nothing of what is written."""
    if top is not None and all(target.events for target in targets):
        raise click.UsageError("--top is for windows, not for events")
    for flag, of in given(EventOptions):
        if not any(target.events for target in targets):
            raise click.UsageError(f"{flag} goes with --{of}")


def _windows(paths, stream, network, window, hop, targets, threshold, top, by_class, classes, null, **rules):
    """Windows and events as they come."""
    known = None if stream or "-" in paths else paths
    paths, by_class = given_paths(paths, null), dict(by_class)
    rules = {field.name: rules[field.name] for field in fields(EventOptions)}
    with Progress() as progress:
        net, names = open_network(**network, progress=progress, repeatable=stream is not None)

        from acdref.predict.outputs import passed
        from acdref.predict.scoring import class_thresholds, tag_thresholds
        from acdref.predict.streams import predict_stream
        from acdref.predict.tagging import only, predict

        classes, columns = chosen_classes(classes, names, network["weights"])
        usual = tag_thresholds([net.thresholds[c] for c in columns]) if threshold is None else threshold
        thresholds = class_thresholds(classes, by_class, usual)
        # All scores for programs, and for people only tags: else the table would be too long.
        people = top is None and all(form == "table" for form, _, events in targets if not events)
        limit = thresholds if threshold is not None or people else None
        if limit is None and by_class:
            limit = class_thresholds(classes, by_class, 0.0)
        on_terminal = (
            any(form == "table" and path is None for form, path, _ in targets) and sys.stdout.isatty()
        )
        tally = Watcher(progress, on_terminal, known)
        if stream is None:
            results = predict(net, paths, window, hop, progress.log, strays, ends=True)
        else:
            results = predict_stream(net, *stream, window, hop, progress.error)
        results = only(tally.watch(results), columns)
        with opened_targets(targets, classes, limit, top, tally.lost) as (of_windows, of_events):
            for write in of_windows:
                results = passed(results, _clearing(progress, write))
            if of_events:
                from acdref.predict.events import timelines

                results = timelines(results, thresholds, **rules)
            for write in of_events:
                results = passed(results, _clearing(progress, write))
            for _ in results:
                pass
            tally.check()
    end(tally.failed, tally.windows)


def _clearing(progress, write):
    """Write where perhaps the moving line stands."""

    def cleared(result):
        progress.clear()
        write(result)

    return cleared


def _set(path, root, network, window, hop, scores):
    """One row for each recording of a set."""
    with Progress() as progress:
        net, classes = open_network(**network, progress=progress, repeatable=True)

        from acdref.predict.score_set import network_key, score_set
        from acdref.tables.manifest import open_recordings

        recordings = open_recordings(path, root, progress.log)

        told = {"on_failure": progress.left_out, "progress": progress.progress, "say": progress.log}
        told |= {"printed": strays, "heard": progress.heard}
        scored = score_set(net, recordings, classes, scores, network_key(net.net), window, hop, **told)
    click.echo(f"{scores}: scores of {scored} of {len(recordings)} recordings")
    end(scored < len(recordings), scored)
