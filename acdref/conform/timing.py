"""Cases of the label rules about time: frames, windows, and of folds and verification."""

import warnings
from collections.abc import Iterator

import numpy as np

from acdref import labels as rules
from acdref.conform.rules import rule_cases
from acdref.conform.writing import Case

NAN = np.nan
LEFTOVERS = ("balanced", "first")


def cases() -> Iterator[Case]:
    """Those of the section "labels" that stand here."""
    for chapter in (
        _frames,
        _lost_events,
        _frame_labels,
        _diffuse,
        _posteriors,
        _verification,
        _folds,
        _round_folds,
    ):
        yield from chapter()
    for chapter in (_windows, _samples, _batches, _soft_labels):
        yield from chapter()


GRID = {"duration": 10.0, "frame": 0.96, "hop": 0.96, "start": 0.0}


def _events():
    """(onset, offset, class): each class tells one reading from the others."""
    return np.array(
        [
            (0.48, 3.0, 0),  # half of the first frame exactly
            (4.321, 5.5, 0),  # 1 ms less than half of the frame from 3.84
            (1.82, 2.02, 1),  # half of the event in either frame
            (5.0, 5.0, 1),  # no length
            (0.2, 1.3, 2),  # two events that fill half of the frame from 0.96 together only
            (1.6, 3.0, 2),
            (9.4, 9.9, 3),  # holds half of the frame's part, not of the event
            (9.62, 9.9, 4),  # behind the last frame
            (0.76, 0.96, 5),  # merged with the next one it would be another event
            (0.96, 1.06, 5),
            (6.0, 6.1, 6),
            (6.0, 6.1, 6),
        ]
    )


def _drawn_events(seed, n, n_classes):
    rng = np.random.default_rng(seed)
    onset = np.round(rng.uniform(0, 9.5, n), 3)
    return np.stack(
        [onset, np.round(onset + rng.exponential(1.0, n), 3), rng.integers(0, n_classes, n)], axis=1
    )


def _listed(events, n_classes):
    """The inputs that say what sounds."""
    return {"events": events[:, :2], "classes": events[:, 2].astype(np.int64), "n_classes": n_classes}


def _frames():
    def rule(share, **given):
        return {"present": rules.frame_events(share=share, **given)}

    by_hand, drawn = _listed(_events(), 8), _listed(_drawn_events(20, 25, 4), 4)
    yield from rule_cases(
        "labels/frame_events",
        "some single event e: overlap > 0 and overlap >= share * min(frame, length of e)",
        rule,
        {
            "by_hand": by_hand | GRID | {"share": 0.5},
            "random": drawn | GRID | {"share": 0.5},
            "overlapping_frames": drawn | GRID | {"hop": 0.25, "start": 0.1, "share": 0.5},
            "one_frame": drawn | GRID | {"start": 3.217, "duration": 4.177, "share": 0.5},
            "touched": by_hand | GRID | {"share": 0.0},
            "no_events": _listed(_events()[:0], 2) | GRID | {"share": 0.5},
            "too_short": by_hand | GRID | {"duration": 0.95, "share": 0.5},
        },
        {
            "touching or overlapping events of a class were merged": _framed(merge=True),
            "the events of a class were summed": _framed(summed=True),
            "exactly half was not enough": _framed(enough=np.greater),
            "half of the event was not enough, only half of the frame": _framed(event_counts=False),
            "events were cut at the end of the last frame": _framed(cut=True),
            "the last, incomplete frame was kept": lambda duration, frame, **given: rule(
                duration=duration + frame if duration > frame else duration, frame=frame, **given
            ),
        },
        "4, sec. 3",
    )


def _lost_events():
    by_hand = {"events": _events()[:, :2]} | GRID
    yield from rule_cases(
        "labels/without_frame",
        "no frame holds half of the event, or of itself",
        lambda **given: {"lost": rules.without_frame(**given)},
        {"by_hand": by_hand, "short": by_hand | {"duration": 0.5}},
        {"all of an event was needed": lambda events, duration, **given: {"lost": events[:, 1] > duration}},
        "4, sec. 3",
    )


