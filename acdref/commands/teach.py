"""`acdref teach`: score recordings with CLAP against classes in words, and label them."""

import collections
import itertools

import click

from acdref.commands._network import (
    given_paths,
    null_option,
    one_blas_thread,
    open_cluster,
    scheduler_option,
)
from acdref.commands._options import PATH, PLACE, click_options, given, option, telling_options
from acdref.commands._output import check_output
from acdref.commands._progress import Progress, duration, end, say
from acdref.commands._teacher import decision_of, decision_options, words_of
from acdref.errors import AcdrefError
from acdref.options.labels import PRECISIONS, Decision, PromptOptions
from acdref.options.training import RecordingOptions
from acdref.remote import real


@click.command(short_help="Score and label recordings by classes in words, with CLAP.")
@click.argument("bundle", type=PATH)
@click.argument("paths", metavar="MANIFEST|PATH...", nargs=-1, required=True, type=PLACE)
@null_option
@option("--out", PLACE, "The scores, npz; the file appears when all is done.", required=True)
@click_options(RecordingOptions, ("root",))
@option("--labels", PLACE, "Also make labels: a manifest.", metavar="OUT.csv")
@click_options(PromptOptions)
@decision_options
@option("--precision", PRECISIONS, "[default: the first there is]")
@option("--workers", click.IntRange(min=1), "Recordings scored at a time  [default: one for each core]")
@scheduler_option
@option("--shard", str, "Only the I-th of N parts, for N machines.", metavar="I/N")
@option(
    "--reuse",
    PLACE,
    "Take over rows from scores of the same model and prompts; may be given several times.",
    multiple=True,
)
@telling_options
def command(
    bundle, paths, null, out, root, labels, prompts, template, background, rule, threshold, by_class, scale,
    precision, workers, scheduler, shard, reuse,
):  # fmt: skip
    """Compare recordings with words, using the CLAP model in the folder BUNDLE.

    BUNDLE is a public ONNX export of LAION's CLAP in Hugging Face layout, as it was downloaded, or what
    tools/export_clap.py made of a checkpoint. Recordings come from a manifest (CSV with the columns path and
    classes), a folder, single files, or "-" for a list of paths on stdin.

    The raw cosines are stored, so that labels can be made, and made otherwise, without running the model
    again: by --labels, or by `acdref relabel --scores OUT --zero-shot`. A recording longer than the model's
    window is heard in as many windows as cover it, and may last for days: what is too long to be held in
    memory is decoded twice.

    What is done is kept in OUT.part: stopped, even by kill -9, the same command continues to the same
    numbers, bit for bit, whatever --workers is. To split the work, run --shard 1/4 to 4/4 with an --out each,
    then all of it with --reuse for each of these.

    \b
    Examples:
      acdref teach clap-htsat-unfused/ recordings/ --out clap.npz --labels labels.csv
      acdref teach bundle/ manifest.csv --root recordings --out clap.npz
      acdref teach bundle/ field/ --prompts birds.txt --background silence --out birds.npz
      acdref relabel manifest.csv --scores clap.npz --zero-shot --rule z --threshold 3 --out labels.csv

    \b
    Exit codes: 0 success; 1 the job could not be done, or no recording could be used; 2 wrong usage; 3
    partial: some recordings failed, the others are done; 130 interrupted.
    """
    one_blas_thread()
    if scheduler and workers:
        raise click.UsageError("--workers does not go with --scheduler, which has its own")
    if given(Decision) and labels is None:
        raise click.UsageError("--rule, --threshold and --class-threshold go with --labels")
    decision = decision_of(rule, threshold, by_class, scale)
    from acdref.clap import teach
    from acdref.clap.teacher import ClapTeacher
    from acdref.ops.threads import get_threads

    words = words_of(prompts, template, background)
    _check_results(out, labels, decision, words)
    check_output(out, prompts, bundle, *paths, *reuse, endings=(".npz",))
    check_output(labels, prompts, bundle, *paths, *reuse, flag="--labels", endings=(".csv", ""))
    recordings = _recordings(paths, root, null)
    if shard is not None:
        recordings = teach.shard(recordings, *_part(shard))
    with Progress() as progress:
        note = labels and decision.note(tuple(words.classes), words.background)
        if note:
            progress.log(note)
        progress.show("opening the model")
        teacher = ClapTeacher.open(bundle, precision=precision, logit_scale=scale)
        if labels is not None and decision.rule == "softmax":
            teacher.scale  # noqa: B018 (complains now rather than after hours of work)
        told = {
            "note": lambda path, text: progress.log(f"{path}: {text}"),
            "progress": lambda *state: progress.show(_state(*state)),
            "say": progress.log,
            "on_failure": progress.error,
        }
        how = {"workers": workers or get_threads(), "reuse": reuse}
        how |= {"cluster": open_cluster(scheduler, progress) if scheduler else None}
        scores = teach.teach(teacher, recordings, words, out, **how, **told)
    used = int((scores.bytes >= 0).sum())
    click.echo(f"{out}: cosines of {used} of {len(recordings)} recordings with {len(scores.classes)} classes")
    if scores.meta["scale"] is None:
        cause = "the bundle does not tell the model's logit scale"
        say(f"acdref: {cause}: name --logit-scale for a softmax")
    if labels is not None and used:
        click.echo(_write_labels(labels, recordings, scores, decision))
    end(used < len(recordings), used)


