"""Cases of resampling, ACDnet's features and the other front ends."""

from collections.abc import Iterator

from acdref.conform.writing import Case


def cases() -> Iterator[Case]:
    """All of this section's."""
    yield from ()
