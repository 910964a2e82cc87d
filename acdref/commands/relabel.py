"""`acdref relabel`: correct, mask, expand, map and frame the labels of a whole file."""

import json
import os
from dataclasses import asdict, fields
from functools import partial

import click

from acdref.commands._network import open_cluster
from acdref.commands._options import (
    CLASSES,
    PATH,
    PLACE,
    Listed,
    click_options,
    given,
    option,
    telling_options,
)
from acdref.commands._output import check_folder, check_output
from acdref.commands._progress import Progress, end, tell
from acdref.commands._teacher import decision_of, decision_options
from acdref.errors import FileError
from acdref.options.labels import FORMATS, STATISTICS, UNKNOWN, Decision, FrameOptions, RuleOptions
from acdref.remote import is_address, real

_STEP_FLAGS = (
    "--expand", "--mask-children", "--map-classes", "--zero-shot", "--correct", "--percentile",
    "--mean-threshold", "--frame",
)  # fmt: skip


class _Steps(click.Command):
    """Steps are options, since their order is not the user's choice: say so to who gives one as a word."""

    def parse_args(self, ctx, args):
        if args and f"--{args[0]}" in _STEP_FLAGS and not os.path.exists(args[0]):
            raise click.UsageError(f"steps are options: acdref relabel --{args[0]} ...", ctx)
        return super().parse_args(ctx, args)