def _framed(merge=False, summed=False, enough=np.greater_equal, event_counts=True, cut=False):
    """The rule of frame_events frame by frame, with other readings."""

    def framed(events, classes, n_classes, duration, frame, hop, start, share):
        times = np.rint(np.array(events) * 1000).astype(np.int64)
        duration, frame, hop, start = (round(1000 * t) for t in (duration, frame, hop, start))
        starts = start + hop * np.arange(max((duration - start - frame) // hop + 1, 0))
        present = np.zeros((len(starts), n_classes), dtype=bool)
        for c in range(n_classes):
            own = times[classes == c]
            own = _merged(own) if merge else own
            if cut and len(starts):
                own = np.minimum(own, starts[-1] + frame)
            overlap = np.minimum(own[:, 1], starts[:, None] + frame) - np.maximum(own[:, 0], starts[:, None])
            overlap, length = np.maximum(overlap, 0), own[:, 1] - own[:, 0]  # (K, E), (E,)
            if summed:
                overlap, length = overlap.sum(axis=1, keepdims=True), length.sum(keepdims=True)
            needed = share * (np.minimum(frame, length) if event_counts else frame)
            present[:, c] = ((overlap > 0) & enough(overlap, needed)).any(axis=1)
        return {"present": present}

    return framed


def _merged(times):
    merged = []
    for onset, offset in sorted(times.tolist()):
        if merged and onset <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], offset)
        else:
            merged.append([onset, offset])
    return np.array(merged, dtype=np.int64).reshape(-1, 2)  # (E, 2)


def _frame_labels():
    present = np.array([[1, 0, 0], [0, 0, 1], [1, 0, 1]], dtype=bool)
    yield from rule_cases(
        "labels/complementary_negatives",
        "frames that are not PRESENT, of a class that has a PRESENT frame",
        lambda present: {"negatives": rules.complementary_negatives(np.asarray(present, dtype=bool))},
        {"small": {"present": present}, "no_frames": {"present": present[:0]}},
        {"classes without any PRESENT frame were negative": lambda present: {"negatives": ~present}},
        "4, sec. 3",
    )

    def rule(guard, **given):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a class is absent and has events: part of the case
            return {"labels": rules.frame_labels(guard=bool(guard), **given)}

    def absence_wins(absent, **given):
        labels = rule(absent=absent, **given)["labels"]
        labels[:, absent] = 0
        return {"labels": labels}

    by_hand = _listed(_events(), 9) | {"absent": np.array([7, 5])} | GRID
    yield from rule_cases(
        "labels/frame_labels",
        "1 PRESENT; 0 complementary and explicit negatives; NaN elsewhere",
        rule,
        {
            "by_hand": by_hand | {"guard": 0},
            "guard": by_hand | {"guard": 1},
            "nobody_absent": by_hand | {"absent": np.zeros(0, dtype=np.int64), "guard": 0},
        },
        {
            "absence won over events": absence_wins,
            "frames touched by an event were unknown, not negative": lambda guard, **given: rule(
                guard=1, **given
            ),
            "what is not PRESENT was 0": lambda guard, **given: {
                "labels": np.nan_to_num(rule(guard, **given)["labels"])
            },
        },
        "4, sec. 3",
    )


