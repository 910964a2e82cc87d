"""Instructions by themselves: every number that may come, NaN and infinities among them."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from acdref.ops.kernel import available, compile_function

if not available():
    pytest.skip("needs numba", allow_module_level=True)

from acdref.ops.layout import LANES
from acdref.ops.vectors import vector_code

SPECIAL = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 1e-38, 3e38, -3e38]


def vectors(**options):
    """Float32 vectors in which special numbers are frequent."""
    number = st.one_of(st.sampled_from([np.float32(v) for v in SPECIAL]), st.floats(width=32, **options))
    return arrays(np.float32, LANES, elements=number)


@vector_code
def _exp(emit, x, y, start):
    emit.store(emit.exp(emit.load(x, start)), y, start)


@vector_code
def _prelu(emit, x, slope, y, start):
    emit.store(emit.prelu(emit.load(x, start), emit.load(slope, start)), y, start)


@vector_code
def _maximum(emit, a, b, y, start):
    emit.store(emit.maximum(emit.load(a, start), emit.load(b, start)), y, start)


@vector_code
def _across(emit, x, y, start):
    """The sum, then the largest."""
    v = emit.load(x, start)
    for index, combine in enumerate((emit.builder.fadd, emit.larger)):
        emit.store(emit.splat(emit.across(combine, v)), y, emit.at(start, (index, LANES)))


@vector_code
def _at(emit, x, start, a, b):
    """Store x[start] at start + 2 a + 3 b."""
    emit.store(emit.spread(x, start), x, emit.at(start, (a, 2), (3, b)))


@vector_code
def _larger_and_smaller(emit, a, b, y, start):
    for index, choose in enumerate((emit.larger, emit.smaller)):
        emit.store(choose(emit.load(a, start), emit.load(b, start)), y, emit.at(start, (index, LANES)))


@vector_code
def _prefetch(emit, x, start):
    emit.prefetch(x, start)
    emit.prefetch(x, start, write=True)


@vector_code
def _copy_from_place(emit, x, start, y, y0):
    emit.store(emit.load(emit.place(x, start), emit.at(y0, (0, 0))), emit.place(y, y0), y0)


@vector_code
def _scaled(emit, start, places, shift):
    (x, y), (step,) = places
    emit.store(emit.load(x, emit.at(start, (shift, step))), y, start)


@compile_function
def scaled(x, y, start, step):
    _scaled(start, ((x, y), (step,)), 2)


@compile_function
def exp(x, y):
    for start in range(0, x.size, 16):
        _exp(x, y, start)


@compile_function
def prelu(x, slope, y):
    _prelu(x, slope, y, 0)


@compile_function
def maximum(a, b, y):
    _maximum(a, b, y, 0)


@compile_function
def larger_and_smaller(a, b, y):
    _larger_and_smaller(a, b, y, 0)


@compile_function
def prefetch(x, start):
    _prefetch(x, start)


@compile_function
def copy_from_place(x, start, y):
    _copy_from_place(x, start, y, 0)


@compile_function
def across(x, y):
    _across(x, y, 0)


@compile_function
def at(x, start, a, b):
    _at(x, start, a, b)


def exp_of(x):
    y = np.full_like(x, 99)
    exp(x, y)
    return y


def test_exp_is_accurate_over_its_whole_range(rng):
    x = np.concatenate(
        [np.linspace(-87, 88, 2**16), rng.uniform(-1, 1, 2**14), -rng.exponential(1e-3, 2**14)]
    )
    x = x.astype(np.float32)
    expected = np.exp(x.astype(np.float64))
    assert np.abs(exp_of(x) / expected - 1).max() <= 1.2e-7  # an ulp


def test_exp_of_special_numbers():
    x = np.zeros(LANES, np.float32)
    x[:10] = [np.nan, -np.inf, -87.8, -1e30, np.inf, 1e30, 1e-45, -1e-45, -0.0, 0]
    y = exp_of(x)
    assert np.isnan(y[0])
    np.testing.assert_array_equal(y[1:4], 0)
    np.testing.assert_allclose(y[4:6], np.exp(88.0), rtol=2e-7)  # never infinite
    np.testing.assert_array_equal(y[6:], 1)


def test_exp_in_float64(rng):
    x = rng.uniform(-750, 720, 64 * LANES)
    x[:5] = [np.nan, -np.inf, np.inf, 0, -0.0]
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(exp_of(x), np.exp(x), rtol=4e-16)


@given(vectors(), vectors())
def test_prelu_takes_any_slope(x, slope):
    y = np.empty_like(x)
    prelu(x, slope, y)
    with np.errstate(invalid="ignore", over="ignore"):
        expected = np.where(x > 0, x, slope * x)
    np.testing.assert_array_equal(y, expected)
    number = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(y[number]), np.signbit(expected[number]))


@given(vectors(), vectors())
def test_maximum_keeps_nan(a, b):
    y = np.empty_like(a)
    maximum(a, b, y)
    np.testing.assert_array_equal(y, np.maximum(a, b))


@given(vectors(), vectors())
def test_larger_and_smaller_are_the_second_where_one_is_nan(a, b):
    y = np.empty(2 * LANES, np.float32)
    larger_and_smaller(a, b, y)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(y[:LANES], np.where(a > b, a, b))
        np.testing.assert_array_equal(y[LANES:], np.where(a < b, a, b))


@pytest.mark.parametrize("start", [0, 99, 10**6])
def test_prefetching_changes_nothing_even_beyond_the_end(start):
    x = np.arange(100, dtype=np.float32)
    prefetch(x, start)
    np.testing.assert_array_equal(x, np.arange(100))


def test_place():
    x, y = np.arange(40.0), np.zeros(LANES)
    copy_from_place(x, 7, y)
    np.testing.assert_array_equal(y, x[7 : 7 + LANES])


@given(vectors(min_value=-(2.0**99), max_value=2.0**99))
def test_across(x):
    y = np.empty(2 * LANES, np.float32)
    across(x, y)
    total, largest = y.reshape(2, LANES)
    with np.errstate(invalid="ignore", over="ignore"):
        finite = np.isfinite(x).all()
        exact, size = x.astype(np.float64).sum(), np.abs(x.astype(np.float64)).sum()
    if finite and size < 3e38:
        assert np.abs(total - exact).max() <= 1e-6 * size
    if np.isnan(x).any():
        assert np.isnan(total).all()
    else:
        np.testing.assert_array_equal(largest, x.max())


def test_offsets():
    x = np.zeros(60, np.float32)
    x[1] = 7
    at(x, 1, 5, 4)
    np.testing.assert_array_equal(
        np.flatnonzero(x), [1, *range(1 + 2 * 5 + 3 * 4, 1 + 2 * 5 + 3 * 4 + LANES)]
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tuples_of_arrays_and_integers(dtype):
    """Nested too; the dtype is that of the first array in them."""
    x, y = np.arange(100, dtype=dtype), np.zeros(20, dtype)
    scaled(x, y, 1, 3)
    np.testing.assert_array_equal(y[1 : 1 + LANES], x[7 : 7 + LANES])


_ASK = """
from acdref.ops.microkernel import ROWS
from acdref.ops.vectors import TAPS, target_has
print(ROWS, TAPS, *(name for name in ("avx512f", "avx2", "fma") if target_has(name)))
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="names processors of this kind")
@pytest.mark.parametrize(
    ("processor", "features", "expected"),
    [
        ("generic", None, "6 8"),
        ("sandybridge", "", "6 8"),
        ("haswell", "", "6 8 avx2 fma"),
        ("haswell", "-fma", "6 8 avx2"),
        ("skylake-avx512", "", "8 16 avx512f avx2 fma"),
        ("skylake-avx512", "-avx512f", "6 8 avx2 fma"),
    ],
)
def test_the_target_is_the_one_that_numba_compiles_for(processor, features, expected, tmp_path):
    """Whatever the processor is that this runs on; nothing runs that it may not have."""
    environment = os.environ | {"NUMBA_CPU_NAME": processor, "ACDREF_CACHE_DIR": str(tmp_path)}
    environment.pop("NUMBA_CPU_FEATURES", None)
    if features is not None:
        environment["NUMBA_CPU_FEATURES"] = features
    done = subprocess.run(
        [sys.executable, "-c", _ASK],
        cwd=Path(__file__).parents[2], env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == expected
