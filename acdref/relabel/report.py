"""What relabelling changed, counted class by class."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

SCHEMA = "acdref.relabel/1"

_COUNTS = ("before", "after", "unknown_before", "unknown_after", "added", "removed", "masked", "settled")


@dataclass
class Report:
    """What changed, by class; everything counts clips (frames, for framed labels).

    Attributes
    ----------
    classes, names : tuple of str
        The classes after mapping, as written, and their display names.
    clips : int
    dropped : int
        Labels that were no class and left out.
    overruled : int
        Classes marked absent from a clip that has events of them.
    frames : Frames or None
        What became of events that were made frames.
    missing : int or None
        Clips that were left out since their file is not there; None if nobody looked.
    counts : dict of str to ndarray, (C,), int64
        ``before, after``: positives; before means the original labels, mapped, but neither expanded nor
        corrected.  ``unknown_before, unknown_after``: unknown labels.  ``added, removed, masked, settled``:
        labels that went from 0 to 1, from 1 to 0, from either to unknown, and from unknown to either.
    """

    classes: tuple
    names: tuple
    clips: int = 0
    dropped: int = 0
    overruled: int = 0
    frames: "Frames | None" = None
    missing: int | None = None
    counts: dict = field(default_factory=dict)

    def __post_init__(self):
        self.counts = {name: np.zeros(len(self.classes), dtype=np.int64) for name in _COUNTS}

    def add(self, y0: NDArray[np.float64], y1: NDArray[np.float64]) -> None:
        """Count what changed between two label matrices of the same clips."""
        self.clips += len(y1)
        # Nearly all labels are 0 before and after: only the others are looked at.
        rows, columns = np.divmod(np.flatnonzero((y0 != 0) | (y1 != 0)), max(len(self.classes), 1))
        a, b = y0[rows, columns], y1[rows, columns]
        nan_a, nan_b = np.isnan(a), np.isnan(b)
        changed = {
            "before": a == 1,
            "after": b == 1,
            "unknown_before": nan_a,
            "unknown_after": nan_b,
            "added": (a == 0) & (b == 1),
            "removed": (a == 1) & (b == 0),
            "masked": nan_b & ~nan_a,
            "settled": nan_a & ~nan_b,
        }
        for name, mask in changed.items():
            self.counts[name] += np.bincount(columns[mask], minlength=len(self.classes))

    def as_dict(self) -> dict:
        """For JSON: totals, labels per clip, and for each class with any label or change its counts."""
        some = np.flatnonzero(sum(self.counts.values()))
        totals = {name: int(count.sum()) for name, count in self.counts.items()}
        each = max(self.clips, 1)
        return {
            "schema": SCHEMA,
            "clips": self.clips,
            "labels_left_out": self.dropped,
            "absent_overruled": self.overruled,
            **({} if self.frames is None else {"events_without_frame": self.frames.lost}),
            **({} if self.missing is None else {"files_missing": self.missing}),
            "per_clip": {name: totals[name] / each for name in _COUNTS[:4]},
            "total": totals,
            "classes": {
                self.classes[c]: {"name": self.names[c]}
                | {name: int(count[c]) for name, count in self.counts.items()}
                for c in some
            },
        }


@dataclass
class Frames:
    """Events that gave no frame, or end behind their clip.

    Attributes
    ----------
    duration : float
        Of a clip, seconds.
    events, lost, empty : int
        All; those that gave no frame; of these, those of length zero.
    first : list of str
        Some of those that gave no frame.
    beyond : int
        Those that end behind the clip.
    latest : float
        Where the last one ends, seconds.
    """

    duration: float
    events: int = 0
    lost: int = 0
    empty: int = 0
    first: list = field(default_factory=list)
    beyond: int = 0
    latest: float = 0.0

    def add(self, clip: str, events: list, lost: NDArray[np.bool_]) -> None:
        """Count the events (onset, offset, label) of a clip, of which some gave no frame."""
        self.events += len(events)
        for (onset, offset, label), gone in zip(events, lost.tolist(), strict=True):
            self.latest = max(self.latest, offset)
            self.beyond += offset > self.duration + _ROUNDING
            if gone:
                self.lost += 1
                self.empty += offset == onset
                if len(self.first) < _NAMED:
                    self.first.append(f"{clip} {onset:g}-{offset:g} s {label}")

    def note(self) -> str | None:
        """One line about what was lost, or None."""
        parts = []
        if self.lost:
            named = ", ".join(self.first) + (", ..." if self.lost > len(self.first) else "")
            empty = f", {self.empty} of length zero" if self.empty else ""
            parts.append(f"{self.lost} of {self.events} events gave no frame{empty} ({named})")
        if self.beyond:
            parts.append(
                f"{self.beyond} end behind the clip's {self.duration:g} s, at up to {self.latest:g} s"
            )
        if self.latest > _FAR * self.duration:
            parts.append("times look like milliseconds, or --duration is too small")
        return "; ".join(parts) or None


_ROUNDING = 0.1  # seconds by which annotators' times pass a clip's end
_NAMED = 3
_FAR = 10
