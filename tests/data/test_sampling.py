import itertools

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from acdref.audio.segments import Clips
from acdref.augment import AUGMENTATIONS, Augmentation
from acdref.data.sampling import Sequences, clip_weights
from acdref.errors import ManifestError
from acdref.labels import or_join
from acdref.tables.manifest import Manifest

SR = 1000  # the lowest rate that is accepted, for speed
FULL, SHORTEST = 10 * SR, 5 * SR
PLAIN = {"mix_max": 1, "mix_sigma": 0.0, "augment": Augmentation()}
POSITIONS = 2**18  # more than the longest recording here

few = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def manifest_of(folder, signals, labels=None):
    names = tuple(f"{k}.wav" for k in range(len(signals)))
    for name, x in zip(names, signals, strict=True):
        soundfile.write(folder / name, np.asarray(x, np.float32), SR, subtype="FLOAT")
    labels = np.eye(len(signals)) if labels is None else np.asarray(labels)
    return Manifest("m.csv", str(folder), names, labels, tuple(f"class{c}" for c in range(labels.shape[1])))


def coded(k, n):
    """Samples that tell their recording and position, exact in float32."""
    return (k * POSITIONS + np.arange(n)) / 2**22


def segments(x):
    """(recording, start, length) of every segment of a sequence of coded recordings."""
    code = np.rint(x * 2**22).astype(int)
    cuts = np.flatnonzero(np.diff(code) != 1) + 1
    edges = [0, *cuts, len(code)]
    return [(*divmod(int(code[a]), POSITIONS), b - a) for a, b in itertools.pairwise(edges)]


LABELS = st.integers(1, 6).flatmap(
    lambda n: hnp.arrays(np.float64, (n, 3), elements=st.sampled_from([0.0, 1.0, np.nan]))
)


class TestAssembly:
    @few
    @given(LABELS, st.data(), st.integers(0, 2**64))
    def test_segments_and_labels(self, tmp_path, labels, data, seed):
        # Around the limits of 5, 10 and 60 s, and long: read in part only.
        near = st.sampled_from([1, 40, 4999, 5000, 5001, 9999, 10000, 10001, 60001, 90000])
        lengths = data.draw(st.lists(near, min_size=len(labels), max_size=len(labels)))
        lengths[0] = max(lengths[0], 40)
        m = manifest_of(tmp_path, [coded(k, n) for k, n in enumerate(lengths)], labels)
        x, y = Sequences(m, seed, clips=Clips(sr=SR), sampling="uniform", **PLAIN).sample(0, 0)
        assert x.shape == (FULL,)
        assert x.dtype == y.dtype == np.float32
        found = segments(x)
        for k, start, n in found:
            assert start + n <= lengths[k]
            assert n <= FULL
        for k, start, n in found[:-1]:
            assert n >= SHORTEST or (start, n) == (0, lengths[k])
        np.testing.assert_array_equal(y, or_join(labels[[k for k, _, _ in found]]))

    def test_lengths_and_starts_are_uniform(self, tmp_path):
        m = manifest_of(tmp_path, [coded(0, 20 * SR)])
        sequences = Sequences(m, 0, clips=Clips(sr=SR), **PLAIN)
        first = np.array([segments(sequences.sample(0, i)[0])[0] for i in range(400)])
        _, start, n = first.T
        assert abs(np.mean(n) - 7500) < 4 * 5000 / np.sqrt(12 * 400)
        place = start / (20 * SR - n)
        assert abs(np.mean(place) - 0.5) < 4 / np.sqrt(12 * 400)
        assert place.min() < 0.02
        assert place.max() > 0.98

    def test_ten_seconds_at_16_khz_by_default(self, tmp_path):
        soundfile.write(tmp_path / "a.flac", np.ones(44100) / 2, 44100)
        x, y = Sequences(Manifest("m", str(tmp_path), ("a.flac",), [[1]], ("dog",)), 0).sample(0, 0)
        assert x.shape == (160_000,)
        assert y == [1]


