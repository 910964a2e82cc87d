"""A tagger in one line: recordings or samples in, tags out, as `acdref predict` gives them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from os import PathLike, fspath
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acdref.audio.decode import blocks_of
from acdref.checkpoint import THRESHOLD, load_weights
from acdref.errors import AudioError
from acdref.features.front_ends import front_end
from acdref.options.labels import EVENT_WINDOW
from acdref.predict.backend import Adaptive
from acdref.predict.embedding import Embedder, mean_vector
from acdref.predict.events import timelines
from acdref.predict.scoring import (
    WINDOW,
    Scores,
    mean_over_windows,
    score_blocks,
    score_recording,
    tag_thresholds,
)
from acdref.predict.tagging import End, Window, windows


@dataclass(frozen=True, eq=False)
class Tags:
    """What a tagger has heard in a recording.

    Attributes
    ----------
    classes : tuple of str, (C,)
    windows : tuple of Window
        ``start`` and ``end`` in seconds, ``scores`` (C,) and ``note``: the rows of `acdref predict`.
    notes : tuple of str
        What is wrong with the recording though it was used.
    thresholds : tuple of float, (C,)
        From which score on each class is a tag.
    """

    classes: tuple[str, ...]
    windows: tuple[Window, ...]
    notes: tuple[str, ...]
    thresholds: tuple[float, ...]

    @property
    def seconds(self) -> float:
        """Where the last window ends."""
        return self.windows[-1].end

    @property
    def scores(self) -> dict[str, float]:
        """Probability of each class in the whole recording, as `acdref predict --scores` writes it.

        The mean over the windows, weighted by their duration.
        """
        mean = mean_over_windows(Scores(window.start, window.end, window.scores) for window in self.windows)
        return dict(zip(self.classes, mean.tolist(), strict=True))

    def tags(self, threshold: float | None = None) -> dict[str, float]:
        """The classes that are found in the whole recording, with their probabilities, the surest first.

        Parameters
        ----------
        threshold : float, optional
            The least probability.  Default: that of the weights for each class; 0.99 for a recording below
            0.3 s, which is too short to know a sound by.

        Returns
        -------
        dict of str to float
        """
        usual = tag_thresholds(self.thresholds)(self.seconds) if threshold is None else threshold
        least = dict(zip(self.classes, np.broadcast_to(usual, len(self.classes)), strict=True))
        found = sorted(self.scores.items(), key=lambda item: -item[1])
        return {name: score for name, score in found if score >= least[name]}

    def _repr_html_(self) -> str:
        """What notebooks show: a table of the classes, the surest first, with a bar for each score."""
        rows, found = "", self.tags()
        for name, score in sorted(self.scores.items(), key=lambda item: -item[1]):
            weight = "bold" if name in found else "normal"
            bar = f"width:{100 * score:.0f}%;height:.7em;background:currentColor;opacity:.6"
            rows += f'<tr><th style="text-align:left;font-weight:{weight}">{escape(name)}</th>'
            rows += f'<td>{score:.2f}</td><td style="width:12em"><div style="{bar}"></div></td></tr>'
        about = "; ".join((f"{self.seconds:.1f} s", *self.notes))
        return f"<table><caption>{escape(about)}</caption><tbody>{rows}</tbody></table>"


class HeardEvent(NamedTuple):
    """A stretch of a recording in which a class is heard: seconds, and its highest and mean score."""

    label: str
    onset: float
    offset: float
    peak: float
    mean: float


class Tagger:
    """A network with all that it takes to tag recordings.

    Parameters
    ----------
    net : network
    classes : sequence of str
        Names of its outputs.
    thresholds : sequence of float, (C,), optional
        From which score on each class is a tag; default: 0.5.

    Attributes
    ----------
    net : network
    classes : tuple of str
    thresholds : tuple of float

    Examples
    --------
    >>> import acdref
    >>> import numpy as np
    >>> tagger = acdref.Tagger.load()
    >>> hum = np.sin(2 * np.pi * 100 * np.arange(16000) / 16000)
    >>> found = tagger.tag((hum, 16000))
    >>> list(found.scores) == list(tagger.classes), found.seconds
    (True, 1.0)
    """

    def __init__(self, net: Any, classes: Sequence[str], thresholds: Sequence[float] | None = None):
        self.net, self.classes = net, tuple(classes)
        self.thresholds = tuple(thresholds or [THRESHOLD] * len(self.classes))

    @classmethod
    def load(cls, weights: str | PathLike | None = None, backend: str = "auto") -> "Tagger":
        """Read a network.

        Parameters
        ----------
        weights : str or path-like, optional
            A weights file or checkpoint, or the name of shipped weights.  Default: "acdnet", which are.
        backend : {"auto", "numpy", "numba"}
            auto: NumPy at first, Numba (where installed) once enough has been tagged to repay its loading.
            They agree to about 1e-5.

        Returns
        -------
        Tagger

        Raises
        ------
        CheckpointError
            If the file cannot be used.
        AcdrefError
            If Numba is asked for by name and cannot be imported.
        """
        net, meta = load_weights(weights, "numpy")
        return cls(Adaptive(net, backend), meta["classes"], meta["thresholds"])

    def tag(
        self,
        recording: str | PathLike | tuple[ArrayLike, float],
        window: float = WINDOW,
        hop: float | None = None,
    ) -> Tags:
        """Tag a recording.

        Parameters
        ----------
        recording : str or path-like, or (samples, rate)
            A file that `acdref predict` reads; or floats or integers (n,) or (n, channels) and their rate in
            Hz: see :func:`acdref.audio.decode.blocks_of`.
        window, hop : float
            In seconds, as of `acdref predict`; hop defaults to the window.

        Returns
        -------
        Tags

        Raises
        ------
        AudioError
            If it cannot be used, or not to its end.
        ValueError
            If `window` or `hop` holds no sample.

        Notes
        -----
        What `acdref predict` does with the file, bit for bit with the same backend.
        """
        notes: list[str] = []
        fresh: list[str] = []  # those that no window has yet

        def report(note):
            notes.append(note)
            fresh.append(note)

        if isinstance(recording, tuple):
            samples, rate = recording
            name, front = "", front_end(self.net)
            found = score_blocks(self.net, blocks_of(samples, rate, front.rate, window, hop, report))
        elif hasattr(recording, "__array__"):
            raise AudioError("samples", "given without their rate: tag((samples, rate))")
        else:
            name = fspath(recording)
            found = score_recording(self.net, name, window, hop, report)
        return Tags(self.classes, tuple(windows(name, found, fresh)), tuple(notes), self.thresholds)

    def events(
        self,
        recording: str | PathLike | tuple[ArrayLike, float],
        window: float = EVENT_WINDOW,
        hop: float | None = None,
        threshold: ArrayLike | None = None,
        **rules: float,
    ) -> list[HeardEvent]:
        """Say when sounds are heard in a recording, as `acdref predict --events` does.

        Parameters
        ----------
        recording
            As of :meth:`tag`.
        window, hop : float
            In seconds; hop defaults to half the window.
        threshold : float or array_like, (C,), optional
            Default: those of the weights, and 0.99 in windows below 0.3 s.
        **rules
            Of :func:`acdref.labels.events.detect_events`: `hold`, `median`, `gap`, `least`.

        Returns
        -------
        list of HeardEvent
            By onset, then in the order of the classes.

        Raises
        ------
        AudioError
            If it cannot be used, or not to its end.
        ValueError
            If a number is out of its range.
        """
        found = self.tag(recording, window, window / 2 if hop is None else hop)
        needed = tag_thresholds(self.thresholds) if threshold is None else threshold
        (timeline,) = timelines([*found.windows, End("")], needed, **rules)
        return [HeardEvent(self.classes[e.label], *e[1:]) for e in timeline.events]

    def embed(
        self,
        recording: str | PathLike | tuple[ArrayLike, float],
        window: float = WINDOW,
        hop: float | None = None,
    ) -> NDArray[np.float64]:
        """What the network's last layer reads of a recording, by which recordings can be compared.

        Parameters and exceptions are those of :meth:`tag`.

        Returns
        -------
        (D,) array
            The mean over the windows, weighted by duration, as of `acdref embed`; D is 64 for ACDnet.

        Raises
        ------
        AcdrefError
            If the network has no dense layer at its end.
        """
        return mean_vector(self._embedder.tag(recording, window, hop).windows)

    @cached_property
    def _embedder(self):
        return Tagger(Embedder(self.net), ())
