"""Cases of losses, optimisers and schedules."""

from collections.abc import Iterator

from acdref.conform.writing import Case


def cases() -> Iterator[Case]:
    """All of this section's."""
    yield from ()