class TestRepetition:
    @few
    @given(st.sampled_from([40, 4999, 5000, 9999, 10000, 10001, 30000]), st.integers(0, 2**64))
    def test_one_recording_repeated_to_full_length(self, tmp_path, n, seed):
        m = manifest_of(tmp_path, [coded(0, n), coded(1, n)])
        clips = Clips(sr=SR)
        x, y = Sequences(m, seed, fill="repeat", clips=clips, sampling="uniform", **PLAIN).sample(0, 0)
        (recording, start, _), *_ = segments(x)
        assert y.tolist() == [recording == 0, recording == 1]
        np.testing.assert_array_equal(x, np.resize(coded(recording, n)[start : start + FULL], FULL))
        assert start <= max(0, n - FULL)

    def test_mixtures_have_at_most_as_many_recordings(self, tmp_path):
        m = manifest_of(tmp_path, [coded(k, 40) for k in range(6)])
        options = PLAIN | {"mix_max": 2}
        sequences = Sequences(m, 0, fill="repeat", clips=Clips(sr=SR), **options)
        counts = {int(sequences.sample(0, i)[1].sum()) for i in range(40)}
        assert counts == {1, 2}


class TestOnce:
    @few
    @given(st.sampled_from([40, 4999, 9999, 10000, 30000]), st.integers(0, 2**64))
    def test_one_recording_once_and_silence(self, tmp_path, n, seed):
        m = manifest_of(tmp_path, [1 + coded(0, n)])
        x, y = Sequences(m, seed, fill="once", clips=Clips(sr=SR), **PLAIN).sample(0, 0)
        assert x.shape == (FULL,)
        assert y == [1]
        heard = np.flatnonzero(x)
        assert len(heard) == min(n, FULL) == heard[-1] - heard[0] + 1
        start = np.rint((x[heard[0]] - 1) * 2**22).astype(int)
        np.testing.assert_array_equal(x[heard], np.float32(1 + coded(0, n)[start : start + FULL]))

    def test_anywhere(self, tmp_path):
        m = manifest_of(tmp_path, [np.ones(1000)])
        sequences = Sequences(m, 0, fill="once", clips=Clips(sr=SR), **PLAIN)
        place = np.array([np.argmax(sequences.sample(0, i)[0]) for i in range(200)]) / 9000
        assert abs(place.mean() - 0.5) < 4 / np.sqrt(12 * 200)
        assert place.min() < 0.05
        assert place.max() > 0.95

    def test_mixed_is_all_three(self, tmp_path):
        m = manifest_of(tmp_path, [np.full(1000, 0.25), np.full(1000, 0.5)])
        sequences = Sequences(m, 0, fill="mixed", clips=Clips(sr=SR), **PLAIN)
        drawn = [sequences.sample(0, i) for i in range(300)]
        once = sum(bool((x == 0).any()) for x, _ in drawn)
        several = sum(y.sum() == 2 for _, y in drawn)  # ten of two recordings, hardly ever of one only
        repeated = len(drawn) - once - several
        assert all(abs(count - 100) < 4 * np.sqrt(300 * 2 / 9) for count in (once, several, repeated))


