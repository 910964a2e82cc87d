"""A command that MPI has started several times over, as one: the first process speaks for all."""

import contextlib
import os
import traceback

import click

from acdref.commands._progress import TerminalObserver, say
from acdref.errors import AcdrefError


@contextlib.contextmanager
def together():
    """Context of a command that may be one of several processes: gives (ranks, observer).

    `ranks` is None where there is one process.  What ends all of them alike is told by the first.  What ends
    one alone ends the job: MPI sees it go without farewell, and ends the others.
    """
    from acdref.ranks import RankLost, launched

    ranks = launched()
    if ranks is None:
        with TerminalObserver() as observer:
            yield None, observer
        return
    try:
        with _only_the_first(ranks.rank), TerminalObserver() as observer:
            if ranks.rank == 0:  # the others have nothing to save
                ranks.stopping = observer.should_stop
            yield ranks, observer
    except BaseException as error:
        if isinstance(error, RankLost) or not ranks.ended():
            _tell(error, ranks.rank)
            os._exit(130 if isinstance(error, RankLost) else 1)  # MPI's own end would wait for the others
        if ranks.rank == 0:
            raise
        raise click.exceptions.Exit(getattr(error, "exit_code", 1)) from None


@contextlib.contextmanager
def _only_the_first(rank):
    """Context in which nothing is printed to stderr, unless this is the first process."""
    with open(os.devnull, "w") as nowhere, contextlib.ExitStack() as stack:
        if rank > 0:
            stack.enter_context(contextlib.redirect_stderr(nowhere))
        yield


def _tell(error, rank):
    place = f"process {rank}: " if rank else ""
    if isinstance(error, AcdrefError | OSError):
        say(f"acdref: {place}{error}")
    elif isinstance(error, KeyboardInterrupt):
        say(f"acdref: {place}interrupted")
    else:
        traceback.print_exception(error)
