"""Oracle: Google's framed labels (372 rows of six classes).  For negatives there is none: properties only."""

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labels_support import golden, rank, same, shared

from acdref.labels import strong
from acdref.testing import strategies

# Milliseconds of the paper's frames, often on their borders and middles ...
EVENTS = strategies.event_lists().map(lambda drawn: np.rint(drawn[0] * 1000).astype(int).tolist())
# ... and, since the rule has no scale, frames of a few milliseconds, where ties of all kinds are common.
FEW = st.integers(0, 40)
SHORT_EVENTS = st.lists(st.tuples(FEW, FEW).map(sorted), max_size=5)
SHORT_GRIDS = st.fixed_dictionaries(
    {
        "duration": st.integers(0, 45).map(lambda ms: ms / 1000),
        "frame": st.integers(1, 12).map(lambda ms: ms / 1000),
        "hop": st.none() | st.integers(1, 15).map(lambda ms: ms / 1000),
        "start": st.integers(0, 6).map(lambda ms: ms / 1000),
    }
)


def seconds(events):
    return np.reshape(events, (-1, 2)) / 1000


def naive(events, duration, frame, hop, start):
    """The rule as it is stated, frame by frame and event by event, in whole milliseconds."""
    duration, frame, start = round(duration * 1000), round(frame * 1000), round(start * 1000)
    hop = frame if hop is None else round(hop * 1000)
    present = []
    while start + frame <= duration:
        overlaps = [(min(off, start + frame) - max(on, start), off - on) for on, off in events]
        present.append(any(ov > 0 and 2 * ov >= min(frame, length) for ov, length in overlaps))
        start += hop
    return np.array(present, dtype=bool)