class TestLengths:
    def test_a_batch_has_one_length_and_every_length_as_much_sound(self, tmp_path):
        m = manifest_of(tmp_path, [np.ones(400)])
        sequences = Sequences(m, 3, seconds=(0.1, 0.4), group=4, fill="repeat", clips=Clips(sr=SR), **PLAIN)
        lengths = np.array([sequences.length(epoch, i) for epoch in range(2) for i in range(2000)])
        batches = lengths.reshape(-1, 4)
        assert (batches == batches[:, :1]).all()
        assert set(lengths) == {100, 400}
        short = np.mean(batches[:, 0] == 100)
        assert abs(short - 0.8) < 4 * np.sqrt(0.8 * 0.2 / 1000)
        assert sequences.samples == 400
        assert all(len(sequences.sample(0, i)[0]) == lengths[i] for i in range(0, 80, 4))

    def test_one_length_draws_nothing(self, tmp_path):
        m = manifest_of(tmp_path, [coded(0, 900)])
        one, same = (
            Sequences(m, 3, seconds=seconds, fill="repeat", clips=Clips(sr=SR)) for seconds in (0.4, (0.4,))
        )
        np.testing.assert_array_equal(one.sample(1, 2)[0], same.sample(1, 2)[0])

    def test_none_or_below_zero(self, tmp_path):
        with pytest.raises(ValueError, match="seconds > 0"):
            Sequences(manifest_of(tmp_path, [[0.5]]), 0, seconds=(4.0, 0.0), clips=Clips(sr=SR))


class TestEmpty:
    def test_as_often_as_asked_and_without_a_class(self, tmp_path):
        m = manifest_of(tmp_path, [np.full(400, 0.5)])
        sequences = Sequences(m, 5, empty=0.25, seconds=0.4, fill="repeat", clips=Clips(sr=SR), **PLAIN)
        drawn = [sequences.sample(0, i) for i in range(400)]
        assert {y.shape for _, y in drawn} == {(1,)}
        for x, y in drawn:
            assert x.dtype == y.dtype == np.float32
            assert y == (np.array_equal(x, np.full(400, np.float32(0.5))))
        assert abs(np.mean([y == 0 for _, y in drawn]) - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 400)

    def test_a_recording_is_still_drawn_by_seed_epoch_and_index(self, tmp_path):
        m = manifest_of(tmp_path, [coded(k, 900) for k in range(5)])
        sequences = Sequences(m, 5, empty=0.5, clips=Clips(sr=SR))
        backwards = [sequences.sample(0, i)[0] for i in reversed(range(20))]
        for i, x in enumerate(reversed(backwards)):
            np.testing.assert_array_equal(sequences.sample(0, i)[0], x)


class TestMixing:
    def test_every_sample_has_as_many_sources_and_labels_are_theirs(self, tmp_path):
        # Recording k is the constant 4^k: the digits of a sum to base 4 count its sources.
        m = manifest_of(tmp_path, [np.full(6000, 4.0**k / 2**20) for k in range(8)])
        sequences = Sequences(m, 1, clips=Clips(sr=SR), **PLAIN | {"mix_max": 3})
        counts = []
        for index in range(200):
            x, y = sequences.sample(0, index)
            digits = np.rint(x * 2**20).astype(int)[:, None] // 4 ** np.arange(8) % 4
            total = digits.sum(axis=1)
            assert (total == total[0]).all()
            counts.append(total[0])
            np.testing.assert_array_equal(y, digits.any(axis=0))
        assert set(counts) == {1, 2, 3}
        assert min(np.bincount(counts)[1:]) > 200 / 3 - 4 * np.sqrt(200 * 2 / 9)

    def test_gains_change_the_sound_but_never_the_labels(self, tmp_path):
        m = manifest_of(tmp_path, [np.full(6000, 1 / 8)] * 3, np.array([[1, 0], [np.nan, 1], [0, np.nan]]))
        soft, loud = (
            Sequences(m, 2, clips=Clips(sr=SR), **PLAIN | {"mix_max": 2, "mix_sigma": s}) for s in (0.0, 90.0)
        )
        gains = []
        for index in range(300):
            (x, y), (x_loud, y_loud) = soft.sample(0, index), loud.sample(0, index)
            np.testing.assert_array_equal(y, y_loud)
            if x[0] == 1 / 8:
                gains.append(20 * np.log10(x_loud[0] * 8))
        assert len(gains) > 100
        assert abs(np.std(gains) - 90) < 4 * 90 / np.sqrt(2 * len(gains))
        assert abs(np.mean(gains)) < 4 * 90 / np.sqrt(len(gains))