@click.command(cls=_Steps, short_help="Apply label rules to a label file.")
@click.argument("sources", metavar="INPUT...", nargs=-1, required=True, type=PLACE)
@option(
    "--out",
    PLACE,
    "The new file; it appears when all is done. Or a folder (that is there, or ends in /), for one new file "
    "an INPUT, of its name.",
    metavar="OUTPUT",
)
@option("--check only_check", bool, "Only validate the files and say what they hold.")
@option("--format form", FORMATS, "Of INPUT  [default: recognised]")
@option("--to", ["manifest"], "Of OUTPUT  [default: that of INPUT; framed by --frame]")
@option(
    "--file-pattern",
    str,
    "--to manifest: names of the clips' files, such as '{id}_{start}.flac' (see below)  [default: {id}]",
    metavar="PATTERN",
)
@option(
    "--root", PATH, "file-pattern: the folder of these files; clips without file are left out, and counted."
)
@option("--unknown-out", PLACE, "audioset, fsd50k: a second file, of the unknown labels.")
@option("--ontology", PLACE, "AudioSet's ontology.json; its nodes are the classes.")
@option("--vocabulary", PLACE, "class_labels_indices.csv: the classes (kept of an ontology's).")
@option(
    "--classes",
    Listed(),
    f"The classes; {CLASSES}  [default: the 11 super-classes if all that occur are among them, else those "
    "that occur]",
    metavar="A,B,...",
)
@option(
    "--unknown",
    UNKNOWN,
    "Labels that are no class: refuse the file, leave them out, or make each a class of its own.",
    default="raise",
)
@option("--expand", bool, "Add all ancestors of the labels (PEL). Needs --ontology.")
@option(
    "--mask-children",
    bool,
    "Add the ancestors; descendants that annotators may have left out become unknown (PE-CML).",
)
@option("--superclasses --map-classes", PLACE, "CSV of super-classes to map to.")
@option("--scores", PLACE, "The teacher's scores: npz, csv or jsonl.")
@option("--correct", bool, "Correct and mask labels that the teacher contradicts.")
@click_options(RuleOptions, ("T", "fp", "no_mask", "boundary"))
@option(
    "--percentile",
    ["mask", "correct"],
    "Mask (or set to 1) the negatives with the highest scores of each class.",
)
@click_options(RuleOptions, ("q",))
@option(
    "--mean-threshold",
    STATISTICS,
    "Set negatives scored above this statistic of their class's positives to 1.",
)
@option(
    "--candidates",
    ["all", "psla"],
    "mean-threshold: psla: only children and ancestors of the original labels.",
    default="all",
)
@option("--zero-shot", bool, "Labels by the cosines of `acdref teach`, in place of those of INPUT.")
@decision_options
@option("--frame framed", bool, "Events to frames, PRESENT or NOT_PRESENT (strong to framed).")
@click_options(FrameOptions, ("duration", "frame", "hop"))
@option(
    "--absent",
    PLACE,
    "frame: TSV of clip and label: classes that annotators marked absent (explicit "
    "negatives). In the order of INPUT.",
)
@click_options(FrameOptions, ("guard",))
@option(
    "--scheduler",
    str,
    "With a folder as OUTPUT: have it done, file by file, by the workers of a Dask scheduler, "
    "tcp://HOST:8786, or by N processes here, local:N. They open the files by their paths.",
    metavar="ADDRESS",
)
@option(
    "--json as_json",
    bool,
    "Print JSON, schema acdref.relabel/1; of several files, or into a folder, a line for each.",
)
@telling_options
def command(
    sources,
    out,
    only_check,
    form,
    to,
    unknown_out,
    classes,
    scores,
    absent,
    file_pattern,
    root,
    scheduler,
    as_json,
    **options,
):
    """Apply label rules to the label file INPUT and write OUTPUT; say what changed, class by class.

    Several INPUTs are done one by one: thresholds by class are each file's own, and one that is wrong stops
    none of the others.

    Whatever the order of the options, the steps are done in this one: --expand or --mask-children; the
    mapping (--superclasses, or with --ontology --vocabulary); --zero-shot, or else --correct, --percentile
    and --mean-threshold; --frame. Thresholds by class count all clips, with the labels that the step before
    left. Memory does not grow with the number of clips, but for the cosines of `acdref teach`.

    \b
    Formats of INPUT, recognised by the first line:
      audioset  segments CSV: # comments, then YTID, start, end, "label,..."
                (or with a header: YTID,start_seconds,end_seconds,positive_labels)
      fsd50k    ground truth CSV: fname,labels,mids[,split]
      manifest  CSV: path,classes[,unknown,...], labels separated by ";"
                ESC-50: filename,...,category       UrbanSound8K: slice_file_name,...,class
                FSDKaggle: fname,labels or label    DESED, weak: filename,event_labels
                TAU: filename,scene_label           others: filename (file_name),label
      strong    TSV or CSV with header: clip, onset, offset, label; under names
                like filename, onset, offset, event_label in any order, with others
      framed    TSV or CSV with header: clip, start, end, label, PRESENT or NOT_PRESENT

    All commands read manifests in these layouts; what is written has path and classes. In a manifest a class
    that holds a ";" stands in quotes: "rain; wind";dog. A list of classes in a file has one a line.

    Labels may be ids or display names. Only manifests and framed labels hold unknown labels; for audioset and
    fsd50k, name a second file (--unknown-out) that lists them in place of the positive ones, or write a
    manifest (--to manifest). Events are expanded and mapped one by one, at their times.

    --file-pattern: {id}; of AudioSet's segments also {start} and {end} in seconds (30, or 30.5; {start:06d}
    is 000030, in both cases; {start:.3f} 30.000) and {start_ms}, {end_ms}. As downloads name them: Y{id}.wav
    (audioset_tagging_cnn), {id}_{start_ms}_{end_ms}.flac (audiosetdl), {id}_{start:.3f}.wav
    (audioset-processing), Y{id}_{start:.3f}_{end:.3f}.wav (DCASE). Folders may stand before.

    --scores: npz with the arrays ids (or paths), classes and scores; CSV with a column path (id, fname,
    filename) and one per class; or what `acdref predict` writes as csv or jsonl (windows are averaged). In
    the order of INPUT; further rows may stand between. A class without score is left as it is. Or npz with
    the cosines of `acdref teach`: --zero-shot makes labels of them, the other steps use their softmax.

    \b
    Examples:
      acdref relabel eval_segments.csv --ontology ontology.json --expand --out expanded.csv
      acdref relabel eval_segments.csv --ontology ontology.json --vocabulary class_labels_indices.csv \\
          --mask-children --to manifest --out masked.csv
      acdref relabel eval_segments.csv --to manifest --file-pattern 'Y{id}.wav' --root eval --out eval.csv
      acdref relabel manifest.csv --scores tags.csv --correct --fp --out corrected.csv
      acdref relabel manifest.csv --scores clap.npz --zero-shot --threshold 0.3 --out labels.csv
      acdref relabel audioset_eval_strong.tsv --frame --out framed.tsv
      acdref relabel dev.csv --check
      acdref relabel segments/*.csv --ontology ontology.json --expand --out expanded/ --scheduler local:4

    \b
    Exit codes: 0 success; 1 a file or the steps do not fit (one line on stderr names file, line and cause;
    nothing was written); 2 wrong usage; 3 partial: of several files, some do not fit; 130 interrupted.
    """
    if (out is None) != only_check:
        raise click.UsageError("give either --out OUTPUT or --check")
    _refuse_pattern(file_pattern, root, to, only_check)
    asked = _steps(**options)
    how = {"scores": scores, "absent": absent, "format": form, "classes": classes}
    how |= {"file_pattern": file_pattern, "root": root}
    read = (scores, absent, *(asked[name] for name in ("ontology", "vocabulary", "superclasses")))
    whole = out is not None and _is_folder(out)
    _refuse_several(sources, whole, out, unknown_out, scheduler, only_check)
    if whole:
        _each(sources, out, read, asked, how | {"to": to}, scheduler, as_json)
    elif only_check:
        _check(sources, asked, how, as_json)
    else:
        for flag, output in (("--out", out), ("--unknown-out", unknown_out)):
            check_output(output, sources[0], *read, flag=flag, endings=_ENDINGS)
        _one(sources[0], out, asked, how | {"to": to, "unknown_out": unknown_out}, as_json)


