"""What is drawn: its distribution, and that nothing but the strength asked for changes."""

from dataclasses import fields, replace

import numpy as np
import pytest
from augment_support import energy, noise, rms, tone
from hypothesis import given, settings
from hypothesis import strategies as st

from acdref.augment import AUGMENTATIONS, Augmentation, algorithm, codecs, distortion

FULL = {"equaliser": 6.0, "speed": 0.2, "level": (-50, -5)}  # the rest are probabilities
NAMES = [field.name for field in fields(Augmentation)]
ONE = {name: Augmentation(**{name: FULL.get(name, 1.0)}) for name in NAMES}
ALL = Augmentation(**{name: FULL.get(name, 1.0) for name in NAMES})


def rng(seed=0):
    return np.random.default_rng(seed)


def both(augmentation, x, seed=0, sr=16000):
    return augmentation.mixture(augmentation.source(x, rng(seed), sr), rng(seed + 1), sr)


class TestEveryEffect:
    @pytest.mark.parametrize("name", NAMES)
    @settings(max_examples=10)
    @given(n=st.integers(1, 6000), seed=st.integers(0, 2**60))
    def test_finite_of_the_right_length_and_repeatable(self, name, n, seed):
        x = noise(n)
        before = x.copy()
        y = both(ONE[name], x, seed)
        np.testing.assert_array_equal(x, before)
        assert y.dtype == np.float32
        assert np.isfinite(y).all()
        if name in ("pitch", "speed"):
            longest = {"pitch": 1 / 0.9, "speed": 1.2}[name]
            assert len(y) <= longest * n + 0.003 * (n + 6144) + 2
            assert len(y) >= max(1, n / longest - 0.003 * (n + 6144) - 2)
        else:
            assert y.shape == (n,)
        np.testing.assert_array_equal(both(ONE[name], x, seed), y)

    @pytest.mark.parametrize("name", NAMES)
    def test_draws_differ(self, name):
        x = noise(8000)
        assert len({both(ONE[name], x, seed).tobytes() for seed in range(0, 20, 2)}) > 5

    @pytest.mark.parametrize("name", NAMES)
    def test_silence_stays_silence(self, name):
        assert not both(ONE[name], np.zeros(5000, np.float32)).any()

    @pytest.mark.parametrize("sr", [1000, 8000, 44100])
    def test_all_at_other_rates(self, sr):
        for seed in range(0, 10, 2):
            y = both(ALL, noise(4000), seed, sr)
            assert np.isfinite(y).all()
            assert 0 < np.abs(y).max() <= 1

    @pytest.mark.parametrize("scale", [1e-38, 1e-20, 1e10])
    def test_the_faintest_and_the_loudest_sound(self, scale):
        for seed in range(0, 10, 2):
            y = both(ALL, noise(4000) * np.float32(scale), seed)
            assert np.isfinite(y).all()
            assert np.abs(y).max() <= 1

    def test_no_strength_no_change(self):
        x = noise(5000)
        assert both(Augmentation(), x) is x
        np.testing.assert_array_equal(x, noise(5000))

    @pytest.mark.parametrize("name", NAMES[:-1])
    def test_the_others_draw_the_same_without_it(self, name):
        """An effect that changes nothing, since what it does is taken out, leaves the rest as without it."""
        effects = {**algorithm._SOURCE, **algorithm._MIXTURE}
        others = replace(ALL, **{name: 0.0})
        x = noise(6000)
        table = algorithm._SOURCE if name in algorithm._SOURCE else algorithm._MIXTURE
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(table, name, lambda x, rng, strength, sr: (rng.random(100), x)[1])
            y = both(ALL, x)
        assert table[name] is effects[name]
        np.testing.assert_array_equal(both(others, x), y)