class TestMixup:
    LABELS = np.array([[1, 0, 0, np.nan], [0, 1, 0, 0], [1, 1, 0, 1]])

    def pair(self, folder, **options):
        """Sequences that are OR-joined and mixed up, of the same recordings."""
        m = manifest_of(folder, [np.full(6000, 2.0**k) / 8 for k in range(3)], self.LABELS)
        options = {"mix_max": 2, "mix_sigma": 0.0, "augment": Augmentation()} | options
        return (Sequences(m, 5, mixing=mixing, clips=Clips(sr=SR), **options) for mixing in ("or", "mixup"))

    def test_sound_and_labels_have_the_same_weight(self, tmp_path):
        ored, mixed = self.pair(tmp_path, fill="repeat")
        sources = {2.0**i / 8 + 2.0**j / 8: (i, j) for i, j in itertools.combinations(range(3), 2)}
        weights = []
        for index in range(300):
            (x_or, _), (x, y) = ored.sample(0, index), mixed.sample(0, index)
            if x_or[0] not in sources:  # one source, or the same twice
                continue
            i, j = sources[x_or[0]]
            weight = (x[0] - 2.0**j / 8) / (2.0**i / 8 - 2.0**j / 8)
            expected = weight * self.LABELS[i] + (1 - weight) * self.LABELS[j]
            np.testing.assert_allclose(y, expected, atol=1e-6)
            assert (x == x[0]).all()
            weights.append(weight)
        assert len(weights) > 60
        # Uniform in [0, 1].
        assert abs(np.mean(weights) - 0.5) < 4 / np.sqrt(12 * len(weights))
        assert abs(np.var(weights) - 1 / 12) < 4 / np.sqrt(180 * len(weights))

    def test_without_a_second_source_nothing_is_mixed(self, tmp_path):
        ored, mixed = self.pair(tmp_path, mix_max=1)
        for index in range(5):
            for a, b in zip(ored.sample(0, index), mixed.sample(0, index), strict=True):
                np.testing.assert_array_equal(a, b)

    def test_gains_touch_no_label(self, tmp_path):
        _, plain = self.pair(tmp_path)
        _, loud = self.pair(tmp_path, mix_sigma=20.0)
        for index in range(20):
            np.testing.assert_array_equal(plain.sample(0, index)[1], loud.sample(0, index)[1])

    def test_of_two_only(self, tmp_path):
        with pytest.raises(ValueError, match="mixup is of two sequences, not of mix_max = 3"):
            list(self.pair(tmp_path, mix_max=3))


