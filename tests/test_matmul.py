import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from acdref import matmul as module
from acdref.matmul import matmul

rng = np.random.default_rng(3)

# Both sides of every edge of a piece, and of the long ones of narrow matrices.
sizes = st.sampled_from([1, 2, 3, 18, 63, 64, 65, 100, 128, 129, 300, 910, 911, 5000])
shapes = st.tuples(sizes, sizes, sizes)


@given(shapes, st.booleans(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_is_the_product(shape, a_transposed, b_transposed):
    m, k, n = shape
    # Whole numbers, whose products and sums are exact in any order.
    a, b = (rng.integers(-8, 9, size).astype(np.float32) for size in ((m, k), (k, n)))
    expected = a.astype(np.float64) @ b.astype(np.float64)
    y = matmul(np.asfortranarray(a) if a_transposed else a, np.asfortranarray(b) if b_transposed else b)
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rounds_no_worse_than_the_plain_product(dtype):
    a, b = rng.standard_normal((200, 3000)).astype(dtype), rng.standard_normal((3000, 100)).astype(dtype)
    exact = a.astype(np.longdouble) @ b.astype(np.longdouble)
    y = matmul(a, b)
    assert y.dtype == dtype
    assert np.abs(y - exact).max() <= 1.5 * np.abs(a @ b - exact).max()


def test_no_rows():
    assert matmul(np.zeros((0, 5)), np.zeros((5, 3))).shape == (0, 3)


def test_views_and_both_dtypes():
    a, b = rng.standard_normal((600, 140)), rng.standard_normal((70, 90)).astype(np.float32)
    y = matmul(a[::2, ::2], b[:, ::-1])
    assert y.dtype == np.float64
    np.testing.assert_allclose(y, a[::2, ::2] @ b[:, ::-1], rtol=0, atol=1e-12)


def sides(whole, piece):
    """Lengths of the pieces of a side: whole ones, and what is left."""
    return {min(whole, piece), whole % piece} - {0}


@given(shapes)
@example((1, 2**20, 64))
@example((2**20, 1, 1))
def test_every_piece_is_below_the_thresholds_of_openblas(shape):
    m, k, n = shape
    rows, depth, columns = module._piece(m, k, n)
    for r in sides(m, rows):
        for d in sides(k, depth):
            for c in sides(n, columns):
                # NumPy takes BLAS's product of a matrix and a vector where it can.
                assert r * d * c <= 2**18 if r > 1 and c > 1 else r * d * c < 2304 * 4


def test_bit_equal_whatever_the_number_of_threads(with_blas_threads):
    one, two = with_blas_threads("""if True:
        import hashlib
        import numpy as np
        from acdref.matmul import matmul

        rng = np.random.default_rng(0)
        for m, k, n in [(5000, 18, 16), (3000, 128, 256), (256, 574, 64), (64, 20000, 32), (1, 9999, 64),
                        (30000, 64, 1), (4099, 16, 1), (700, 300, 500)]:
            for dtype in (np.float32, np.float64):
                a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
                for y in (matmul(a, b), matmul(np.asfortranarray(a), b), matmul(a, np.asfortranarray(b))):
                    print(m, k, n, y.dtype, hashlib.sha256(y.tobytes()).hexdigest())
    """)
    assert one == two
    assert one.count("\n") == 48
