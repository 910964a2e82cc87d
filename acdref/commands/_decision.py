"""What the commands that make labels of a teacher's cosines share: options."""

import click

from acdref.commands._options import Number

_OPTIONS = (
    click.option(
        "--rule",
        type=click.Choice(["softmax", "cosine", "z"]),
        default="softmax",
        show_default=True,
        help="What a threshold is for: the softmax over the classes (Braun & Gamper), the cosine, or its "
        "robust z-score over all recordings. The last two can say that nothing is there.",
    ),
    click.option(
        "--threshold",
        type=Number(),
        help="A label is 1 above it  [default: 0.2 for the softmax; needed for the others]",
    ),
    click.option(
        "--class-threshold",
        "class_thresholds",
        metavar="CLASS=NUMBER",
        multiple=True,
        help="The threshold of one class; may be given several times.",
    ),
    click.option(
        "--logit-scale",
        type=Number(min=0, min_open=True),
        help="The model's exp(logit_scale), where its files do not tell.",
    ),
)


def decision_options(command):
    """Decorator: the options that :func:`decision_of` takes."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def decision_of(rule, threshold, class_thresholds, logit_scale):
    """The Decision that the options mean."""
    from acdref.clap.scores import Decision

    if threshold is None:
        if rule != "softmax":
            raise click.UsageError(f"--rule {rule} needs --threshold")
        threshold = 0.2
    by_class = {}
    for text in class_thresholds:
        name, equals, number = text.rpartition("=")
        try:
            by_class[name.strip()] = float(number)
        except ValueError:
            equals = ""
        if not equals:
            raise click.UsageError(f"--class-threshold {text}: not of the form CLASS=NUMBER")
    return Decision(rule, threshold, by_class, logit_scale)
