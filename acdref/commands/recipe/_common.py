"""What recipes' commands share: options, the defaults of --quick, what is printed."""

import json
import os

import click

from acdref.commands._options import Number, threads_option

_CORRECTIONS = {
    "correct": ("T", "fp", "no_mask", "boundary"),
    "percentile-mask": ("q",),
    "percentile-correct": ("q",),
    "mean-threshold": ("statistic",),
}
_FLAGS = {
    "T": "--threshold-t",
    "fp": "--fp",
    "no_mask": "--no-mask",
    "boundary": "--boundary",
    "q": "--q",
    "statistic": "--statistic",
}

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, schema acdref.recipe/1.")
_OPTIONS = (
    click.option(
        "--correction",
        type=click.Choice(list(_CORRECTIONS)),
        default="correct",
        show_default=True,
        help="The rule by which scores change labels (`acdref relabel` has the same): Braun & Gamper's, "
        "or those that they compare it with.",
    ),
    click.option(
        "--threshold-t",
        "T",
        type=Number(0, 0.5),
        default=0.05,
        show_default=True,
        help="correct: the teacher is confident above 1 - T and below T.",
    ),
    click.option("--fp", is_flag=True, help="correct: wrongly set labels too, not only missing ones."),
    click.option("--no-mask", is_flag=True, help="correct: leave doubtful labels instead of masking them."),
    click.option(
        "--boundary",
        type=click.Choice(["closed", "literal"]),
        default="closed",
        show_default=True,
        help="correct: whether a score of exactly T or 1 - T masks.",
    ),
    click.option(
        "--q",
        type=Number(0, 1, max_open=True),
        default=0.05,
        show_default=True,
        help="percentile: the fraction of negatives.",
    ),
    click.option(
        "--statistic",
        type=click.Choice(["mean", "median", "p25", "p10", "p5"]),
        default="mean",
        show_default=True,
        help="mean-threshold: of the scores of a class's positives.",
    ),
    _JSON,
)


def recipe_options(command):
    """Decorator: the options that :func:`rules_of` takes, and --json."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def rules_of(correction, T, fp, no_mask, boundary, q, statistic):
    """Arguments of acdref.relabel_steps.Steps."""
    given = click.get_current_context().get_parameter_source
    for name, flag in _FLAGS.items():
        if given(name).name != "DEFAULT" and name not in _CORRECTIONS[correction]:
            raise click.UsageError(f"{flag} does not go with --correction {correction}")
    if correction == "correct":
        return {"correct": {"T": T, "fp": fp, "mask": not no_mask, "boundary": boundary}}
    if correction == "mean-threshold":
        return {"mean_threshold": {"statistic": statistic}}
    return {"percentile": {"q": q, "mask": correction == "percentile-mask"}}


def run_options(command):
    """Decorator: --threads and --json of the recipes whose training is not that of `acdref train`."""
    return threads_option(_JSON(command))


def quick_options(manifest, quick, options, defaults, brought=()):
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
    return options | {name: value for name, value in defaults.items() if source(name).name == "DEFAULT"}


def do(recipe, out, job, as_json, tell=None):
    """Run ``job(observer)`` and print what it found.

    ``tell(stages, out)`` gives the weights and the text from the stages' summaries; by default those of
    recipes that end with a student.
    """
    from acdref.commands._training import TerminalObserver
    from acdref.fit import Stopped
    from acdref.recipes.stages import SCHEMA

    ctx = click.get_current_context()
    with TerminalObserver() as observer:
        try:
            stages = job(observer)
        except Stopped:
            stages = None
    if stages is None:
        click.echo(f"acdref: stopped; the same command continues in {out}", err=True)
        ctx.exit(130)
    weights, text = (tell or _tell_student)(stages, out)
    if as_json:
        click.echo(
            json.dumps({"schema": SCHEMA, "recipe": recipe, "weights": weights, "stages": stages}, indent=2)
        )
    else:
        click.echo(f"{text}\n{weights}")


def _tell_student(stages, out):
    from acdref.commands.relabel import report_table

    lines = [report_table(stages["labels"])]
    for name in ("teacher", "student"):
        stage = stages[name]
        score = "" if stage["val_mAP"] is None else f", validation mAP {stage['val_mAP']:.3f}"
        lines.append(f"{name}: epoch {stage['best_epoch']} of {stage['epochs']}{score}")
    return os.path.join(out, f"{len(stages)}-student", "best.npz"), "\n".join(lines)