def _diffuse():
    labels = np.array([[1, 0, NAN, NAN], [0, 0, NAN, 0], [0, 0, NAN, NAN]])

    def rule(labels, tagged):
        return {"diffuse": rules.diffuse(labels, np.asarray(tagged, dtype=bool))}

    yield from rule_cases(
        "labels/diffuse",
        "1 in every frame of a class with a frame 1 or tagged; else as it was",
        rule,
        {
            "frames_alone": {"labels": labels, "tagged": np.zeros(4, dtype=bool)},
            "tagged": {"labels": labels, "tagged": np.array([0, 0, 1, 1], dtype=bool)},
        },
        {
            "the tags were not looked at": lambda labels, tagged: rule(labels, 0 * tagged),
            "unknown frames stayed unknown": lambda labels, tagged: {
                "diffuse": np.where(np.isnan(labels), NAN, rule(labels, tagged)["diffuse"])
            },
        },
        "4, sec. 4",
    )


def _posteriors():
    rng = np.random.default_rng(21)
    yield from rule_cases(
        "labels/mean_posterior",
        "mean over the first axis",
        lambda probs: {"mean": rules.mean_posterior(probs)},
        {"random": {"probs": rng.dirichlet(np.ones(4), (5, 3))}},
        {
            "the geometric mean was taken": lambda probs: {"mean": np.exp(np.log(probs).mean(axis=0))},
        },
        "2, sec. 4",
        rtol=1e-13,
    )
    spec = rng.integers(0, 100, (2, 5)).astype(np.float64)

    def zeros(spec, n):
        out = np.zeros((len(spec), n))
        out[:, : spec.shape[1]] = spec[:, :n]
        return {"fixed": out}

    yield from rule_cases(
        "labels/fix_length",
        "out[..., t] = spec[..., t mod T]",
        lambda spec, n: {"fixed": rules.fix_length(spec, n)},
        {
            "repeated": {"spec": spec, "n": 13},
            "cut": {"spec": spec, "n": 3},
            "empty": {"spec": spec, "n": 0},
        },
        {
            "zeros were put behind": zeros,
            "it was mirrored": lambda spec, n: {"fixed": np.pad(spec, ((0, 0), (0, n)), "symmetric")[:, :n]},
        },
        "2, sec. 2",
    )


def _verification():
    probs = np.array(
        [
            [0.97, 0.02, 0.01], [0.95, 0.04, 0.01], [0.97, 0.02, 0.01], [0.97, 0.02, 0.01], [0.99, 0.01, 0.0],
            [0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.02, 0.96, 0.02], [0.02, 0.02, 0.96], [0.1, 0.6, 0.3],
            [0.3, 0.3, 0.4], [NAN, 0.96, 0.04], [0.0, 0.96, 0.04], [1.0, 0.0, 0.0],
        ]
    )  # fmt: skip
    given = {
        "probs": probs,
        "labels": np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 1, 1, 1]),
        "verified": np.array([0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1], dtype=bool),
    }

    def rule(threshold, cap, probs, labels, verified):
        limits = (None if np.isnan(threshold) else threshold, None if cap < 0 else cap)
        return {"accepted": rules.verify(probs, labels, np.asarray(verified, dtype=bool), *limits)}

    def turned(threshold, cap, **given):
        backwards = {name: value[::-1] for name, value in given.items()}
        return {"accepted": rule(threshold, cap, **backwards)["accepted"][::-1]}

    def verified_too(verified, **others):
        return {"accepted": verified | rule(verified=0 * verified, **others)["accepted"]}

    yield from rule_cases(
        "labels/verify",
        "verified, or argmax is the label, its posterior >= threshold, among the cap best of its class",
        rule,
        {
            "paper": given | {"threshold": 0.95, "cap": 40},
            "cap_two": given | {"threshold": 0.95, "cap": 2},
            "no_threshold": given | {"threshold": NAN, "cap": 3},
            "no_cap": given | {"threshold": NAN, "cap": -1},
            "cap_none": given | {"threshold": 0.5, "cap": 0},
        },
        {
            "a posterior equal to the threshold was refused": lambda threshold, **others: rule(
                np.nextafter(threshold, 2), **others
            ),
            "later clips came first among equals": turned,
            "verified clips counted towards the cap": verified_too,
            "it was not asked whether the label is the most probable class": lambda probs, labels, **others: (
                rule(probs=np.where(np.eye(probs.shape[1])[labels] == 1, probs, 0), labels=labels, **others)
            ),
        },
        "2, sec. 4",
    )