class TestFrameEvents:
    def test_google(self):
        items = golden("hershey_framing_official.json")["items"]
        assert len(items) == 372
        for item in items:
            present = strong.frame_events(seconds(item["events_ms"]))
            assert np.nonzero(present)[0].tolist() == item["present_frames"], item["clip"]

    def test_google_all_at_once(self):
        items = golden("hershey_framing_official.json")["items"]
        events = [event for item in items for event in item["events_ms"]]
        pairs = np.repeat(np.arange(len(items)), [len(item["events_ms"]) for item in items])
        present = strong.frame_events(seconds(events), classes=pairs, n_classes=len(items))
        assert present.shape == (10, 372)
        assert present.sum() == sum(len(item["present_frames"]) for item in items) == 1388

    @given(SHORT_EVENTS, SHORT_GRIDS)
    def test_definition(self, events, grid):
        np.testing.assert_array_equal(strong.frame_events(seconds(events), **grid), naive(events, **grid))

    @given(EVENTS, st.integers(0, 5_000))
    def test_one_frame_anywhere(self, events, at):
        grid = {"duration": at / 1000 + 0.96, "frame": 0.96, "hop": None, "start": at / 1000}
        present = strong.frame_events(seconds(events), **grid)
        assert present.shape == (1,)
        np.testing.assert_array_equal(present, naive(events, **grid))

    @pytest.mark.parametrize(
        ("event", "expected"),
        [
            ([0, 480], True),  # the frame holds all of it
            ([480, 9000], True),  # fills half, exactly
            ([481, 9000], False),
            ([860, 1060], True),  # half of the event, exactly
            ([859, 1060], True),  # 101 of 201
            ([860, 1061], False),  # 100 of 201
            ([500, 500], False),  # of no length
            ([959, 960], True),  # one millisecond
            ([960, 961], False),  # touches the border only
        ],
    )
    def test_boundaries(self, event, expected):
        assert strong.frame_events(seconds(event), duration=0.96)[0] == expected

    def test_times_are_rounded(self):
        assert 1.001 * 1000 < 1001
        assert strong.frame_events([[-9.0, 1.001]], duration=2.002, frame=2.002)[0]

    def test_length_is_not_cut_at_the_last_frame(self):
        """Of 900 ms only 400 lie before 9.6 s: neither half of the frame nor half of the event."""
        assert not strong.frame_events([[9.2, 10.1]]).any()
        assert strong.frame_events([[9.2, 9.6]])[9]

    def test_ten_frames_in_ten_seconds(self):
        assert strong.frame_events([]).shape == (10,)
        assert strong.frame_events([[9.65, 9.95]]).sum() == 0

    @given(SHORT_EVENTS, SHORT_EVENTS, SHORT_GRIDS, st.randoms(use_true_random=False))
    def test_union_over_events(self, first, second, grid, random):
        together = first + second + first
        random.shuffle(together)
        expected = strong.frame_events(seconds(first), **grid) | strong.frame_events(seconds(second), **grid)
        np.testing.assert_array_equal(strong.frame_events(seconds(together), **grid), expected)

    @given(st.tuples(FEW, FEW).map(sorted), st.integers(1, 12))
    def test_event_within_the_frames_has_a_frame(self, event, frame):
        duration = -(-event[1] // frame) * frame
        present = strong.frame_events(seconds(event), duration=duration / 1000, frame=frame / 1000)
        assert present.any() == (event[0] < event[1])

    @given(EVENTS, st.integers(1, 4))
    def test_shift(self, events, frames):
        later = [[on + 960 * frames, off + 960 * frames] for on, off in events]
        shifted = strong.frame_events(seconds(later), duration=9.6 + 0.96 * frames)
        np.testing.assert_array_equal(shifted[frames:], strong.frame_events(seconds(events)))
        assert not shifted[:frames].any()

    @settings(max_examples=400)
    @given(st.tuples(FEW, FEW, FEW).map(sorted), SHORT_GRIDS)
    def test_cutting_never_loses(self, times, grid):
        onset, cut, offset = times
        whole = strong.frame_events(seconds([onset, offset]), **grid)
        pieces = strong.frame_events(seconds([[onset, cut], [cut, offset]]), **grid)
        assert (pieces >= whole).all()

    def test_cutting_can_gain(self):
        assert strong.frame_events([[0.9, 1.92]]).sum() == 1
        assert strong.frame_events([[0.9, 0.96], [0.96, 1.92]]).sum() == 2

    @given(SHORT_EVENTS, st.lists(st.integers(0, 2), min_size=5, max_size=5), SHORT_GRIDS)
    def test_classes(self, events, classes, grid):
        classes = classes[: len(events)]
        present = strong.frame_events(seconds(events), classes=classes, n_classes=3, **grid)
        for c in range(3):
            own = [event for event, k in zip(events, classes, strict=True) if k == c]
            np.testing.assert_array_equal(present[:, c], strong.frame_events(seconds(own), **grid))

    @given(EVENTS)
    def test_share_zero_is_touching(self, events):
        starts = 960 * np.arange(10)
        touched = [any(on < off and on < s + 960 and off > s for on, off in events) for s in starts]
        np.testing.assert_array_equal(strong.frame_events(seconds(events), share=0.0), touched)

    def test_real_events(self):
        """Each event of DESED's strong AudioSet labels that ends by 9.6 s has a frame, alone."""
        with open(shared("data/audioset/strong_desed_train.tsv"), newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        events = np.array([[float(row["onset"]), float(row["offset"])] for row in rows])
        present = strong.frame_events(events, classes=np.arange(len(events)), n_classes=len(events))
        whole = (events[:, 1] <= 9.6) & (events[:, 1] > events[:, 0])
        assert whole.sum() > 8000
        assert present[:, whole].any(axis=0).all()

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"events": [[1.0, 0.5]]}, "ends .* before it starts"),
            ({"events": [[np.nan, 0.5]]}, "not below"),
            ({"events": [1.0, 2.0]}, "expected"),
            ({"events": [[0, 1]], "frame": 0.0001}, "milliseconds"),
            ({"events": [[0, 1]], "hop": 0.0}, "positive"),
            ({"events": [[0, 1]], "frame": -0.96}, "positive"),
            ({"events": [[0, 1]], "share": 1.1}, "share"),
            ({"events": [[0, 1]], "classes": [0]}, "n_classes"),
            ({"events": [[0, 1]], "classes": [2], "n_classes": 2}, "must lie in"),
            ({"events": [[0, 1]], "classes": [0, 1], "n_classes": 2}, "1 events have 2 classes"),
            ({"events": [[0, 1]], "classes": [0.0], "n_classes": 2}, "integers"),
        ],
    )
    def test_refuses(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            strong.frame_events(**arguments)


@st.composite
def annotations(draw):
    """Events of three classes, and the classes marked absent, without conflict."""
    events, classes = draw(strategies.event_lists(n_classes=3))
    heard = set(classes[events[:, 1] > events[:, 0]])
    absent = draw(st.lists(st.sampled_from(sorted({0, 1, 2, 3} - heard)), unique=True))
    return events, classes, absent


class TestNegatives:
    @given(annotations())
    def test_complementary(self, annotation):
        events, classes, _ = annotation
        present = strong.frame_events(events, classes=classes, n_classes=4)
        negative = strong.complementary_negatives(present)
        assert not (present & negative).any()
        some = present.any(axis=0)
        np.testing.assert_array_equal((present | negative).sum(axis=0), np.where(some, 10, 0))

    @given(annotations())
    def test_three_kinds(self, annotation):
        events, classes, absent = annotation
        present = strong.frame_events(events, classes=classes, n_classes=4)
        labels = strong.frame_labels(events, classes, 4, absent)
        explicit = np.zeros_like(present)
        explicit[:, absent] = True
        complementary = strong.complementary_negatives(present)
        assert not (explicit & (present | complementary)).any()
        np.testing.assert_array_equal(labels == 1, present)
        np.testing.assert_array_equal(labels == 0, complementary | explicit)
        np.testing.assert_array_equal(np.isnan(labels), ~(present | complementary | explicit))

    @given(annotations())
    def test_guard(self, annotation):
        """Only frames that an event touches without deciding them differ, and those are unknown."""
        plain = strong.frame_labels(*annotation[:2], 4, annotation[2])
        guarded = strong.frame_labels(*annotation[:2], 4, annotation[2], guard=True)
        touched = strong.frame_events(annotation[0], classes=annotation[1], n_classes=4, share=0.0)
        np.testing.assert_array_equal(guarded, np.where(touched & (plain == 0), np.nan, plain))

    def test_partial_frame_is_negative(self):
        labels = strong.frame_labels([[0.0, 1.1]], [0], 1)
        assert labels[1, 0] == 0
        assert np.isnan(strong.frame_labels([[0.0, 1.1]], [0], 1, guard=True)[1, 0])

    def test_tail_event_says_nothing(self):
        assert np.isnan(strong.frame_labels([[9.7, 9.9]], [0], 1)).all()

    @pytest.mark.parametrize("event", [[1.0, 2.0], [9.7, 9.9]])
    def test_conflict_is_won_by_the_event(self, event):
        with pytest.warns(UserWarning, match=r"classes \[1\] are marked absent but have events"):
            labels = strong.frame_labels([event], [1], 3, absent=[1, 2])
        alone = strong.frame_labels([event], [1], 3)
        assert same(labels[:, 1], alone[:, 1])
        assert (labels[:, 2] == 0).all()

    def test_event_of_no_length_is_no_conflict(self, recwarn):
        assert (strong.frame_labels([[1.0, 1.0]], [0], 1, absent=[0]) == 0).all()
        assert not recwarn

    def test_refuses(self):
        with pytest.raises(ValueError, match="absent"):
            strong.frame_labels([], [], 2, absent=[2])
        with pytest.raises(ValueError, match="boolean"):
            strong.complementary_negatives([[1, 0]])


class TestDiffuse:
    @given(annotations())
    def test_clip_level_or(self, annotation):
        labels = strong.frame_labels(*annotation[:2], 4, annotation[2])
        spread = strong.diffuse(labels)
        positive = (labels == 1).any(axis=0)
        assert (rank(spread) >= rank(labels)).all()
        assert (spread[:, positive] == 1).all()
        assert same(spread[:, ~positive], labels[:, ~positive])
        full = (labels[:, positive] == 1).all()
        assert same(spread, labels) == full
        assert same(strong.diffuse(spread), spread)

    def test_tagged(self):
        assert same(strong.diffuse([[np.nan, 0], [np.nan, 0]], tagged=[True, False]), [[1, 0], [1, 0]])

    @pytest.mark.parametrize("tagged", [[True], [1, 0]])
    def test_refuses(self, tagged):
        with pytest.raises(ValueError, match="tagged"):
            strong.diffuse([[0, 1]], tagged)


class TestDrawStrong:
    def test_pure(self):
        rng = np.random.default_rng(0)
        assert not strong.draw_strong(10_000, 0.0, rng).any()
        assert strong.draw_strong(10_000, 1.0, rng).all()

    @pytest.mark.parametrize("mu", [0.7, 0.8])
    def test_share(self, mu):
        drawn = strong.draw_strong(10_000, mu, np.random.default_rng(0))
        assert drawn.mean() == pytest.approx(mu, abs=4 * np.sqrt(mu * (1 - mu) / 10_000))
        np.testing.assert_array_equal(drawn, strong.draw_strong(10_000, mu, np.random.default_rng(0)))

    @pytest.mark.parametrize("mu", [-0.1, 1.1, np.nan])
    def test_refuses(self, mu):
        with pytest.raises(ValueError, match="mu"):
            strong.draw_strong(1, mu, np.random.default_rng(0))


@given(SHORT_EVENTS, SHORT_GRIDS)
def test_without_frame_are_those_that_mark_none(events, grid):
    alone = [not strong.frame_events(seconds([event]), **grid).any() for event in events]
    assert strong.without_frame(seconds(events), **grid).tolist() == alone


@pytest.mark.parametrize(
    ("events", "grid"),
    [([[0, 1e16]], {}), ([], {"duration": 1e12}), ([], {"duration": np.inf}), ([], {"frame": 1e13})],
)
def test_times_that_no_whole_number_of_milliseconds_holds(events, grid):
    for rule in (strong.frame_events, strong.without_frame):
        with pytest.raises(ValueError, match="not below 1e\\+12 s"):
            rule(events, **grid)
