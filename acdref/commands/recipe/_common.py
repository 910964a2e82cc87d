"""What recipes' commands share: options, the defaults of --quick, what is printed."""

import json
import os

import click

from acdref.commands._numbers import Number

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
_RUN = (
    click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True),
    click.option(
        "--threads", type=click.IntRange(min=1), help="Threads of the network  [default: all cores]"
    ),
    _JSON,
)

_NETWORK = (
    click.option(
        "--net",
        type=click.Choice(["acdnet", "vgg-gap", "conv1d", "resnet50", "mobilenetv2"]),
        default="acdnet",
        show_default=True,
    ),
    click.option(
        "--width",
        type=Number(min=0, min_open=True),
        default=1.0,
        show_default=True,
        help="So many times the paper's channels.",
    ),
    click.option(
        "--init", type=click.Path(), metavar="WEIGHTS", help="Weights to start from, in place of --net."
    ),
)

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


def network_options(command):
    """Decorator: --net, --width and --init of the recipes whose training is not that of `acdref train`."""
    for option in reversed(_NETWORK):
        command = option(command)
    return command


def run_options(command):
    """Decorator: --seed, --threads and --json of the same recipes."""
    for option in reversed(_RUN):
        command = option(command)
    return command


def numbers(fit, cause):
    """Callback of an option "A,B,...": the numbers, all of which must `fit`; `cause` says what they must."""

    def convert(ctx, option, text):
        try:
            found = () if text is None else tuple(float(part) for part in text.split(","))
        except ValueError:
            raise click.BadParameter(f"{text!r} is no list of numbers") from None
        if not all(map(fit, found)):
            raise click.BadParameter(cause)
        return found

    return convert


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
