"""What the commands that train share: their options."""

from dataclasses import replace

import click

from acdref.commands._options import click_options, threads_option
from acdref.options.augmentation import Strengths
from acdref.options.training import PRESETS, TrainOptions

_OWN = ("low_pass", "equaliser", "speed")  # strengths in place of those that --augment names
_PRESET = ("preset_name",)
_LAST = ("net", "width", "init", "workers")


def training_options(command):
    """Decorator: the options that :func:`options_of` takes, and --threads."""
    for options in (
        threads_option,
        click_options(TrainOptions, _LAST),
        click_options(Strengths, _OWN, unset=True),
        click_options(TrainOptions, without=_PRESET + _LAST),
        click_options(TrainOptions, _PRESET, is_eager=True, callback=_take_preset),
    ):
        command = options(command)
    return command


def _take_preset(context, parameter, name):
    """What is not given has the preset's value, on a help page too."""
    context.default_map = PRESETS[name]
    return name


def options_of(manifest, augment, **options):
    """The TrainOptions that the options of the command line mean."""
    from acdref.augment import AUGMENTATIONS

    if options["mixing"] == "mixup" and options["mix_max"] > 2:
        raise click.UsageError("--mixing mixup is of two sequences: --mix-max 2, or 1 for none")
    own = {name: options.pop(name) for name in _OWN}
    own = {name: value for name, value in own.items() if value is not None}
    return TrainOptions(manifest, augment=replace(AUGMENTATIONS[augment], **own), **options)
