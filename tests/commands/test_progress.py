"""What is told on a terminal, and what remains of it elsewhere."""

import io
import os
import signal
import subprocess
import sys

import click
import pytest
from predict_support import ROOT

from acdref.cli import COMMANDS, group
from acdref.commands._progress import LEVEL, Progress, TerminalObserver, duration

SHORT = ("augment", "info", "export", "conform", "recipe", "summary")
"""Commands that do not work long, and the group of those that do."""


class Terminal(io.StringIO):
    def isatty(self):
        return True


def on_a_terminal(monkeypatch):
    """What it shows; no fixture, since pytest sets stderr anew between these and the test."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


def test_durations_are_readable():
    assert duration(3661.4) == "1:01:01"


def test_elsewhere_only_lines_stay(capsys):
    with Progress() as progress:
        progress.show("moving")
        progress.progress(1, 1)
        progress.log("done")
    with TerminalObserver() as observer:
        observer.start(2, 3, 4)
        observer.step(0, 1, 0.5, 8.0)
        observer.epoch({"epoch": 1, "loss": 0.25, "lr": 1e-3, "val_mAP": 0.5})
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "acdref: done"
    assert lines[1].startswith("epoch 1  loss 0.2500  lr 1.00e-03  val mAP 0.5000  0:00:0")
    assert len(lines) == 2


def test_a_terminal_has_one_moving_line(monkeypatch):
    terminal = on_a_terminal(monkeypatch)
    monkeypatch.setattr(Progress, "INTERVAL", 3600.0)
    with Progress() as progress:
        progress._shown = -1e9
        progress.show("first")
        progress.show("too soon")
        progress.progress(2, 2)
        progress.log("stays")
    shown = terminal.getvalue()
    assert "first" in shown and "too soon" not in shown and "2 of 2 recordings" in shown
    assert "\racdref" not in shown and shown.endswith("acdref: stays\n\r\033[K")


def test_how_far_the_work_is(monkeypatch):
    terminal, now = on_a_terminal(monkeypatch), [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    progress = Progress()
    now[0] += 20
    progress.heard(70)
    progress.progress(1, 5)
    assert terminal.getvalue() == "\r\033[K1 of 5 recordings  0:01:20 left  3.5 x real time  0:01:10 of sound"
    progress.heard(7130)
    now[0] += 20
    progress.at("recording 2", place="dog.wav")
    assert terminal.getvalue().endswith("\033[Krecording 2  180 x real time  2:00:00 of sound  dog.wav")


@pytest.mark.parametrize("level", [-1, 0, 1])
def test_how_much_is_told(capsys, level):
    with click.Context(click.Command("x"), obj=None) as context:
        context.meta[LEVEL] = level
        with Progress() as progress:
            for name in ("error", "left_out", "log", "aside", "detail"):
                getattr(progress, name)(name)
    lines = capsys.readouterr().err.splitlines()
    shown = ["error", "left out: left_out", "log", "aside", "detail"][: {-1: 2, 0: 3, 1: 5}[level]]
    assert lines[: len(shown)] == [f"acdref: {text}" for text in shown]
    assert len(lines) == len(shown) + (level > 0)


def test_every_long_command_may_be_quiet():
    recipes = group.get_command(None, "recipe")
    long = [group.get_command(None, name) for name in COMMANDS if name not in SHORT]
    long += [recipes.get_command(None, name) for name in recipes.list_commands(None)]
    for command in long:
        flags = {flag for param in command.params for flag in param.opts}
        assert {"-q", "-v"} <= flags, command.name


def test_a_moving_line_is_no_longer_than_the_terminal(monkeypatch):
    terminal = on_a_terminal(monkeypatch)
    monkeypatch.setenv("COLUMNS", "20")
    Progress().show("x" * 50)
    assert terminal.getvalue() == "\r\033[K" + "x" * 19


def test_training_moves_the_line(monkeypatch):
    terminal = on_a_terminal(monkeypatch)
    with TerminalObserver() as observer:
        observer.start(2, 5, 4)
        observer.step(0, 3, 0.5, 8.0)
    assert "epoch 1/2  step 3/5  loss 0.5000  8.0 sequences/s  0:00:04 left" in terminal.getvalue()


def test_what_a_terminal_would_obey_is_escaped(capsys):
    Progress().log("bad\x1b[2J name")
    assert capsys.readouterr().err == "acdref: bad\\x1b[2J name\n"


def test_the_first_signal_asks_to_stop_and_the_second_stops():
    kinds = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = [signal.getsignal(number) for number in kinds]
    with TerminalObserver() as observer:
        assert not observer.should_stop()
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)  # as `timeout` does
        assert observer.should_stop()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        observer.stopped -= observer.TWICE + 1
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    assert [signal.getsignal(number) for number in kinds] == before


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no terminals that hang up")
@pytest.mark.parametrize("ignored", [False, True])
def test_a_lost_terminal_asks_to_stop_unless_that_is_ignored(ignored):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        with TerminalObserver() as observer:
            signal.raise_signal(signal.SIGHUP)
            assert observer.should_stop() != ignored
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_reader_of_stderr_that_has_gone():
    code = "from acdref.commands._progress import say; say('one'); say('two'); print('done')"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=writer, cwd=ROOT)
    os.close(writer)
    assert (done.returncode, done.stdout) == (0, b"done\n")
