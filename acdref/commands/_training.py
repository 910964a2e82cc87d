"""What the commands that train share: options, what is told on the terminal."""

import signal
import sys
import time
from dataclasses import replace

import click

from acdref.commands._numbers import Number

_RECORDINGS = (
    click.option(
        "--root",
        type=click.Path(),
        help="Folder that the manifest's paths are relative to  [default: its own]",
    ),
    click.option("--classes", metavar="A,B,...", help="Classes and their order  [default: those that occur]"),
    click.option("--fold", help='Folds to train on, such as "1,2,3"  [default: all not used for validation]'),
)

_VALIDATION = (
    click.option("--val-fold", help="Folds to validate on."),
    click.option("--val", type=click.Path(), help="Another manifest to validate on (same root)."),
)

_OPTIONS = (
    *_RECORDINGS,
    *_VALIDATION,
    click.option("--epochs", type=click.IntRange(min=1), default=100, show_default=True),
    click.option(
        "--epoch-size",
        type=click.IntRange(min=1),
        default=10_000,
        show_default=True,
        help="Sequences an epoch.",
    ),
    click.option(
        "--batch", type=click.IntRange(min=1), default=8, show_default=True, help="Sequences a step."
    ),
    click.option(
        "--lr",
        type=Number(min=0, min_open=True),
        default=1e-4,
        show_default=True,
        help="Learning rate.",
    ),
    click.option(
        "--schedule",
        type=click.Choice(["plateau", "cosine"]),
        default="plateau",
        show_default=True,
        help="plateau: halve when validation mAP has not risen for --patience epochs (the paper's); "
        "cosine: warm up, then fall to 0 (for short runs, with --lr 2e-3).",
    ),
    click.option("--patience", type=click.IntRange(min=0), default=150, show_default=True, help="Epochs."),
    click.option("--weight-decay", type=Number(min=0), default=0.01, show_default=True),
    click.option(
        "--average",
        type=Number(0, 1, max_open=True),
        default=0.0,
        show_default=True,
        help="Decay of a running average of the weights, which is then validated and kept; 0: off.",
    ),
    click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True),
    click.option(
        "--mix-max",
        type=click.IntRange(min=1),
        default=2,
        show_default=True,
        help="Most sequences mixed into one.",
    ),
    click.option(
        "--mixing",
        type=click.Choice(["or", "mixup"]),
        default="or",
        show_default=True,
        help="or: the sum, labelled with all that is in it.  mixup: the weighted mean of two, and of "
        "their labels (--mix-max 2).",
    ),
    click.option(
        "--seconds",
        type=Number(2.1, 3600),
        default=10.0,
        show_default=True,
        help="Length of a sequence; shorter ones are faster where recordings are short.",
    ),
    click.option(
        "--fill",
        type=click.Choice(["concatenate", "repeat"]),
        default="concatenate",
        show_default=True,
        help="Fill a sequence with several recordings (the paper's way), or repeat one: better where most "
        "are short.",
    ),
    click.option(
        "--sampling",
        type=click.Choice(["balanced", "uniform"]),
        default="balanced",
        show_default=True,
        help="Draw a class, then a recording of it; or any recording.",
    ),
    click.option(
        "--augment",
        type=click.Choice(["none", "light", "source", "mixture", "paper"]),
        default="light",
        show_default=True,
        help="Variation of the sound.  light: equaliser, low-pass, speed and level.  paper: algorithm 1, "
        "that is source (equaliser, band-pass, room, pitch and tempo of each recording) and mixture (codec, "
        "distortion, microphone), and level.  See `acdref augment`.",
    ),
    click.option("--low-pass", type=Number(0, 1), help="Probability of a low-pass, in place of --augment's."),
    click.option("--equaliser", type=Number(0, 30), help="Random equaliser, dB, in place of --augment's."),
    click.option(
        "--speed",
        type=Number(0, 1, max_open=True),
        help="Largest change of speed, in place of --augment's.",
    ),
    click.option(
        "--net",
        type=click.Choice(["acdnet", "vgg-gap", "conv1d", "resnet50", "mobilenetv2"]),
        help="The network  [default: that of --init, or acdnet]",
    ),
    click.option(
        "--width",
        type=Number(min=0, min_open=True),
        default=1.0,
        show_default=True,
        help="So many times the paper's channels.",
    ),
    click.option("--init", type=click.Path(), metavar="WEIGHTS", help="Weights to start from."),
    click.option(
        "--workers",
        type=click.IntRange(min=0),
        default=1,
        show_default=True,
        help="Processes that prepare sequences; the result does not depend on it.",
    ),
    click.option(
        "--threads", type=click.IntRange(min=1), help="Threads of the network  [default: all cores]"
    ),
)


