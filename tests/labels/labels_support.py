"""What the tests of the label rules share: specification files, strategies, the order 0 < NaN < 1."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from acdref.testing import strategies

SHARED = Path(__file__).parents[2] / ".." / "shared"
CLOSE = {"rtol": 0, "atol": 1e-12}

LABELS = st.sampled_from([0.0, 1.0, np.nan])
DYADIC = st.integers(0, 16).map(lambda k: k / 16)
KNOWN_SCORES = (
    st.sampled_from(strategies.boundary_scores(0.05))
    | st.sampled_from(strategies.boundary_scores(0.2))
    | st.floats(0, 1)
)
SCORES = KNOWN_SCORES | st.just(np.nan)
# Every entry drawn by itself: by default most of a matrix would hold one and the same value.
NO_FILL = st.nothing()
_ROWS = st.integers(0, 16)
_COLUMNS = st.integers(1, 4)


def shared(name):
    """The path of a file beside the project; the test is skipped where there is none."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"needs {name} of the specification")
    return path


def golden(name):
    """The recorded oracle results in ``name``."""
    path = shared(f"golden/{name}")
    return json.loads(path.read_text()) if path.suffix == ".json" else np.load(path, allow_pickle=False)


def rank(labels):
    """Labels in the order of knowledge, 0 < NaN < 1."""
    return np.nan_to_num(labels, nan=0.5)


def same(a, b):
    """Equal entry by entry, NaN equal to NaN."""
    return np.array_equal(a, b, equal_nan=True)


def matrices(elements, rows=_ROWS, columns=_COLUMNS):
    """Matrices of the given elements."""
    return st.tuples(rows, columns).flatmap(
        lambda shape: hnp.arrays(np.float64, shape, elements=elements, fill=NO_FILL)
    )


def several(*elements, rows=_ROWS, columns=_COLUMNS):
    """Tuples of matrices of one shape, one per kind of element."""
    return st.tuples(rows, columns).flatmap(
        lambda shape: st.tuples(*(hnp.arrays(np.float64, shape, elements=e, fill=NO_FILL) for e in elements))
    )
