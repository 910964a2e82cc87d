"""What is told on the terminal: one moving line, and lines that stay."""

import contextlib
import json
import os
import shutil
import signal
import sys
import time

import click


@contextlib.contextmanager
def stderr_may_be_dead():
    """Context in which stderr is printed to; that its reader has gone ends no work."""
    try:
        yield
    except OSError:
        discard(sys.stderr)


def say(text, nl=True):
    """Print to stderr, if anybody reads it."""
    with stderr_may_be_dead():
        click.echo(text, nl=nl, err=True)


def discard(stream):
    """Print nothing any more, not even what the stream still holds when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


_strays: list[int] = []  # descriptors


def keep_strays(number):
    """Let a descriptor lead to memory, for :func:`strays`; to nowhere, where there is no such file."""
    kept = os.memfd_create("strays") if hasattr(os, "memfd_create") else os.open(os.devnull, os.O_RDWR)
    os.dup2(kept, number)
    _strays[:] = [kept]


def strays():
    """The first line that C libraries have printed to stdout since the last time; empty if none."""
    import ctypes

    text = b""
    for number in _strays:
        ctypes.CDLL(None).fflush(None)
        text = os.pread(number, 200, 0)
        if text:
            os.ftruncate(number, 0)
            os.lseek(number, 0, os.SEEK_SET)
    return text.strip().partition(b"\n")[0].decode("utf-8", "replace")


LEVEL = "acdref.level"
"""In click's `meta`: how much is told, -1 after --quiet, 1 after --verbose."""


def level():
    """How much the running command is to tell: -1 only errors, 0 as usual, 1 more."""
    context = click.get_current_context(silent=True)
    return context.meta.get(LEVEL, 0) if context else 0


class Progress:
    """One moving line on stderr where that is a terminal, and lines that stay."""

    INTERVAL = 0.1  # seconds between changes
    PREFIX = "acdref: "  # of lines that stay

    def __init__(self):
        self.level = level()
        self.live = sys.stderr.isatty() and self.level >= 0
        self.sound = 0.0  # seconds heard
        self.started = time.monotonic()
        self._shown = 0.0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.clear()
        if self.level > 0:
            passed = f"{duration(time.monotonic() - self.started)} passed"
            self.log("  ".join([passed, f"{time.process_time():.1f} s of processor time", *self._speed()]))

    def show(self, text, last=False):
        """Change the moving line, unless it has just been changed."""
        if self.live and (last or time.monotonic() - self._shown > self.INTERVAL):
            width = shutil.get_terminal_size().columns - 1
            say(f"\r\033[K{text[:width]}", nl=False)
            self._shown = time.monotonic()

    def progress(self, done, count, of="recordings"):
        self.at(f"{done} of {count} {of}", done / count, last=done == count)

    def heard(self, seconds):
        """Count the sound of a recording."""
        self.sound += seconds

    def at(self, done, share=None, place="", last=False):
        """Change the moving line: what is done, the time left if the share done is known, the speed."""
        if not self.live:
            return
        if share:
            left = (time.monotonic() - self.started) * (1 / share - 1)
            done += f"  {duration(left)} left"
        self.show("  ".join([done, *self._speed(), place]).rstrip(), last)

    def _speed(self):
        if not self.sound:
            return []
        times = self.sound / (time.monotonic() - self.started)
        return [f"{times:.{int(times < 10)}f} x real time", f"{duration(self.sound)} of sound"]

    def left_out(self, error):
        """Tell of a recording that cannot be used."""
        self.error(f"left out: {error}")

    def clear(self):
        if self.live:
            say("\r\033[K", nl=False)
            self._shown = 0.0

    def log(self, text):
        """A line that stays, on any stderr."""
        if self.level >= 0:
            self.error(text)

    def aside(self, text):
        """A line that stays, for whoever is watching: on a terminal, or with --verbose."""
        if self.live or self.level > 0:
            self.log(text)

    def detail(self, text):
        """A line that stays, with --verbose alone."""
        if self.level > 0:
            self.log(text)

    def error(self, text):
        """A line that stays, even with --quiet."""
        from acdref.predict.formats import printable

        self.clear()
        say(f"{self.PREFIX}{printable(str(text))}")


class TerminalObserver(Progress):
    """Prints what a run or a recipe reports: one moving line on a terminal, one line an epoch anywhere."""

    PREFIX = ""
    TWICE = 5  # seconds in which another signal than Ctrl-C counts as the same: `timeout` sends two

    def __init__(self):
        super().__init__()
        self.stop = False

    def __enter__(self):
        # The first signal stops after the current step, with a checkpoint; the second stops at once.
        kinds = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
        if signal.getsignal(kinds[-1]) == signal.SIG_IGN:  # SIGHUP, under nohup
            kinds.pop()
        self.before = {kind: signal.signal(kind, self._signal) for kind in kinds}
        return self

    def __exit__(self, *_):
        super().__exit__()
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _signal(self, number, frame):
        if self.stop and (number == signal.SIGINT or time.monotonic() - self.stopped > self.TWICE):
            raise KeyboardInterrupt
        if not self.stop:
            self.stop, self.stopped = True, time.monotonic()

    def should_stop(self):
        return self.stop

    def start(self, epochs, steps, batch):
        self.epochs, self.steps, self.batch = epochs, steps, batch

    def step(self, epoch, step, loss, rate):
        left = ((self.epochs - epoch) * self.steps - step) * self.batch / rate
        self.show(
            f"epoch {epoch + 1}/{self.epochs}  step {step}/{self.steps}  loss {loss:.4f}  "
            f"{rate:.1f} sequences/s  {duration(left)} left"
        )

    def epoch(self, row):
        score = f"  val mAP {row['val_mAP']:.4f}" if "val_mAP" in row else ""
        self.log(
            f"epoch {row['epoch']}  loss {row['loss']:.4f}  lr {row['lr']:.2e}{score}  "
            f"{duration(time.monotonic() - self.started)}"
        )


def tell(facts, text, as_json):
    """Print a result: as JSON, or as ``text()``."""
    click.echo(json.dumps(facts, indent=2) if as_json else text())


def end(failed, done=True):
    """End the command with the exit code for some failures, or for nothing else, if there were any."""
    if failed:
        raise click.exceptions.Exit(3 if done else 1)


def duration(seconds):
    """Hours, minutes and seconds: 1:01:01."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