def _classes():
    """Classes of clips, and which are verified."""
    rng = np.random.default_rng(22)
    return rng.integers(0, 4, 61) * 3 + 1, rng.random(61) < 0.4


def _folds():
    labels, verified = _classes()

    def rule(labels, verified, n_folds, leftovers):
        return {
            "folds": rules.stratified_folds(
                labels, np.asarray(verified, dtype=bool), n_folds, LEFTOVERS[leftovers]
            )
        }

    def in_turn(labels, verified, n_folds, leftovers):
        folds = np.zeros(len(labels), dtype=np.int64)
        for part in (verified, ~verified):
            for c in np.unique(labels):
                chosen = part & (labels == c)
                folds[chosen] = np.arange(chosen.sum()) % n_folds
        return {"folds": folds}

    given = {"labels": labels, "verified": verified, "n_folds": 4}
    yield from rule_cases(
        "labels/stratified_folds",
        "verified clips and others apart: the clips of a class in order, in runs, to folds 0, 1, ...",
        rule,
        {
            "balanced": given | {"leftovers": 0},
            "first": given | {"leftovers": 1},
            "small": {
                "labels": [0, 0, 0, 1, 1, 1],
                "verified": np.zeros(6, bool),
                "n_folds": 2,
                "leftovers": 0,
            },
        },
        {
            "the leftovers went to other folds": lambda leftovers, **others: rule(
                leftovers=1 - leftovers, **others
            ),
            "the clips of a class went to the folds in turn, not in runs": in_turn,
            "verified clips and others were split together": lambda verified, **others: rule(
                verified=np.zeros(len(verified)), **others
            ),
        },
        "2, sec. 4",
    )


def _round_folds():
    labels, verified = _classes()
    accepted = verified | (np.arange(len(labels)) % 4 == 0)
    yield from rule_cases(
        "labels/round_folds",
        "stratified_folds by the official flags; by the round's flags with refold",
        lambda labels, official, verified, n_folds, leftovers, refold: {
            "folds": rules.round_folds(
                labels, official, verified, n_folds, LEFTOVERS[leftovers], bool(refold)
            )
        },
        {
            name: {
                "labels": labels,
                "official": verified,
                "verified": accepted,
                "n_folds": 4,
                "leftovers": 0,
                "refold": refold,
            }
            for refold, name in enumerate(("kept", "anew"))
        },
        paper="2, sec. 4",
    )


def _windows():
    lengths = {
        "tail": (10.1, 5.0, 5.0),
        "rounded": (9.97, 2.0, 2.0),
        "tiles": (9.6, 2.0, 2.0),
        "none": (0.0, 2.0, 2.0),
    }
    lengths |= {"one": (3.0, 10.0, 10.0), "overlapping": (10.0, 5.0, 2.5), "thirds": (0.9, 0.3, 0.3)}
    variants = {
        name: dict(zip(("duration", "window", "hop"), times, strict=True)) for name, times in lengths.items()
    }

    def rule(duration, window, hop):
        return {"windows": rules.windows(duration, window, hop)}

    yield from rule_cases(
        "labels/windows",
        "starts k * hop below the duration, each to min(start + window, duration)",
        rule,
        variants,
        {
            "the short last window was dropped": lambda duration, window, hop: {
                "windows": np.array(
                    [one for one in rule(duration, window, hop)["windows"] if np.ptp(one) > window - 1e-9]
                ).reshape(-1, 2)
            },
            "the last window went beyond the end": lambda duration, window, hop: {
                "windows": rule(duration, window, hop)["windows"][:, :1] + [[0, window]]
            },
            "the duration was not rounded to 0.1 s": lambda duration, window, hop: {
                "windows": np.minimum(rule(duration, window, hop)["windows"], duration)
            },
        },
        "5",
        rtol=1e-14,
    )


