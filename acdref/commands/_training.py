"""What the commands that train share: options, what is told on the terminal."""

import signal
import sys
import time
from dataclasses import replace

import click

from acdref.commands._options import click_options, threads_option
from acdref.options.augmentation import Strengths
from acdref.options.training import TrainOptions

_OWN = ("low_pass", "equaliser", "speed")  # strengths in place of those that --augment names
_LAST = ("net", "width", "init", "workers")


def training_options(command):
    """Decorator: the options that :func:`options_of` takes, and --threads."""
    for options in (
        threads_option,
        click_options(TrainOptions, _LAST),
        click_options(Strengths, _OWN, unset=True),
        click_options(TrainOptions, without=_LAST),
    ):
        command = options(command)
    return command


def options_of(manifest, augment, **options):
    """The TrainOptions that the options of the command line mean."""
    from acdref.augment import AUGMENTATIONS

    if options["mixing"] == "mixup" and options["mix_max"] > 2:
        raise click.UsageError("--mixing mixup is of two sequences: --mix-max 2, or 1 for none")
    own = {name: options.pop(name) for name in _OWN}
    own = {name: value for name, value in own.items() if value is not None}
    return TrainOptions(manifest, augment=replace(AUGMENTATIONS[augment], **own), **options)


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
