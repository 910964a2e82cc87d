"""Front ends: steps and durations are those of what they make."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acdref.features.front_ends import FRONT_ENDS, front_end

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


def test_of_a_network_and_of_what_names_none():
    class Named:
        front_end = "waveform"

    assert front_end(Named()).rate == 8000
    assert front_end(object()).rate == 16000
