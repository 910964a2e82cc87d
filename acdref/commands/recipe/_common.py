"""What recipes' commands share: options, the defaults of --quick, what is printed."""

import dataclasses
import os

import click

from acdref.commands._options import PATH, click_options, given, option, threads_option
from acdref.commands._output import check_folder
from acdref.commands._progress import TerminalObserver, say, tell
from acdref.options.labels import CORRECTIONS, RuleOptions
from acdref.remote import is_address

out_option = option("--out", PATH, "Folder of the recipe.", required=True)
_JSON = option("--json as_json", bool, "Print JSON, schema acdref.recipe/1.")
_CORRECTION = option(
    "--correction",
    CORRECTIONS,
    "The rule by which scores change labels (`acdref relabel` has the same): Braun & Gamper's, "
    "or those that they compare it with.",
    default="correct",
)


def manifest_and_out(command):
    """Decorator: MANIFEST, which --quick makes, and the recipe's folder."""
    return click.argument("manifest", required=False, type=PATH)(out_option(command))


def recipe_options(command):
    """Decorator: the options that :func:`rules_of` takes, and --json."""
    return _CORRECTION(click_options(RuleOptions)(_JSON(command)))


def rules_of(options):
    """Arguments of acdref.relabel.steps.Steps; takes what it needs out of the options."""
    correction = options.pop("correction")
    for flag, rule in given(RuleOptions):
        if not correction.startswith(rule):
            raise click.UsageError(f"{flag} does not go with --correction {correction}")
    rules = {field.name: options.pop(field.name) for field in dataclasses.fields(RuleOptions)}
    return RuleOptions(**rules).step(correction)


def run_options(command):
    """Decorator: --threads and --json of the recipes whose training is not that of `acdref train`."""
    return threads_option(_JSON(command))


def quick_options(of, manifest, quick, options, brought=()):
    """The options of the running command; with --quick others than usual are the default.

    `brought` are further options that only go with a manifest: --quick makes what they would name.
    """
    if quick == (manifest is not None):
        raise click.UsageError("give either MANIFEST or --quick")
    if not quick:
        return options
    for name in ("root", "fold", "val_fold", "val", *brought):
        if options.get(name) is not None:
            raise click.UsageError(f"--{name.replace('_', '-')} goes with MANIFEST")
    source = click.get_current_context().get_parameter_source
    fields = [field for field in dataclasses.fields(of) if "quick" in field.metadata]
    return options | {f.name: f.metadata["quick"] for f in fields if source(f.name).name == "DEFAULT"}


def do(recipe, out, job, as_json, threads, told=None):
    """Run ``job(observer)`` and print what it found.

    ``told(stages, out)`` gives the weights (None if there are none) and the text from the stages' summaries;
    by default those of recipes that end with a student.
    """
    from acdref.fit import Stopped
    from acdref.ops.threads import set_threads
    from acdref.recipes.stages import SCHEMA

    context = click.get_current_context()
    kinds = ((one.name, one.type) for one in context.command.params if one.name != "out")
    read = [context.params[name] for name, kind in kinds if isinstance(kind, click.Path)]
    for path in filter(is_address, read):
        raise click.UsageError(f"{path}: recipes read files of this machine (docs/stores.md)")
    check_folder(out, *(path for path in read if isinstance(path, str)))
    set_threads(threads)
    try:
        with TerminalObserver() as observer:
            stages = job(observer)
    except Stopped:
        say(f"acdref: stopped; the same command continues in {out}")
        raise click.exceptions.Exit(130) from None
    weights, text = (told or _told_student)(stages, out)
    facts = {"schema": SCHEMA, "recipe": recipe, "weights": weights, "stages": stages}
    tell(facts, lambda: text if weights is None else f"{text}\n{weights}", as_json)


def _told_student(stages, out):
    from acdref.commands.relabel import report_table

    lines = [report_table(stages["labels"])]
    for name in ("teacher", "student"):
        stage = stages[name]
        score = "" if stage["val_mAP"] is None else f", validation mAP {stage['val_mAP']:.3f}"
        lines.append(f"{name}: epoch {stage['best_epoch']} of {stage['epochs']}{score}")
    return os.path.join(out, f"{len(stages)}-student", "best.npz"), "\n".join(lines)
