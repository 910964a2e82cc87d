"""The command line: one group, each command in a file of its own under :mod:`acdref.commands`.

Exit codes: 0 success; 1 the job could not be done (one line on stderr says why); 2 wrong usage;
3 partial: some inputs failed, the others are done; 130 interrupted, by SIGINT (Ctrl-C), SIGTERM or SIGHUP.
"""

import contextlib
import importlib
import os
import select
import signal
import sys
from typing import Any

import click

from acdref import __version__
from acdref.commands._progress import discard, keep_strays, say, stderr_may_be_dead
from acdref.errors import AcdrefError

# Modules of acdref.commands, in the order of the help page; the command object is the module's `command`.
COMMANDS = ("predict", "summary", "report", "cut", "embed", "similar", "check", "train", "compare")
COMMANDS += (
    "augment",
    "evaluate",
    "calibrate",
    "relabel",
    "teach",
    "recipe",
    "info",
    "export",
    "conform",
    "synth",
)
COMMANDS += ("demo",)

EXIT_ERROR, EXIT_USAGE, EXIT_PARTIAL, EXIT_INTERRUPTED = 1, 2, 3, 130


class LazyGroup(click.Group):
    """A group that imports a command's file only when that command (or the help page) is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        return importlib.import_module(f"acdref.commands.{name}").command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple:
        """Find the command; of a name that is none, say which may be meant."""
        known = ctx.resilient_parsing or args[0].startswith("-") or self.get_command(ctx, args[0])
        if not known:
            from difflib import get_close_matches

            close = get_close_matches(args[0], COMMANDS)
            meant = f" Did you mean {' or '.join(close)}?" if close else ""
            ctx.fail(f"No such command {args[0]!r}.{meant}")
        return super().resolve_command(ctx, args)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Read the arguments; a help page is printed here."""
        with _readers_may_go():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with _readers_may_go():
            return super().invoke(ctx)


@contextlib.contextmanager
def _readers_may_go():
    """Context in which it is no error that the reader of stdout (head, less) has gone: that of any other pipe
    is one."""
    try:
        yield
    except BrokenPipeError as error:  # caught here, since click would make it exit code 1
        ask = select.poll()
        ask.register(sys.stdout, 0)
        if not ask.poll(0):
            raise AcdrefError(str(error)) from None
        discard(sys.stdout)
        raise click.exceptions.Exit(0) from None
    except KeyboardInterrupt:  # likewise: click would print an empty line
        raise click.exceptions.Exit(_interrupted()) from None


def _interrupted():
    say("acdref: interrupted")
    # `python -m` ends by SIGINT, whatever we exit with, if it fell into an exec (which makes a dataclass,
    # say) and no other comes after it.
    exec("")
    return EXIT_INTERRUPTED


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="acdref")
def group() -> None:
    """Tag sounds, and train taggers on noisy labels, without torch.

    \b
    Examples:
      acdref predict recordings/            tags of every recording, with the shipped weights
      acdref train manifest.csv --out run   train ACDnet on your own recordings
      acdref demo                           see it work without any recordings

    \b
    Exit codes: 0 success, 1 failure (one line on stderr says why), 2 wrong usage,
    3 partial (some inputs failed, the others are done), 130 interrupted.
    """


def main() -> None:
    """Run the command line; turn errors that a user can cause into one line and an exit code."""
    _open_missing()
    _keep_stdout()
    _end_in_order()
    try:
        sys.exit(group.main(standalone_mode=False) or 0)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.ClickException as error:
        with stderr_may_be_dead():
            error.show()
        sys.exit(error.exit_code)
    except (click.exceptions.Abort, KeyboardInterrupt):
        sys.exit(_interrupted())
    except (AcdrefError, OSError) as error:
        # Files are reported as AcdrefError where they are used: what is left is a full disk behind stdout.
        if isinstance(error, OSError):
            discard(sys.stdout)
        say(f"acdref: {error}")
        sys.exit(EXIT_ERROR)
    except MemoryError:
        say("acdref: this machine has not enough memory for it")
        sys.exit(EXIT_ERROR)


def _end_in_order():
    """End as by Ctrl-C, leaving nothing unfinished, when the system or a lost terminal ends the work."""
    kinds = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    # Under nohup SIGHUP is ignored.
    kinds = [kind for kind in kinds if signal.getsignal(kind) == signal.SIG_DFL]

    def end(number, frame):
        for kind in kinds:  # `timeout` sends two
            signal.signal(kind, signal.SIG_IGN)
        raise KeyboardInterrupt

    for kind in kinds:
        signal.signal(kind, end)


def _open_missing():
    """Put /dev/null in place of standard streams that are closed, so that no file gets their descriptors, and
    with them what C libraries print."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest that is free
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115 (until Python ends)


def _keep_stdout():
    """Keep stdout for results: what C libraries print to its descriptor from now on goes elsewhere."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # closed
        sys.stdout.flush()
        results = os.dup(sys.stdout.fileno())
        keep_strays(sys.stdout.fileno())
        buffering = 1 if os.isatty(results) else -1
        words = {"encoding": sys.stdout.encoding, "errors": sys.stdout.errors, "buffering": buffering}
        sys.stdout = open(results, "w", **words)  # noqa: SIM115 (until Python ends)


if __name__ == "__main__":
    main()
