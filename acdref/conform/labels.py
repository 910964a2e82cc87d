"""Cases of the label rules."""

from collections.abc import Iterator

import numpy as np

from acdref.conform.writing import Case, Mistake
from acdref.labels import or_join


def cases() -> Iterator[Case]:
    """All of this section's."""
    yield from _or_join()


def _or_join():
    values = np.array([0.0, np.nan, 1.0])
    y = np.stack(np.meshgrid(values, values, values, indexing="ij")).reshape(
        3, -1
    )  # (I, C), every combination
    as_if = Mistake(
        "the largest value was taken, so that 1 with unknown is unknown", {"joined": np.max(y, axis=0)}
    )
    yield Case(
        "labels/or_join/all_of_three",
        "1 if any is 1; else NaN if any is NaN; else 0",
        {"labels": y},
        {"joined": or_join(y)},
        paper="1, eq. 3",
        mistakes=[as_if],
    )
