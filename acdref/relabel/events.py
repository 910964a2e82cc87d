"""The part of relabelling that is done at the times of events: their classes, their frames."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from acdref.labels import strong
from acdref.relabel.report import Report
from acdref.tables.columns import Columns
from acdref.tables.label_files import Clip

Rule = Callable[[NDArray[np.float64]], NDArray[np.float64]]


class RelabelledEvents:
    """Event lists under a relabelling of their classes.

    Parameters
    ----------
    columns : Columns
    expanded, mapped : callable
        The steps before and at the mapping, from label matrices to label matrices.
    frame : dict or None
        Arguments of :func:`~acdref.labels.strong.frame_labels`; None: events stay events.
    """

    def __init__(self, columns: Columns, expanded: Rule, mapped: Rule, frame: dict | None):
        self.columns, self.mapped, self.frame = columns, mapped, frame
        reached = mapped(expanded(np.eye(len(columns.ids)))) == 1
        self.reached = [np.flatnonzero(row) for row in reached]

    def write(
        self, clips: Sequence[Clip], absent: Callable, write: Callable, report: Report
    ) -> NDArray[np.float64]:
        """Write the events, or frames, of the classes that each event's label reaches.

        Parameters
        ----------
        clips : list of Clip
        absent : callable
            From a clip to the labels that are marked absent from it.
        write : callable
            Takes each clip or frame.
        report : Report
            Counts the absences that events overrule.

        Returns
        -------
        (clips, classes) float64 array
            The clips' labels.
        """
        y = np.zeros((len(clips), len(self.columns.out_ids)))
        for i, clip in enumerate(clips):
            events: dict[tuple[float, float, int], None] = {}
            for onset, offset, label in clip.details:
                column = self.columns.column_of(label)
                if column is not None:
                    events |= dict.fromkeys((onset, offset, int(c)) for c in self.reached[column])
            y[i, [c for *_, c in events]] = 1.0
            if self.frame is None:
                spelled = tuple((onset, offset, self.columns.spelled[c]) for onset, offset, c in events)
                write(clip._replace(details=spelled))
                continue
            negative = self._absent(absent(clip))
            heard = {c for onset, offset, c in events if offset > onset}
            report.overruled += len(negative & heard)
            for frame in self._frames(clip, list(events), negative - heard):
                write(frame)
        return y

    def _absent(self, labels):
        """Classes after mapping that are absent where these labels are and nothing is known of others."""
        columns = [c for c in map(self.columns.column_of, labels) if c is not None]
        if not columns:
            return set()
        y = np.full((2, len(self.columns.ids)), np.nan)
        y[0, columns] = 0.0
        absent, nothing = self.mapped(y)
        # A super-class without members here is 0 whatever is known.
        return set(np.flatnonzero((absent == 0) & np.isnan(nothing)).tolist())

    def _frames(self, clip, events, absent):
        columns = sorted({c for *_, c in events} | absent)
        if not columns:
            return
        at = {c: i for i, c in enumerate(columns)}
        y = strong.frame_labels(
            [event[:2] for event in events],
            [at[c] for *_, c in events],
            len(columns),
            [at[c] for c in absent],
            **self.frame,
        )
        length = self.frame.get("frame", 0.96)
        hop = self.frame.get("hop") or length
        spelled = [self.columns.spelled[c] for c in columns]
        for k, row in enumerate(y):
            present, missing = ([spelled[i] for i in np.flatnonzero(row == value)] for value in (1, 0))
            yield Clip(clip.line, clip.id, present, (), missing, (k * hop, k * hop + length))