_ENDINGS = (".csv", ".tsv", ".txt", "")


def _is_folder(path):
    """Whether an output is one, or is to be."""
    return path.endswith(("/", os.sep)) or os.path.isdir(path)


def _refuse_several(sources, whole, out, unknown_out, scheduler, only_check):
    if scheduler and not whole:
        raise click.UsageError("--scheduler goes with a folder as --out, such as relabelled/")
    if scheduler and out.startswith("memory:"):
        raise click.UsageError(f"--scheduler does not go with {out}, which each worker has for itself")
    if whole and unknown_out is not None:
        raise click.UsageError("--unknown-out goes with one file as --out; manifests hold unknown labels")
    if len(sources) > 1 and not whole and not only_check:
        raise click.UsageError(f"several files need a folder as --out, such as relabelled/, not {out}")


def _one(source, out, asked, how, as_json):
    from acdref.relabel.job import relabel
    from acdref.relabel.steps import read_steps

    with Progress() as progress:
        how |= {"say": progress.log, "progress": lambda n: progress.show(f"{n} clips")}
        report = relabel(source, out, read_steps(**asked), **how).as_dict()
    tell({"file": source, "out": out} | report, lambda: report_table(report), as_json)


def _check(sources, asked, how, as_json):
    from acdref.relabel.files import telling
    from acdref.relabel.job import check
    from acdref.relabel.steps import read_steps

    steps = read_steps(**asked)
    if len(sources) == 1:
        result = check(sources[0], steps, say=Progress().log, **how)
        tell({"file": sources[0]} | result, lambda: _summary(sources[0], result), as_json)
        return
    with Progress() as progress:
        told = ((one, telling(one, partial(check, one, steps, **how))) for one in sources)
        _tell_each(told, len(sources), _summary, as_json, progress)


def _each(sources, folder, read, asked, how, scheduler, as_json):
    """Relabel files one by one into a folder."""
    refused = _check_names(sources, folder, read)
    from acdref.files import make_folder
    from acdref.relabel.files import output_of, relabel_files

    with Progress() as progress:
        cluster = open_cluster(scheduler, progress) if scheduler else None
        done = relabel_files([one for one in sources if one not in refused], folder, asked, how, cluster)
        if not is_address(folder):
            make_folder(folder)

        def told():
            yield from refused.items()
            for source, about in done:
                if "report" in about:
                    about["report"] = {"out": output_of(source, folder)} | about["report"]
                yield source, about

        _tell_each(told(), len(sources), _line, as_json, progress)


def _tell_each(told, count, line, as_json, progress):
    """Print what comes of several files, and end with the exit code."""
    from acdref.relabel.report import SCHEMA

    failed = 0
    for number, (source, about) in enumerate(told, 1):
        for note in about["notes"]:
            progress.log(note)
        if "error" in about:
            failed += 1
            progress.error(about["error"])
        progress.clear()
        if as_json:
            click.echo(json.dumps({"file": source} | about.get("report", {"schema": SCHEMA} | about)))
        elif "report" in about:
            click.echo(line(source, about["report"]))
        progress.show(f"{number} of {count} files")
    end(failed, done=failed < count)


def _check_names(sources, folder, read):
    """Refuse what would replace an input, or another's output; tell of files without a place there."""
    from acdref.files import refuse_inputs
    from acdref.relabel.files import output_of

    check_folder(folder, *sources, *read)
    targets, refused = {}, {}
    inputs = {real(path): path for path in (*sources, *filter(None, read))}
    for source in sources:
        out = output_of(source, folder)
        refuse_inputs(out, inputs.get(real(out)))
        if out in targets:
            raise FileError(source, f"has the name of {targets[out]}, and both would be {out}")
        targets[out] = source
        try:
            if is_address(folder) or os.path.isdir(folder):
                check_output(out)
        except FileError as error:
            refused[source] = {"notes": [], "error": f"{source}: {error}"}
    return refused


