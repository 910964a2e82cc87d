"""Cases of the five networks: forward, loss, gradients, running statistics, ten steps of an optimiser."""

from collections.abc import Iterator

from acdref.conform.writing import Case


def cases() -> Iterator[Case]:
    """All of this section's."""
    yield from ()