def _samples():
    yield from rule_cases(
        "labels/window_samples",
        "floor(t * sr)",
        lambda windows, sr: {"samples": rules.window_samples(windows, sr)},
        {
            "sixteen": {"windows": rules.windows(9.9, 2), "sr": 16000},
            "odd": {"windows": rules.windows(10.1, 5, 2.5), "sr": 11025},
        },
        {
            "samples were rounded": lambda windows, sr: {"samples": np.rint(windows * sr)},
        },
        "5",
    )
    yield from rule_cases(
        "labels/inference_windows",
        "floor((n_samples - window) / hop) + 1 whole windows; the tail is dropped",
        lambda n_samples, window, hop: {"samples": rules.inference_windows(n_samples, window, hop)},
        {
            "tail": {"n_samples": 130, "window": 20, "hop": 40},
            "fits": {"n_samples": 100, "window": 20, "hop": 20},
            "too_short": {"n_samples": 19, "window": 20, "hop": 5},
        },
        {
            "a short last window was kept": lambda n_samples, window, hop: {
                "samples": np.array([(s, min(s + window, n_samples)) for s in range(0, n_samples, hop)])
            },
        },
        "5",
    )


def _batches():
    samples, lengths = np.random.default_rng(23).normal(size=9).astype(np.float32), np.array([4, 0, 5])
    starts = np.cumsum(lengths)[:-1]

    def left(samples, lengths):
        rows = [np.pad(one, (lengths.max() - len(one), 0)) for one in np.split(samples, starts)]
        return {"batch": np.array(rows)}

    yield from rule_cases(
        "labels/pad_batch",
        "each signal, then zeros up to the longest",
        lambda samples, lengths: {"batch": rules.pad_batch(np.split(samples, np.cumsum(lengths)[:-1]))},
        {"three": {"samples": samples, "lengths": lengths}},
        {"the zeros came first": left},
        "5",
    )


def _soft_labels():
    teacher = np.array([[0.8, 0.1, NAN, 0.3], [0.25, NAN, 0.5, 0.9]])
    weak = np.array([[1, 0, 1, NAN], [1, NAN, 1, NAN]])

    def rule(teacher, weak, mix):
        return {"targets": rules.soft_labels(teacher, weak, mix)}

    yield from rule_cases(
        "labels/soft_labels",
        "mix * teacher + (1 - mix) * weak; weak where the teacher is NaN",
        rule,
        {
            "teacher": {"teacher": teacher, "weak": teacher * NAN, "mix": 1.0},
            "teacher_and_weak": {"teacher": teacher, "weak": weak, "mix": 1.0},
            "half": {"teacher": teacher, "weak": weak, "mix": 0.5},
            "weak": {"teacher": teacher, "weak": weak, "mix": 0.0},
        },
        {
            "no opinion of the teacher gave an unknown label": lambda teacher, weak, mix: {
                "targets": np.where(np.isnan(teacher), NAN, rule(teacher, weak, mix)["targets"])
            },
            "a weight of 0 was multiplied with NaN": lambda teacher, weak, mix: {
                "targets": mix * teacher + (1 - mix) * weak
            },
        },
        "5",
        rtol=1e-14,
    )
    p = np.array([[0.9, 0.6], [0.2, 0.5], [0.1, 0.7], [NAN, 0.8]])
    yield from rule_cases(
        "labels/label_counts",
        "share of the rows with exactly k scores above the threshold, and labels per row",
        lambda p, threshold: rules.label_counts(p, threshold)._asdict(),
        {"half": {"p": p, "threshold": 0.5}, "fifth": {"p": p, "threshold": 0.2}},
        {
            "a score equal to the threshold was a label": lambda p, threshold: rules.label_counts(
                p, np.nextafter(threshold, 0)
            )._asdict(),
        },
        "5, results",
        rtol=1e-15,
    )