def _check_results(out, labels, decision, words):
    """Complain now, rather than after hours of work, about what could not be written or decided."""
    if labels is not None and real(labels) == real(out):
        raise click.UsageError("--labels and --out are the same file")
    strange = [name for name in decision.by_class if name not in words.classes]
    if strange:
        raise AcdrefError(f"there is a threshold for {strange[0]!r}, which is no class")


def _recordings(paths, root, null):
    """A manifest or a folder, or single files as a manifest without labels."""
    import numpy as np

    from acdref.tables.manifest import Manifest, open_recordings
    from acdref.tables.walk import is_folder

    if len(paths) == 1 and (paths[0].lower().endswith((".csv", ".tsv")) or is_folder(paths[0])):
        return open_recordings(paths[0], root, Progress().log)
    if root is not None:
        raise click.UsageError("--root goes with a manifest")
    folder = next(filter(is_folder, paths), None)
    if folder is not None:
        raise click.UsageError(f"{folder}: a folder, or a manifest, is given alone")
    files = tuple(itertools.chain(*given_paths(paths, null)))
    if not files:
        raise AcdrefError("no recordings were given")
    twice = next((path for path, count in collections.Counter(files).items() if count > 1), None)
    if twice is not None:
        raise AcdrefError(f"{twice} is given twice")
    return Manifest("the command line", "", files, np.zeros((len(files), 0)), ())


def _part(text):
    part, slash, parts = text.partition("/")
    if not (slash and part.isdecimal() and parts.isdecimal()):
        raise click.UsageError(f"--shard {text}: not of the form I/N")
    return int(part), int(parts)


def _state(done, count, left, rate):
    if rate is None:
        return f"{done} of {count}"
    return f"{done} of {count}  {rate:.1f} recordings/s  {duration(left)} left"


def _write_labels(path, recordings, scores, decision):
    """Write a manifest of the recordings that could be used; returns a line about it."""
    from dataclasses import replace

    import numpy as np

    from acdref.tables.manifest import write_manifest

    used = np.flatnonzero(scores.bytes >= 0)
    y = decision.labels(scores)[used]
    # Columns such as the fold stay; the labels are others.
    bare = replace(recordings, labels=np.zeros((len(recordings), 0)), classes=())
    write_manifest(replace(bare.select(used), labels=y, classes=scores.classes), path)
    none = int((y == 0).all(axis=1).sum())
    return f"{path}: {y.sum() / len(y):.2f} labels a recording; {none} of {len(y)} have none"
