"""Front ends: steps and durations are those of what they make."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acdref.features.front_ends import FRONT_ENDS, SHORTEST, front_end, without_offset

each = pytest.mark.parametrize("name", FRONT_ENDS)


@each
@given(n=st.integers(15600, 60000))
@settings(max_examples=10)
def test_steps(name, n):
    front = FRONT_ENDS[name]
    x = front.transform(np.zeros(n, np.float32))
    assert x.dtype == np.float32
    assert len(x) == front.steps(n)
    # Up to a patch at the end may belong to no step, and up to a window stand over.
    assert abs(front.seconds(x[None]) - n / front.rate) * front.rate <= max(front.hop, 512) + 240
    assert front.seconds(np.stack([x, x])) == 2 * front.seconds(x[None])


@each
def test_a_window_is_without_offset_then_repeated_then_transformed(name):
    front = FRONT_ENDS[name]
    x = np.random.default_rng(0).standard_normal(20000).astype(np.float32) + 0.5
    mean = x.astype(np.float64).mean()
    less = (x - mean).astype(np.float32)
    np.testing.assert_array_equal(front.window(x), front.transform(less))
    np.testing.assert_array_equal(front.window(x, 20000), front.transform(less))
    np.testing.assert_array_equal(front.window(x, 19999), front.transform(less))
    np.testing.assert_array_equal(front.window(x, 70001), front.transform(np.tile(less, 4)[:70001]))


@each
@pytest.mark.parametrize("offset", [-0.5, 0.003, 100])
def test_an_offset_changes_nothing(name, offset):
    front = FRONT_ENDS[name]
    # On a grid of 2^-12, so that the offset is added exactly, and only the mean's rounding is left.
    x = np.random.default_rng(1).integers(-2000, 2000, 40000) / 4096
    offset = np.round(offset * 4096) / 4096
    np.testing.assert_allclose(front.window(x + offset), front.window(x), atol=1e-6)


@pytest.mark.parametrize("value", [0.1, -3.0, 1e9])
def test_nothing_but_an_offset_is_silence(value):
    """Exactly, in any number of samples."""
    for n in (1, 511, 160001):
        x = without_offset(np.full(n, value, np.float32))
        assert x.dtype == np.float32 and x.shape == (n,) and not x.any()


@pytest.mark.parametrize(
    ("x", "cause"),
    [
        (np.zeros(0, np.float32), "without samples"),
        (np.zeros((2, 600)), "vector of real samples"),
        (np.float32(1), "vector of real samples"),
        (np.zeros(600, complex), "vector of real samples"),
        (np.array(["a"]), "vector of real samples"),
    ],
)
@each
def test_what_is_no_window(name, x, cause):
    with pytest.raises(ValueError, match=cause):
        FRONT_ENDS[name].window(x, 160000)


@each
def test_worker_processes_get_one(name):
    window = pickle.loads(pickle.dumps(FRONT_ENDS[name].window))
    x = np.random.default_rng(0).standard_normal(16000)
    np.testing.assert_array_equal(window(x), FRONT_ENDS[name].window(x))


@each
@pytest.mark.parametrize("seconds", [0.1, 0.2, 0.4, 1.3])
def test_fewest_is_the_shortest_sound_that_gives_so_many_steps(name, seconds):
    front = FRONT_ENDS[name]
    shortest = round(SHORTEST * front.rate)
    # Exactly what a sound of 0.1 s or twice that gives, where the search begins, one more, and one less.
    there = front.steps(round(seconds * front.rate))
    for steps in {max(0, there + more) for more in (-1, 0, 1)}:
        n = front.fewest(steps)
        assert front.steps(n) >= steps
        assert n == shortest or (n > shortest and front.steps(n - 1) < steps)


def test_of_a_network_and_of_what_names_none():
    class Named:
        front_end = "waveform"

    assert front_end(Named()).rate == 8000
    assert front_end(object()).rate == 16000
