"""Oracles: SciPy's median filter, sed_scores_eval's events at a threshold and its filter, dcase_util's gaps
and least lengths; and naive twins of what nobody else has."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sed_support import oracle

from acdref.labels import events as ev

TENTHS = st.integers(0, 10).map(lambda k: k / 10)
COLUMNS = st.lists(TENTHS, min_size=1, max_size=30)
TIMES = st.integers(0, 60).map(lambda k: k / 10)
EVENTS = st.lists(st.tuples(TIMES, TIMES).map(sorted), max_size=6)
RULES = st.fixed_dictionaries(
    {
        "hold": TENTHS,
        "median": st.sampled_from([0.0, 1.5, 2.5, 4.0]),
        "gap": st.sampled_from([0.0, 0.5, 1.0, 2.2]),
        "least": st.sampled_from([0.0, 0.5, 1.0, 2.0]),
    }
)


@st.composite
def recordings(draw):
    """Scores and spans of a recording, as :func:`acdref.audio.blocks` cuts it."""
    hop = draw(st.sampled_from([500, 300, 1000, 333]))  # samples of 1 kHz
    window = round(hop * draw(st.sampled_from([1, 1.5, 2, 3, 4.7])))
    end = draw(st.integers(10, 12_000))
    spans = [(0, min(window, end))]
    while spans[-1][1] < end:
        start = hop * len(spans)
        spans.append((start, min(start + window, end)))
    shape = len(spans), draw(st.integers(1, 3))
    return draw(hnp.arrays(np.float64, shape, elements=TENTHS)), np.array(spans) / 1000


def cells_of_recordings():
    return recordings().map(lambda recording: ev.cell_scores(*recording))


def at(events, moments):
    """Whether each moment is within an event."""
    return np.array([any(onset <= t < offset for onset, offset in events) for t in moments], bool)


def times(detected, label):
    return [event[1:3] for event in detected if event.label == label]


class TestCellScores:
    def test_windows_side_by_side_are_the_cells(self):
        scores = np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])
        cells, borders = ev.cell_scores(scores, [[0, 10], [10, 20], [20, 23]])
        np.testing.assert_array_equal(cells, scores)
        np.testing.assert_array_equal(borders, [0, 10, 20, 23])

    @pytest.mark.parametrize("combine", ["mean", "max", "min"])
    @given(recordings())
    def test_each_cell_by_the_windows_that_hold_its_middle(self, combine, recording):
        scores, spans = recording
        cells, borders = ev.cell_scores(scores, spans, combine)
        assert borders[0] == spans[0, 0] and borders[-1] == spans[-1, 1] and len(cells) == len(borders) - 1
        for cell, middle in zip(cells, (borders[1:] + borders[:-1]) / 2, strict=True):
            held = scores[(spans[:, 0] <= middle) & (middle < spans[:, 1])]
            assert len(held)
            np.testing.assert_allclose(cell, getattr(np, combine)(held, axis=0), rtol=0, atol=1e-15)

    @given(recordings())
    def test_cells_are_a_hop_long_but_for_the_last(self, recording):
        _, borders = ev.cell_scores(*recording)
        lengths, spans = np.diff(borders), recording[1]
        if len(spans) > 1:
            np.testing.assert_allclose(lengths[:-1], spans[1, 0], rtol=1e-9)
            assert 0 < lengths[-1] <= spans[1, 0] + 1e-9

    @given(recordings())
    def test_mean_lies_between_the_others(self, recording):
        lowest, mean, highest = (ev.cell_scores(*recording, how)[0] for how in ("min", "mean", "max"))
        assert (lowest <= mean).all() and (mean <= highest).all()

    def test_equal_scores_stay_exactly_that(self):
        spans = [[k, k + 7.0] for k in range(20)]
        assert (ev.cell_scores(np.full((20, 1), 0.7), spans)[0] == 0.7).all()

    def test_ten_hours_do_not_drift(self):
        """A hop that is rounded to samples: 5333 of 16 kHz."""
        starts = np.arange(108_000) * 5333 / 16000
        _, borders = ev.cell_scores(np.zeros((len(starts), 1)), np.stack([starts, starts + 1], 1))
        np.testing.assert_allclose(borders[: len(starts)], starts, rtol=0, atol=1e-6)

    @pytest.mark.parametrize(
        ("scores", "spans", "message"),
        [
            (np.zeros((0, 1)), np.zeros((0, 2)), "spans has the shape"),
            ([[0.5]], [[0, 1], [1, 2]], "spans has the shape"),
            ([[1.5]], [[0, 1]], "score"),
            ([[np.nan]], [[0, 1]], "NaN"),
            ([[0.5]], [[1, 1]], "end after its start"),
            ([[0.5]], [[0, np.inf]], "end after its start"),
            ([[0.5]] * 2, [[0, 1], [0, 1]], "a hop apart"),
            ([[0.5]] * 3, [[0, 1], [0.2, 1.2], [1, 2]], "a hop apart"),
            ([[0.5]] * 2, [[0, 3], [1, 2]], "in order"),
            ([[0.5]] * 2, [[0, 1], [2, 3]], "no gap"),
        ],
    )
    def test_refused(self, scores, spans, message):
        with pytest.raises(ValueError, match=message):
            ev.cell_scores(scores, spans)

    def test_unknown_way_to_combine(self):
        with pytest.raises(ValueError, match="combine = 'sum'"):
            ev.cell_scores([[0.5]], [[0, 1]], "sum")


class TestMedianFilter:
    @given(hnp.arrays(np.float64, st.tuples(st.integers(1, 12), st.integers(1, 3)), elements=TENTHS), TENTHS)
    def test_scipy(self, cells, draw):
        ndimage = pytest.importorskip("scipy.ndimage")
        size = 2 * int(draw * 10) + 1
        wanted = ndimage.median_filter(cells, size=(size, 1), mode="nearest")
        np.testing.assert_array_equal(ev.median_filter(cells, size), wanted)

    @pytest.mark.parametrize("size", [3, 5])
    def test_sed_scores_eval_away_from_the_ends(self, size):
        oracle("sed_scores_eval")
        from sed_scores_eval.base_modules.cy_medfilt import cy_medfilt

        scores = np.random.default_rng(0).random((40, 1))
        filtered, borders = cy_medfilt(scores, np.arange(41.0), filter_length_in_sec=float(size))
        wanted = filtered[np.searchsorted(borders, np.arange(40) + 0.5, "right") - 1]
        inner = slice(size, -size)
        np.testing.assert_array_equal(ev.median_filter(scores, size)[inner], wanted[inner])

    def test_short_sound_at_the_end_stays(self):
        column = np.array([[1.0], [0], [0], [0], [0], [1]])
        np.testing.assert_array_equal(ev.median_filter(column, 5), column)

    @pytest.mark.parametrize("size", [0, 2, -1])
    def test_even_size(self, size):
        with pytest.raises(ValueError, match="odd number"):
            ev.median_filter([[0.5]], size)

    def test_no_cells(self):
        assert ev.median_filter(np.zeros((0, 2)), 3).shape == (0, 2)


class TestActiveRuns:
    @given(COLUMNS, TENTHS, TENTHS)
    def test_naive(self, scores, on, off):
        wanted, at = [], 0
        for active, run in itertools.groupby(scores, lambda score: score >= min(on, off)):
            run = list(run)
            if active and max(run) >= on:
                wanted.append([at, at + len(run)])
            at += len(run)
        assert ev.active_runs(scores, on, off).tolist() == wanted

    @given(COLUMNS, st.integers(0, 9).map(lambda k: k / 10 + 0.05))
    def test_sed_scores_eval(self, scores, threshold):
        """It has "above", we "at or above": asked between the scores, as it must be, both are the same."""
        sed = oracle("sed_scores_eval")
        from sed_scores_eval.base_modules.scores import create_score_dataframe

        frame = create_score_dataframe(np.array(scores)[:, None], np.arange(len(scores) + 1.0), ["dog"])
        wanted = sed.base_modules.detection.scores_to_event_list(frame, np.array([threshold]))
        assert ev.active_runs(scores, threshold).tolist() == [list(event[:2]) for event in wanted]

    @given(COLUMNS)
    def test_sed_scores_eval_at_every_score(self, scores):
        oracle("sed_scores_eval")
        from sed_scores_eval.base_modules.cy_detection import onset_offset_curves

        for on, onsets, offsets in zip(
            *onset_offset_curves(scores, np.arange(len(scores) + 1.0)), strict=True
        ):
            wanted = [[a, b] for a, b in zip(onsets, offsets, strict=True) if a < b]
            assert ev.active_runs(scores, on).tolist() == wanted


class TestMergeGaps:
    @given(EVENTS, st.sampled_from([0.0, 0.1, 0.3, 1.0]))
    def test_dcase_util(self, events, gap):
        """Of events that do not overlap; it knows no empty ones."""
        events = ev.at_least(ev.merge_gaps(events), 0.1)
        events += np.linspace(0, 0.001, len(events))[:, None]  # no gap exactly as long as the least
        assert ev.merge_gaps(events, gap).tolist() == processed(events, minimum_event_gap=gap)

    @given(EVENTS, st.sampled_from([0.0, 0.1, 0.3, 1.0]))
    def test_naive(self, events, gap):
        merged = sorted(map(list, events))
        again = True
        while again:
            again = False
            for a, b in itertools.combinations(merged, 2):
                if max(a[0], b[0]) - min(a[1], b[1]) < gap + 1e-9:
                    merged = sorted(
                        [*(e for e in merged if e is not a and e is not b), [a[0], max(a[1], b[1])]]
                    )
                    again = True
                    break
        assert ev.merge_gaps(events, gap).tolist() == merged

    @given(EVENTS, st.sampled_from([0.0, 0.2, 1.0]))
    def test_again_changes_nothing(self, events, gap):
        once = ev.merge_gaps(events, gap)
        np.testing.assert_array_equal(ev.merge_gaps(once, gap), once)

    def test_gap_that_is_not_exact(self):
        assert 0.3 - 0.2 < 0.1 < 0.8 - 0.7  # in floating point
        assert len(ev.merge_gaps([[0, 0.2], [0.3, 0.7], [0.8, 1]], 0.1)) == 1

    @pytest.mark.parametrize("gap", [-0.1, np.nan, np.inf])
    def test_bad_gap(self, gap):
        with pytest.raises(ValueError, match="gap"):
            ev.merge_gaps([[0, 1]], gap)

    @pytest.mark.parametrize("events", [[[1, 0]], [[0, np.nan]], [[0, 1, 2]], [0, 1]])
    def test_bad_events(self, events):
        with pytest.raises(ValueError, match="pairs"):
            ev.merge_gaps(events)


class TestAtLeast:
    @given(EVENTS, st.sampled_from([0.05, 0.3, 1.0]))
    def test_dcase_util(self, events, least):
        """Of a length that none has: by its differences 0.4 s to 0.7 s are shorter than 0.3."""
        events = np.add(ev.merge_gaps(events), [0, 0.001])
        assert ev.at_least(events, least).tolist() == processed(events, minimum_event_length=least)

    def test_a_length_that_is_not_exact(self):
        assert 0.4 - 0.1 > 0.3 > 0.7 - 0.4  # in floating point
        assert len(ev.at_least([[0.1, 0.4], [0.4, 0.7], [0, 0.29]], 0.3)) == 2

    @pytest.mark.parametrize("least", [-1, np.nan])
    def test_bad_least(self, least):
        with pytest.raises(ValueError, match="least"):
            ev.at_least([[0, 1]], least)


def processed(events, **how):
    """What dcase_util makes of events."""
    util = oracle("dcase_util")
    rows = [{"filename": "a.wav", "onset": a, "offset": b, "event_label": "dog"} for a, b in events]
    found = util.containers.MetaDataContainer(rows).process_events(**how)
    return [[event.onset, event.offset] for event in found]


class TestDetectEvents:
    @given(cells_of_recordings(), st.lists(TENTHS, min_size=3, max_size=3), RULES)
    def test_laws(self, recording, thresholds, rules):
        cells, borders = recording
        thresholds = thresholds[: cells.shape[1]]
        found = ev.detect_events(cells, borders, thresholds, **rules)
        assert found == sorted(found, key=lambda event: (event.onset, event.label))
        for label, threshold in enumerate(thresholds):
            own = [event for event in found if event.label == label]
            for event in own:
                assert borders[0] <= event.onset < event.offset <= borders[-1]
                assert event.offset - event.onset > rules["least"] - 1e-6
                assert threshold <= event.peak <= cells[:, label].max()
                assert event.mean <= event.peak + 1e-12
            for one, other in itertools.pairwise(own):
                assert other.onset - one.offset > rules["gap"]

    @given(cells_of_recordings(), TENTHS, TENTHS, RULES)
    def test_what_is_found_grows_as_the_threshold_falls(self, recording, one, other, rules):
        cells, borders = recording
        moments = (borders[1:] + borders[:-1]) / 2
        low, high = (
            ev.detect_events(cells, borders, threshold, **rules) for threshold in sorted([one, other])
        )
        for label in range(cells.shape[1]):
            assert (at(times(low, label), moments) >= at(times(high, label), moments)).all()

    @given(cells_of_recordings(), TENTHS)
    def test_without_rules_every_cell_counts(self, recording, threshold):
        cells, borders = recording
        found = ev.detect_events(cells, borders, threshold)
        for label in range(cells.shape[1]):
            active = at(times(found, label), (borders[1:] + borders[:-1]) / 2)
            np.testing.assert_array_equal(active, cells[:, label] >= threshold)

    def test_a_class_at_a_time(self):
        """Classes do not see each other."""
        cells = np.random.default_rng(0).random((50, 3))
        rules = {"hold": 0.8, "median": 3.0, "gap": 1.0, "least": 2.0}
        found = ev.detect_events(cells, np.arange(51), [0.4, 0.5, 0.6], **rules)
        assert len(found) > 5
        alone = []
        for label, threshold in enumerate([0.4, 0.5, 0.6]):
            own = ev.detect_events(cells[:, [label]], np.arange(51), threshold, **rules)
            alone += [event._replace(label=label) for event in own]
        assert sorted(alone, key=lambda event: (event.onset, event.label)) == found

    def test_peak_and_mean_count_the_gap_and_the_last_cell_by_its_length(self):
        (event,) = ev.detect_events([[0.8], [0.2], [0.6], [1.0]], [0, 2, 4, 6, 7], 0.5, gap=2.0)
        assert event[:4] == (0, 0.0, 7.0, 1.0)
        assert event.mean == pytest.approx((2 * 0.8 + 2 * 0.2 + 2 * 0.6 + 1.0) / 7)

    def test_an_event_is_held_below_the_threshold(self):
        cells, borders = [[0.4], [0.6], [0.3], [0.29], [0.3]], np.arange(6)
        assert times(ev.detect_events(cells, borders, 0.6), 0) == [(1.0, 2.0)]
        assert times(ev.detect_events(cells, borders, 0.6, hold=0.5), 0) == [(0.0, 3.0)]

    def test_gaps_before_lengths(self):
        (event,) = ev.detect_events([[0.9], [0], [0.9], [0]], np.arange(5), 0.5, gap=1.0, least=3.0)
        assert event[1:3] == (0.0, 3.0)

    def test_events_at_both_ends_are_whole(self):
        found = ev.detect_events([[0.9], [0], [0], [0], [0.9]], np.arange(6), 0.5, median=3.0)
        assert times(found, 0) == [(0.0, 1.0), (4.0, 5.0)]

    @pytest.mark.parametrize(("median", "kept"), [(0.0, 1), (2.9, 1), (3.0, 0), (4.9, 0)])
    def test_median_in_seconds(self, median, kept):
        found = ev.detect_events([[0], [0], [0.9], [0], [0]], np.arange(6), 0.5, median=median)
        assert len(found) == kept

    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"cells": [[1.5]]}, "outside|lies in"),
            ({"cells": [[np.nan]]}, "NaN"),
            ({"borders": [0, 1, 2]}, "2 rising times"),
            ({"borders": [1, 0]}, "2 rising times"),
            ({"threshold": [0.5, 0.5]}, "threshold"),
            ({"threshold": np.nan}, "threshold"),
            ({"hold": 1.1}, "hold"),
            ({"median": -1.0}, "median"),
            ({"gap": np.nan}, "gap"),
            ({"least": -1.0}, "least"),
        ],
    )
    def test_refused(self, changed, message):
        with pytest.raises(ValueError, match=message):
            ev.detect_events(**{"cells": [[0.9]], "borders": [0, 1], "threshold": 0.5} | changed)

    def test_arguments_stay_as_they_are(self):
        cells, borders = np.random.default_rng(0).random((6, 2)), np.arange(7.0)
        before = cells.copy(), borders.copy()
        ev.detect_events(cells, borders, 0.5, median=3.0, gap=1.0)
        np.testing.assert_array_equal(cells, before[0])
        np.testing.assert_array_equal(borders, before[1])