class TestAugmentation:
    @few
    @given(st.integers(0, 2**64), st.sampled_from(list(AUGMENTATIONS)))
    def test_labels_are_those_of_the_recordings_drawn(self, tmp_path, seed, name):
        rng = np.random.default_rng(0)
        labels = np.array([[1, 0, np.nan], [0, 0, 1], [np.nan, 0, 0]])
        m = manifest_of(tmp_path, [rng.uniform(-1, 1, n) for n in (40, 3000, 12000)], labels)
        sequences = Sequences(m, seed, clips=Clips(sr=SR), augment=AUGMENTATIONS[name])
        drawn, draw = [], sequences._draw_segment

        def noted(*given):
            row, segment = draw(*given)
            drawn.append(row)
            return row, segment

        sequences._draw_segment = noted
        x, y = sequences.sample(0, 0)
        assert x.shape == (FULL,)
        assert np.isfinite(x).all()
        if name != "none":
            assert np.abs(x).max() <= 1
        np.testing.assert_array_equal(y, or_join(labels[drawn]))

    @pytest.mark.parametrize("strength", [{"equaliser": 6.0}, {"room": 1.0}, {"distortion": 1.0}])
    def test_which_recordings_are_drawn_does_not_depend_on_it(self, tmp_path, strength):
        # Their lengths are kept, so the segments meet at the same places.
        m = manifest_of(tmp_path, [np.linspace(-1, 1, n) for n in (40, 3000, 12000)])
        options = {"clips": Clips(sr=SR), "fill": "repeat", "mix_sigma": 0.0}
        plain, varied = (
            Sequences(m, 0, augment=augment, **options)
            for augment in (Augmentation(), Augmentation(**strength))
        )
        for index in range(20):
            (x, y), (x_varied, y_varied) = plain.sample(0, index), varied.sample(0, index)
            np.testing.assert_array_equal(y_varied, y)
            assert (x_varied != x).any()

    @pytest.mark.parametrize("effect", ["equaliser", "room"])
    def test_only_what_is_heard_is_varied(self, tmp_path, effect, monkeypatch):
        m = manifest_of(tmp_path, [np.random.default_rng(k).uniform(-1, 1, 9000 + k) for k in range(3)])
        augment = Augmentation(**{effect: 1.0})
        sequences = Sequences(m, 0, clips=Clips(sr=SR), augment=augment)
        lengths, source = [], Augmentation.source

        def noted(self, x, *others):
            lengths.append(len(x))
            return source(self, x, *others)

        monkeypatch.setattr(Augmentation, "source", noted)
        cut = [sequences.sample(0, index) for index in range(10)]
        few, lengths[:] = sum(lengths), []
        monkeypatch.setattr(Augmentation, "reach", lambda self, n: FULL)
        for index, (x, y) in enumerate(cut):
            whole, labels = sequences.sample(0, index)
            np.testing.assert_allclose(x, whole, atol=1e-3)
            np.testing.assert_array_equal(y, labels)
        assert few < 0.95 * sum(lengths)

    def test_sources_and_mixtures_have_rooms_of_their_own(self, tmp_path):
        """Recordings of one click each: every one is followed by other reflections."""
        click = np.zeros(5000)
        click[100] = 1
        m = manifest_of(tmp_path, [click])
        sequences = Sequences(m, 0, clips=Clips(sr=SR), **PLAIN | {"augment": Augmentation(room=1.0)})
        x = sequences.sample(0, 0)[0].reshape(2, 5000)
        np.testing.assert_array_equal(np.argmax(np.abs(x), axis=1), 100)
        assert (x[0, 101:] != x[1, 101:]).any()

    def test_the_level_comes_last(self, tmp_path):
        rng = np.random.default_rng(0)
        m = manifest_of(tmp_path, [rng.uniform(-1, 1, 6000) * 10.0**-k for k in range(4)])
        sequences = Sequences(m, 0, clips=Clips(sr=SR), augment=AUGMENTATIONS["paper"])
        x = np.array([sequences.sample(0, i)[0] for i in range(30)], dtype=np.float64)
        db = 10 * np.log10(np.mean(x**2, axis=1))
        assert np.abs(x).max() <= 1
        assert (db <= -10 + 1e-3).all()
        assert (db >= -45 - 1e-3).all()

    def test_silence_stays_silence(self, tmp_path):
        m = manifest_of(tmp_path, [np.zeros(n) for n in (40, 7000, 12000)])
        sequences = Sequences(m, 0, clips=Clips(sr=SR), augment=AUGMENTATIONS["paper"])
        assert not any(sequences.sample(0, index)[0].any() for index in range(10))


