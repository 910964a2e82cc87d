"""Tags of sound that comes as it is made: see :mod:`acdref.predict.sources`."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from acdref.audio.decode import blocks_from
from acdref.errors import AudioError
from acdref.features.front_ends import front_end
from acdref.predict.scoring import WINDOW, score_blocks, score_samples
from acdref.predict.sources import Pieces, Say
from acdref.predict.tagging import Failure, Window, windows


def predict_stream(
    net: Any,
    name: str,
    source: Callable[[Say], tuple[int, Pieces]],
    window: float = WINDOW,
    hop: float | None = None,
    say: Say = lambda text: None,
) -> Iterator[Window | Failure]:
    """Score sound as it comes, each window as soon as it is whole, in bounded memory.

    Parameters
    ----------
    net : network
    name : str
        The `path` of its windows.
    source : callable
        Opens the stream: from a callable that is told of losses to its rate and its pieces, such as
        :func:`acdref.predict.sources.from_pipe` with its first two arguments.
    window, hop : float
        As of :func:`acdref.predict.tagging.predict`.
    say : callable, optional
        Called at once with one line of text about losses, which the next window has as its note, too.

    Yields
    ------
    Window or Failure
        Bit-equal to those of a file with this sound, up to 8 channels; a Failure if there is none, or after
        the windows before a sample that is no number.

    Examples
    --------
    >>> from acdref.nets import ACDNet
    >>> def second(report):
    ...     return 16000, iter([np.ones((8000, 1), np.float32)] * 2)
    >>> [(window.path, window.end) for window in predict_stream(ACDNet(), "x", second)]
    [('x', 1.0)]
    """
    notes: list[str] = []

    def report(note):
        notes.append(note)
        say(f"{name}: {note}")

    # Kernels are loaded, or compiled, before anything is listened to: no window shall wait for them.
    score_samples(net, np.zeros(1, np.float32))
    try:
        rate, pieces = source(report)
        blocks = blocks_from(pieces, rate, front_end(net).rate, window, hop, report, name)
        yield from windows(name, score_blocks(net, blocks), notes)
    except AudioError as error:
        yield Failure(name, error.cause)
