"""What the tests of the metrics share: recorded results of oracles, and evaluations to draw."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from acdref import metrics

GOLDEN = Path(__file__).parents[2] / ".." / "shared" / "golden"
PER_CLASS = [metrics.average_precision, metrics.roc_auc, metrics.accuracy, metrics.f_score]
CLOSE = {"rtol": 0, "atol": 1e-12}


def golden(name):
    path = GOLDEN / name
    if not path.exists():
        pytest.skip(f"needs {name}")
    return json.loads(path.read_text()) if path.suffix == ".json" else np.load(path, allow_pickle=False)


@st.composite
def evaluations(draw, unknown=True, dtype=np.float64):
    """Labels with unknowns, scores with ties and infinities, weights with zeros."""
    n, c = draw(st.tuples(st.integers(1, 12), st.integers(1, 6)))
    y = draw(hnp.arrays(np.float64, (n, c), elements=st.sampled_from([0.0, 1.0] + [np.nan] * unknown)))
    scores = st.sampled_from([-np.inf, -1.0, 0.0, 0.125, 0.25, 0.5, 0.75, 1.0, np.inf])
    p = draw(hnp.arrays(dtype, (n, c), elements=scores))
    weight = draw(hnp.arrays(np.float64, draw(st.sampled_from([(n,), (n, c)])), elements=st.integers(0, 3)))
    return y, p, weight


def one_class(y, p, weight, c):
    """Column c where its label is known and counts."""
    weight = (weight if weight.ndim == 2 else np.repeat(weight[:, None], y.shape[1], axis=1))[:, c]
    known = ~np.isnan(y[:, c]) & (weight > 0)
    return y[known, c], p[known, c], weight[known]


@st.composite
def long_classes(draw):
    """Classes of more than 2,000 clips: few and many positives, scores that try the comparisons, weights."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = draw(st.sampled_from([np.float64, np.float32]))
    tiny = np.finfo(dtype).smallest_subnormal
    pool = [-np.inf, np.inf, -0.0, 0.0, tiny, -tiny, 3 * tiny, 1.0, np.nextafter(dtype(1), dtype(2))]
    many = rng.normal(size=draw(st.sampled_from([0, 3, 3000]))).astype(dtype)
    n, unknown = 2100, draw(st.sampled_from([0, 1, 900]))
    positives = draw(st.lists(st.sampled_from([0, 1, 2, 3, 17, 1000, n - unknown]), min_size=1, max_size=4))
    y = np.zeros((n, len(positives)))
    for c, count in enumerate(positives):
        order = rng.permutation(n)
        y[order[:unknown], c] = np.nan
        y[order[unknown : unknown + count], c] = 1
    p = rng.choice(np.concatenate([np.array(pool, dtype), many]), y.shape)
    weight = rng.integers(0, 3, y.shape) / 7 if draw(st.booleans()) else None
    return y, p, weight