class TestWeights:
    @given(
        hnp.arrays(
            np.float64,
            st.tuples(st.integers(1, 9), st.integers(1, 4)),
            elements=st.sampled_from([0.0, 1.0, np.nan]),
        )
    )
    def test_balanced_is_a_group_then_a_recording_of_it(self, labels):
        groups = [[n for n, row in enumerate(labels) if row[c] == 1] for c in range(labels.shape[1])]
        groups.append([n for n, row in enumerate(labels) if not (row == 1).any()])
        groups = [group for group in groups if group]
        expected = np.zeros(len(labels))
        for group in groups:
            for n in group:
                expected[n] += 1 / len(groups) / len(group)
        np.testing.assert_allclose(clip_weights(labels, "balanced"), expected, rtol=1e-12)
        np.testing.assert_allclose(clip_weights(labels, "uniform"), 1 / len(labels), rtol=1e-12)

    def test_recordings_are_drawn_by_their_weights(self, tmp_path):
        m = manifest_of(
            tmp_path, [coded(k, FULL) for k in range(4)], np.array([[1, 0], [1, 0], [1, 0], [1, 1]])
        )
        sequences = Sequences(m, 0, clips=Clips(sr=SR), **PLAIN)
        drawn = (
            np.bincount([segments(sequences.sample(0, i)[0])[0][0] for i in range(600)], minlength=4) / 600
        )
        assert np.abs(drawn - [1 / 8, 1 / 8, 1 / 8, 5 / 8]).max() < 4 * np.sqrt(0.25 / 600)


class TestDeterminism:
    @pytest.mark.parametrize("name", list(AUGMENTATIONS))
    def test_same_numbers_same_sequence_whatever_came_before(self, tmp_path, name):
        rng = np.random.default_rng(0)
        m = manifest_of(tmp_path, [rng.uniform(-1, 1, n) for n in (300, 7000, 12000, 61000)])
        used, fresh = (
            Sequences(m, 5, clips=clips, augment=AUGMENTATIONS[name])
            for clips in (Clips(sr=SR), Clips(0, sr=SR))
        )
        for epoch, index in [(0, 0), (1, 0), (0, 1), (0, 0), (3, 9999)]:
            for a, b in zip(used.sample(epoch, index), fresh.sample(epoch, index), strict=True):
                np.testing.assert_array_equal(a, b)
        seen = {used.sample(*at)[0].tobytes() for at in [(0, 0), (1, 0), (0, 1), (1, 1)]}
        seen.add(Sequences(m, 6, clips=Clips(sr=SR), augment=AUGMENTATIONS[name]).sample(0, 0)[0].tobytes())
        assert len(seen) == 5


class TestBrokenRecordings:
    def test_are_left_out_and_named_once(self, tmp_path):
        m = manifest_of(tmp_path, [coded(k, 7000) for k in range(5)])
        (tmp_path / "1.wav").write_text("not audio")
        (tmp_path / "3.wav").unlink()
        used = Sequences(m, 0, clips=Clips(sr=SR), **PLAIN)
        for index in range(20):
            x, y = used.sample(0, index)
            found = {k for k, _, _ in segments(x)}
            assert found <= {0, 2, 4}
            assert set(np.flatnonzero(y)) == found
            fresh = Sequences(m, 0, clips=Clips(sr=SR), **PLAIN).sample(0, index)
            np.testing.assert_array_equal(fresh[0], x)
        assert set(used.failures) == {m.file(1), m.file(3)}
        assert used.failures[m.file(3)].cause == "no such file"

    def test_nothing_else_left(self, tmp_path):
        m = manifest_of(tmp_path, [[0.0]] * 3)
        for k in range(3):
            (tmp_path / f"{k}.wav").write_text("not audio")
        with pytest.raises(ManifestError, match=r"m\.csv: no recording can be decoded, such as .*\.wav: "):
            Sequences(m, 0).sample(0, 0)


class TestParameters:
    def test_no_recordings(self):
        with pytest.raises(ManifestError, match="no recordings"):
            Sequences(Manifest("m.csv", ".", (), np.zeros((0, 1)), ("dog",)), 0)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"mix_max": 0},
            {"mix_sigma": -1},
            {"seconds": 0},
            {"sampling": "fair"},
            {"fill": "silence"},
            {"mixing": "and"},
        ],
    )
    def test_out_of_range(self, wrong):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Sequences(Manifest("m.csv", ".", ("a",), [[1]], ("dog",)), 0, **wrong)