def recording_options(command):
    """Decorator: --root, --classes and --fold."""
    for option in reversed(_RECORDINGS):
        command = option(command)
    return command


def validation_options(command):
    """Decorator: --val-fold and --val."""
    for option in reversed(_VALIDATION):
        command = option(command)
    return command


def training_options(command):
    """Decorator: the options that :func:`options_of` takes, and --threads."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def class_names(text):
    """The classes that --classes names, None if it was not given."""
    return None if text is None else tuple(name.strip() for name in text.split(","))


def options_of(manifest, augment, low_pass, equaliser, speed, classes, **options):
    """The acdref.train.Options that the options of the command line mean."""
    from acdref.augment import AUGMENTATIONS
    from acdref.train import Options

    if options["mixing"] == "mixup" and options["mix_max"] > 2:
        raise click.UsageError("--mixing mixup is of two sequences: --mix-max 2, or 1 for none")
    own = {"low_pass": low_pass, "equaliser": equaliser, "speed": speed}
    own = {name: value for name, value in own.items() if value is not None}
    classes = class_names(classes)
    return Options(manifest, classes=classes, augment=replace(AUGMENTATIONS[augment], **own), **options)


class TerminalObserver:
    """Prints what a run or a recipe reports: one moving line on a terminal, one line an epoch anywhere."""

    def __init__(self):
        self.live = sys.stderr.isatty()
        self.started = time.monotonic()
        self.stop = False

    def __enter__(self):
        # The first signal stops after the current step, with a checkpoint; the second stops at once.
        self.before = {
            number: signal.signal(number, self._signal) for number in (signal.SIGINT, signal.SIGTERM)
        }
        return self

    def __exit__(self, *_):
        self._clear()
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _signal(self, number, frame):
        if self.stop:
            raise KeyboardInterrupt
        self.stop = True

    def should_stop(self):
        return self.stop

    def log(self, text):
        self._clear()
        click.echo(text, err=True)

    def start(self, epochs, steps, batch):
        self.epochs, self.steps, self.batch = epochs, steps, batch

    def step(self, epoch, step, loss, rate):
        if self.live:
            left = ((self.epochs - epoch) * self.steps - step) * self.batch / rate
            click.echo(
                f"\r\033[Kepoch {epoch + 1}/{self.epochs}  step {step}/{self.steps}  loss {loss:.4f}  "
                f"{rate:.1f} sequences/s  {_duration(left)} left",
                nl=False,
                err=True,
            )

    def epoch(self, row):
        score = f"  val mAP {row['val_mAP']:.4f}" if "val_mAP" in row else ""
        self.log(
            f"epoch {row['epoch']}  loss {row['loss']:.4f}  lr {row['lr']:.2e}{score}  "
            f"{_duration(time.monotonic() - self.started)}"
        )

    def progress(self, done, count):
        if self.live:
            click.echo(f"\r\033[K{done} of {count} recordings", nl=False, err=True)

    def _clear(self):
        if self.live:
            click.echo("\r\033[K", nl=False, err=True)


def _duration(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
