"""What the commands with a CLAP teacher share: its words, and how its cosines become labels."""

import click

from acdref.commands._options import click_options
from acdref.options.labels import Decision

_FIRST = ("rule",)


def decision_options(command):
    """Decorator: the options that :func:`decision_of` takes."""
    rest = click_options(Decision, without=_FIRST, unset=True)
    return click_options(Decision, _FIRST)(rest(command))


def decision_of(rule, threshold, by_class, scale):
    """The Decision that the options mean."""
    if threshold is None:
        if rule != "softmax":
            raise click.UsageError(f"--rule {rule} needs --threshold")
        threshold = Decision.threshold
    return Decision(rule, threshold, by_class, scale)


def words_of(prompts, template, background):
    """The Prompts that the options of :class:`~acdref.options.labels.PromptOptions` mean."""
    from acdref.clap.prompts import Prompts, read_prompts

    return Prompts.of(read_prompts(prompts) if prompts else None, background, template)