def _line(source, report):
    from acdref.predict.formats import printable

    each = report["per_clip"]
    told = f"per clip {each['before']:.4f} labels before, {each['after']:.4f} after"
    return f"{printable(report['out'])}: {report['clips']} clips; {told}"


def _refuse_pattern(pattern, root, to, only_check):
    """A pattern that names no files is wrong usage, wherever it would show otherwise."""
    from acdref.errors import OptionError
    from acdref.tables.file_names import FilePattern

    if pattern is None:
        if root is not None:
            raise click.UsageError("--root goes with --file-pattern")
        return
    if to is None and not only_check:
        raise click.UsageError("--file-pattern goes with --to manifest")
    try:
        FilePattern(pattern)
    except OptionError as error:
        raise click.UsageError(f"--file-pattern {error}") from None


def _steps(**options):
    """The steps that the options name, as :func:`acdref.relabel.steps.read_steps` takes them."""
    _refuse_strays(options)
    rules, frame, decision = (
        {field.name: options[field.name] for field in fields(kind) if field.name in options}
        for kind in (RuleOptions, FrameOptions, Decision)
    )
    steps = RuleOptions(**rules).step("correct") if options["correct"] else {}
    if options["percentile"]:
        steps |= RuleOptions(**rules).step(f"percentile-{options['percentile']}")
    if options["mean_threshold"]:
        psla = options["candidates"] == "psla"
        steps["mean_threshold"] = {"statistic": options["mean_threshold"], "psla": psla}
    kept = ("ontology", "vocabulary", "superclasses", "expand", "mask_children", "unknown")
    return steps | {
        "frame": frame if options["framed"] else None,
        "zero_shot": asdict(decision_of(**decision)) if options["zero_shot"] else None,
        "logit_scale": None if options["zero_shot"] else decision["scale"],
        **{name: options[name] for name in kept},
    }


def _refuse_strays(options):
    """An option of a step that is not asked for is a mistake, not something to pass over."""
    steps = options | {"frame": options["framed"]}
    strays = given(RuleOptions, Decision, FrameOptions)
    if click.get_current_context().get_parameter_source("candidates").name != "DEFAULT":
        strays.append(("--candidates", "mean-threshold"))
    for flag, step in strays:
        if not steps[step.replace("-", "_")]:
            raise click.UsageError(f"{flag} goes with --{step}")


def _summary(source, result):
    lines = [
        f"{source}: {result['format']}, {result['clips']} clips, {result['labels']} labels of "
        f"{result['classes']} classes, {result['per_clip']:.4f} per clip, {result['unknown']} unknown"
    ]
    if result["not_classes"]:
        lines.append(f"no known class: {', '.join(result['not_classes'])}")
    if result["scored"]:
        lines.append(f"scores for {result['scored']} classes")
    return "\n".join(lines)


_COLUMNS = ("before", "after", "added", "removed", "masked", "settled", "unknown_after")
_HEADINGS = ("before", "after", "0->1", "1->0", "->unknown", "unknown->", "unknown")


def report_table(report: dict) -> str:
    """What relabelling changed, class by class, as a table for a terminal.

    Parameters
    ----------
    report : dict
        What :meth:`acdref.relabel.report.Report.as_dict` gives.

    Returns
    -------
    str
    """
    from acdref.predict.formats import printable

    rows = [(printable(row["name"]), row) for row in report["classes"].values()]
    width = max([len(name) for name, _ in rows] + [len("class")])
    lines = [f"{'class':<{width}}" + "".join(f"{text:>11}" for text in _HEADINGS)]
    for name, row in [*rows, ("total", report["total"])]:
        lines.append(f"{name:<{width}}" + "".join(f"{row[key]:>11}" for key in _COLUMNS))
    each = report["per_clip"]
    lines.append(
        f"{report['clips']} clips; per clip {each['before']:.4f} labels before, {each['after']:.4f} after, "
        f"{each['unknown_before']:.4f} and {each['unknown_after']:.4f} unknown"
    )
    if report["labels_left_out"]:
        lines.append(f"{report['labels_left_out']} labels that are no class were left out")
    if report.get("events_without_frame"):
        lines.append(f"{report['events_without_frame']} events gave no frame")
    if report["absent_overruled"]:
        lines.append(f"explicit negatives overruled by events: {report['absent_overruled']}")
    return "\n".join(lines)
