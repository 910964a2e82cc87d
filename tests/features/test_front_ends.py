"""Front ends: steps and durations are those of what they make."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acdref.features.front_ends import FRONT_ENDS, SHORTEST, front_end

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