class TestDistributions:
    @pytest.mark.parametrize("name", ["band_pass", "low_pass", "room", "distortion", "microphone"])
    def test_probability(self, name):
        x = noise(500)
        changed = np.mean([both(Augmentation(**{name: 0.3}), x, seed) is not x for seed in range(600)])
        assert abs(changed - 0.3) < 4 * np.sqrt(0.21 / 600)

    def test_level_is_uniform_in_its_range(self):
        augmentation = Augmentation(level=(-60, -20))
        db = [20 * np.log10(rms(augmentation.mixture(noise(500), rng(seed)))) for seed in range(400)]
        assert max(db) <= -20 + 1e-3
        assert min(db) >= -60 - 1e-3
        assert np.abs(np.quantile(db, [0.25, 0.5, 0.75]) - [-50, -40, -30]).max() < 4

    def test_equaliser_gains_are_normal(self):
        # Below 60 Hz the gain is that of the first of the 8 frequencies.
        x = tone(30, 8000)
        augmentation = Augmentation(equaliser=5.0)
        gains = [
            20 * np.log10(rms(augmentation.source(x, rng(k))[2000:-2000]) / rms(x[2000:-2000]))
            for k in range(300)
        ]
        assert abs(np.std(gains) - 5) < 4 * 5 / np.sqrt(2 * 300)
        assert abs(np.mean(gains)) < 4 * 5 / np.sqrt(300)

    def test_speed_is_uniform_on_a_logarithmic_scale(self):
        augmentation = Augmentation(speed=0.25)
        lengths = np.array([len(augmentation.source(noise(16000), rng(seed))) for seed in range(400)])
        place = np.log(16000 / lengths) / np.log(1.25)
        assert np.abs(place).max() < 1.02
        assert np.abs(np.quantile(place, [0.25, 0.5, 0.75]) - [-0.5, 0, 0.5]).max() < 8 / np.sqrt(12 * 400)

    @pytest.mark.parametrize(
        ("name", "kept", "lost"),
        [
            ("band_pass", 1000, 7900),
            ("band_pass", 1000, 20),
            ("low_pass", 1000, 7900),
            ("microphone", 1000, 7900),
        ],
    )
    def test_what_bands_always_keep_and_lose(self, name, kept, lost):
        for seed in range(0, 40, 2):
            inside, outside = (
                both(ONE[name], tone(hertz, 16000), seed)[4000:-4000] for hertz in (kept, lost)
            )
            assert rms(inside) == pytest.approx(0.5**0.5, rel=0.01)
            assert rms(outside) < 0.01

    def test_rooms_keep_the_direct_sound_in_time(self):
        x = np.zeros(20000, np.float32)
        x[2000] = 1
        ratios = []
        for seed in range(100):
            y = ONE["room"].source(x, rng(seed))
            assert np.abs(y[:2000]).max() < 1e-6
            assert y[2000] == pytest.approx(1, abs=1e-5)
            ratios.append(-10 * np.log10(energy(y[2001:])))
        assert min(ratios) > -3.01
        assert max(ratios) < 15.01
        assert np.abs(np.quantile(ratios, [0.25, 0.5, 0.75]) - [1.5, 6, 10.5]).max() < 4

    def test_distortions_are_drawn_alike_and_in_their_documented_ranges(self, monkeypatch):
        drawn = {kind: [] for kind in ("hard", "soft", "asymmetric", "quantise")}

        def recorder(kind):
            return lambda x, strength: drawn[kind].append(strength) or x

        monkeypatch.setattr(algorithm, "CLIPPING", tuple(map(recorder, list(drawn)[:3])))
        monkeypatch.setattr(distortion, "quantise", recorder("quantise"))
        for seed in range(800):
            ONE["distortion"].mixture(noise(10), rng(seed))
        for strengths in drawn.values():
            assert abs(len(strengths) / 800 - 0.25) < 4 * np.sqrt(0.1875 / 800)
        bits = drawn.pop("quantise")
        assert set(bits) == set(range(6, 13))
        drives = np.concatenate(list(drawn.values()))
        assert 0 <= drives.min() < 0.25
        assert 14.75 < drives.max() <= 15
        assert np.abs(np.quantile(drives / 15, [0.25, 0.5, 0.75]) - [0.25, 0.5, 0.75]).max() < 0.1

    def test_codecs_are_drawn_in_their_proportions(self, monkeypatch):
        drawn = []
        monkeypatch.setattr(
            codecs, "recode", lambda x, codec, quality, sr: drawn.append((codec, quality)) or x
        )
        monkeypatch.setattr(codecs, "available", lambda sr: tuple(codecs.FORMATS))
        for seed in range(500):
            ONE["codec"].mixture(noise(10), rng(seed))
        names, qualities = zip(*drawn, strict=True)
        for codec, probability in {"vorbis": 0.6, "mp3": 0.3, "opus": 0.1}.items():
            assert abs(names.count(codec) / 500 - probability) < 4 * np.sqrt(0.25 / 500)
        assert np.abs(np.quantile(qualities, [0.25, 0.5, 0.75]) - [0.25, 0.5, 0.75]).max() < 8 / np.sqrt(
            12 * 500
        )

    def test_without_encoders_the_sound_stays_as_it_is(self, monkeypatch):
        monkeypatch.setattr(codecs, "available", lambda sr: ())
        x = noise(1000)
        assert ONE["codec"].mixture(x, rng()) is x


class TestReach:
    """What lies behind it is not heard in the first samples."""

    @pytest.mark.parametrize("name", ["equaliser", "band_pass", "low_pass", "room"])
    def test_what_keeps_the_length(self, name):
        x = noise(40_000)
        for seed in range(4):
            near, far = (ONE[name].source(y, rng(seed)) for y in (x[: ONE[name].reach(12_000)], x))
            assert rms(near[:12_000] - far[:12_000]) < 1e-4 * rms(far)

    @pytest.mark.parametrize("name", ["pitch", "speed"])
    @settings(max_examples=30)
    @given(n=st.integers(1, 30_000), seed=st.integers(0, 2**60))
    def test_there_is_enough_of_it(self, name, n, seed):
        both_of_them = replace(ONE[name], pitch=1.0)
        assert len(both_of_them.source(noise(both_of_them.reach(n)), rng(seed))) >= n + 2048

    def test_nothing_is_varied(self):
        assert AUGMENTATIONS["mixture"].reach(1234) == 1234


class TestNames:
    def test_paper_has_all_of_algorithm_1_and_its_halves_add_up(self):
        paper = AUGMENTATIONS["paper"]
        assert {name for name in NAMES if not getattr(paper, name)} == {"low_pass", "speed", "noise"}
        for name in NAMES[:-1]:
            half = "source" if name in algorithm._SOURCE else "mixture"
            other = {"source": "mixture", "mixture": "source"}[half]
            assert getattr(AUGMENTATIONS[half], name) == getattr(paper, name)
            assert getattr(AUGMENTATIONS[other], name) == 0

    def test_none_is_nothing(self):
        assert AUGMENTATIONS["none"] == Augmentation()

    def test_json_lists_are_as_good_as_tuples(self):
        assert Augmentation(level=[-20, -10]) == Augmentation(level=(-20, -10))

    @pytest.mark.parametrize(
        "wrong",
        [
            {"low_pass": 1.1},
            {"room": -0.1},
            {"codec": np.nan},
            {"equaliser": -1},
            {"equaliser": np.nan},
            {"equaliser": np.inf},
            {"speed": -0.1},
            {"speed": 1},
            {"level": (0, -10)},
            {"level": (0,)},
            {"level": (-np.inf, 0)},
            {"level": (0, np.nan)},
        ],
    )
    def test_out_of_range(self, wrong):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Augmentation(**wrong)
