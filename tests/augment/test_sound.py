"""Whatever comes in, numbers come out; and what every effect has in common."""

import warnings
from inspect import isfunction

import numpy as np
import pytest
from augment_support import noise
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from acdref import augment
from acdref.augment import AUGMENTATIONS, codecs
from acdref.augment.sound import LOUDEST, as_sound


def rng(seed=0):
    return np.random.default_rng(seed)


EFFECTS = {
    "add_noise": lambda x: augment.add_noise(x, rng(), 20),
    "asymmetric_clip": lambda x: augment.asymmetric_clip(x, 12),
    "band_pass": lambda x: augment.band_pass(x, 300, 3400),
    "change_pitch": lambda x: augment.change_pitch(x, 2),
    "change_speed": lambda x: augment.change_speed(x, 0.9),
    "change_tempo": lambda x: augment.change_tempo(x, 0.9),
    "equalise": lambda x: augment.equalise(x, [6.0, -6.0, 12.0]),
    "hard_clip": lambda x: augment.hard_clip(x, 12),
    "low_pass": lambda x: augment.low_pass(x, 2000),
    "quantise": lambda x: augment.quantise(x, 6),
    "reverberate": lambda x: augment.reverberate(x, augment.room_response(rng(), 0.2, 0)),
    "set_level": lambda x: augment.set_level(x, -20),
    "soft_clip": lambda x: augment.soft_clip(x, 12),
    **{
        f"recode {codec}": lambda x, codec=codec: augment.recode(x, codec, 0.2)
        for codec in codecs.available()
    },
    **{
        f"training {name}": lambda x, a=augmentation: a.mixture(a.source(x, rng(1)), rng(2))
        for name, augmentation in AUGMENTATIONS.items()
    },
}
every = pytest.mark.parametrize("effect", EFFECTS.values(), ids=EFFECTS)

EXTREMES = [np.nan, np.inf, -np.inf, 3.4e38, -3.4e38, 1e-45, -1e-38, -0.0, 1e10, 0.5]
WEIRD = hnp.arrays(np.float32, st.integers(0, 40), elements=st.sampled_from(EXTREMES) | st.floats(width=32))


def test_every_function_of_a_sound_is_here():
    functions = {name for name, value in vars(augment).items() if isfunction(value)}
    assert {name for name in EFFECTS if " " not in name} == functions - {"room_response", "recode"}


@every
class TestEveryEffect:
    @settings(max_examples=25)
    @given(x=WEIRD)
    def test_numbers_come_out_whatever_goes_in(self, effect, x):
        before = x.copy()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            y = effect(x)
        np.testing.assert_array_equal(x, before)
        assert y.dtype == np.float32
        assert y.ndim == 1
        assert np.isfinite(y).all()
        assert len(y) <= 2 * len(x)
        if not np.nan_to_num(x).any():
            assert not y.any()

    @pytest.mark.parametrize("wrong", [np.nan, np.inf, -3.4e38])
    def test_one_wrong_sample_in_a_sound(self, effect, wrong):
        x = noise(6000)
        x[2500] = wrong
        assert np.isfinite(effect(x)).all()

    @pytest.mark.parametrize("n", [1, 2, 5, 4096, 4097])
    def test_full_scale_of_any_length(self, effect, n):
        y = effect(np.ones(n, np.float32))
        assert np.isfinite(y).all()
        assert np.abs(y).max() <= 8  # the equaliser's 12 dB, its resonance, a room's reflections

    def test_nothing_comes_of_nothing(self, effect):
        assert effect(np.zeros(0, np.float32)).shape == (0,)

    @pytest.mark.parametrize("kind", [np.float64, np.float16, np.int16])
    def test_other_numbers_are_float32_first(self, effect, kind):
        x = (100 * noise(3000)).astype(kind)
        np.testing.assert_array_equal(effect(x), effect(x.astype(np.float32)))

    def test_channels_are_refused(self, effect):
        with pytest.raises(ValueError, match=r"shape \(n,\), not \(3000, 2\)"):
            effect(np.zeros((3000, 2), np.float32))


class TestAsSound:
    @given(hnp.arrays(np.float32, st.integers(0, 40), elements=st.floats(-(2.0**39), 2.0**39, width=32)))
    def test_a_sound_is_left_alone(self, x):
        assert as_sound(x) is x

    @given(WEIRD)
    def test_what_is_a_number_stays_and_the_rest_is_near(self, x):
        y = as_sound(x)
        fine = np.abs(x) <= LOUDEST
        np.testing.assert_array_equal(y[fine], x[fine])
        assert not y[np.isnan(x)].any()
        beyond = ~fine & ~np.isnan(x)
        np.testing.assert_array_equal(y[beyond], np.copysign(np.float32(LOUDEST), x[beyond]))
        assert as_sound(y) is y

    def test_what_float32_cannot_hold(self):
        np.testing.assert_array_equal(
            as_sound(np.array([1e300, -1e300, 1e-300])), np.float32([1e12, -1e12, 0])
        )


@pytest.mark.parametrize(
    ("function", "arguments", "words"),
    [
        ("low_pass", (0,), "at least 1 Hz"),
        ("low_pass", (np.nan,), "at least 1 Hz"),
        ("band_pass", (-1, 3000), "not -1 and 3000 Hz"),
        ("band_pass", (np.nan, 3000), "at least 1 Hz"),
        ("band_pass", (np.inf, 3000), "at least 1 Hz"),
        ("band_pass", (0.5, 3000), "at least 1 Hz"),
        ("equalise", ([0, np.nan],), "gains within 300 dB"),
        ("equalise", ([0, np.inf],), "gains within 300 dB"),
        ("equalise", ([],), "gains within 300 dB"),
        ("reverberate", ([],), "at least one sample"),
        ("change_pitch", (np.nan,), "48 semitones, not by nan"),
        ("change_pitch", (-49,), "48 semitones, not by -49"),
        ("quantise", (np.nan,), "2 bits"),
        ("add_noise", (rng(), np.nan), "not nan"),
        ("add_noise", (rng(), -301), "not -301"),
        ("set_level", (np.nan,), "not nan"),
        ("set_level", (np.inf,), "not inf"),
    ],
)
def test_parameters_that_would_make_no_sound(function, arguments, words):
    with pytest.raises(ValueError, match=words):
        getattr(augment, function)(noise(100), *arguments)


@pytest.mark.parametrize("ratio", [np.nan, -np.inf, -101])
def test_a_room_of_reflections_alone(ratio):
    with pytest.raises(ValueError, match=f"at least -100 dB, not {ratio}"):
        augment.room_response(rng(), 0.3, ratio)
