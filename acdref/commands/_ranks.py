"""Commands that MPI has started several times over, as one: the first process speaks for all."""

import contextlib
import os
import traceback

import click

from acdref.commands._progress import TerminalObserver, say
from acdref.errors import AcdrefError


class Silent(TerminalObserver):
    """Hears signals, and says nothing: of several processes, the first tells."""

    def __init__(self):
        super().__init__()
        self.live, self.level = False, -1

    def error(self, text):
        pass


@contextlib.contextmanager
def together():
    """Context of a command that may be one of several processes: gives (ranks, observer).

    `ranks` is None where there is one process.  What ends all of them the same way is told by the first.
    What ends one alone ends the job: MPI sees it go without farewell, and ends the others.
    """
    from acdref.ranks import Lost, launched

    ranks = launched()
    if ranks is None:
        with TerminalObserver() as observer:
            yield None, observer
        return
    with TerminalObserver() if ranks.rank == 0 else Silent() as observer:
        ranks.stopping = observer.should_stop
        try:
            yield ranks, observer
        except BaseException as error:
            alone = isinstance(error, Lost) or not ranks.ended()
            if not alone and ranks.rank == 0:
                raise
            if not alone:
                raise click.exceptions.Exit(getattr(error, "exit_code", 1)) from None
            observer.clear()
            if ranks.rank == 0 or not isinstance(error, Lost):
                _tell(error, ranks.rank)
            os._exit(1)  # MPI's own end would wait for the others


def _tell(error, rank):
    place = f"process {rank}: " if rank else ""
    if isinstance(error, AcdrefError | OSError):
        say(f"acdref: {place}{error}")
    elif isinstance(error, KeyboardInterrupt):
        say(f"acdref: {place}interrupted")
    else:
        traceback.print_exception(error)
