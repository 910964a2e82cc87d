"""Training sequences: segments of recordings, concatenated, mixed, varied; labels joined."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from acdref.audio.segments import Clips
from acdref.augment import AUGMENTATIONS, Augmentation
from acdref.data.empty import nothing
from acdref.errors import AudioError, ManifestError
from acdref.labels import apply_gains, draw_gains, draw_mixup_weights, mixup, or_join
from acdref.tables.manifest import Manifest

SHORTEST_SECONDS = 5.0
"""The shortest segment that is cut from a recording; shorter recordings are used whole."""

FILLS = ("concatenate", "repeat", "once")
"""Ways to fill a sequence."""

LENGTH = 1  # tells the generator of a group's length from those of sequences

MIXUP_ALPHA = 1.0
"""Of the Beta distribution of mixup's weights: uniform."""


class Sequences:
    """Endless training sequences from the recordings of a manifest; (seed, epoch, index) determines each.

    Parameters
    ----------
    manifest : Manifest
    seed : int
        Not negative.
    mix_max : int
        I_max: how many sequences are mixed at most.  1: no mixing.
    mix_sigma : float
        Standard deviation of the gains at mixing, in dB.
    mixing : {"or", "mixup"}
        "or": the sum, labelled with all that is in any source.  "mixup": the weighted mean of two, whose
        labels have the same weights; `mix_max` is 2 at most.
    fill : {"concatenate", "repeat", "once", "mixed"}
        How a sequence is filled: with segments of 5 to 10 s of one recording after another (section 3.1);
        or with a single recording, repeated where it is shorter; or with one that is heard once, somewhere,
        and silence around it; or, anew for each source, any of the three.  Where most recordings last a
        second or two, concatenation puts half a dozen of them into each sequence.
    sampling : {"balanced", "uniform"}
        How recordings are drawn; see :func:`clip_weights`.
    augment : Augmentation
        How recordings and mixtures are varied; see :mod:`acdref.augment.algorithm`.
    seconds : float or tuple of float
        Length of a sequence.  Of several, each gets as much sound as any other one: the shortest are drawn
        most often.
    group : int
        So many sequences, one after another, are of one length: a batch.
    empty : float
        Probability of a sequence in which there is nothing to tag: see :func:`acdref.data.empty.nothing`.
    clips : Clips, optional
        What reads the recordings; its sampling rate is that of the sequences.

    Attributes
    ----------
    failures : dict
        Path -> AudioError of the recordings that could not be decoded so far.

    Raises
    ------
    ManifestError
        If the manifest is empty.
    ValueError
        If a parameter is out of its range.

    Notes
    -----
    Braun & Gamper, sections 3.1 and 3.2; mixup is eq. (1) and (2), with which they compare.  They say nothing
    of drawing classes equally: "uniform" is theirs, "balanced" is ours, for small corpora.  The same numbers
    draw the same recordings, varied alike, for either mixing.  Mixup's weight is uniform in [0, 1] (the paper
    does not say) and comes on top of the gains, which belong to the sources and touch no label.

    A change of speed or tempo can make a segment a little shorter than 5 s.

    A recording that cannot be decoded is left out: another one is drawn in its place from the same generator,
    so that a sequence still depends on (seed, epoch, index) and the files alone.

    Examples
    --------
    >>> import tempfile, soundfile
    >>> from acdref.data import Manifest
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     soundfile.write(f"{folder}/hum.wav", np.full(48000, 0.5), 16000)
    ...     manifest = Manifest("m.csv", folder, ("hum.wav",), [[1, 0]], ("hum", "voice"))
    ...     x, y = Sequences(manifest, seed=0).sample(epoch=0, index=0)
    >>> x.shape, y
    ((160000,), array([1., 0.], dtype=float32))
    """

    def __init__(
        self,
        manifest: Manifest,
        seed: int,
        *,
        mix_max: int = 2,
        mix_sigma: float = 2.0,
        mixing: str = "or",
        fill: str = "concatenate",
        sampling: str = "balanced",
        augment: Augmentation = AUGMENTATIONS["light"],
        seconds: float | tuple[float, ...] = 10.0,
        group: int = 1,
        empty: float = 0.0,
        clips: Clips | None = None,
    ):
        self.clips = Clips() if clips is None else clips
        if len(manifest) == 0:
            raise ManifestError(manifest.source, "no recordings to make training sequences of")
        lengths = np.atleast_1d(np.asarray(seconds, np.float64))
        if mix_max < 1 or mix_sigma < 0 or lengths.min() <= 0:
            raise ValueError("mix_max must be >= 1, mix_sigma >= 0 and seconds > 0")
        if mixing not in ("or", "mixup"):
            raise ValueError(f"mixing = {mixing!r}: choose one of 'or', 'mixup'")
        if mixing == "mixup" and mix_max > 2:
            raise ValueError(f"mixup is of two sequences, not of mix_max = {mix_max}")
        if fill not in (*FILLS, "mixed"):
            raise ValueError(f"fill = {fill!r}: choose one of {', '.join(map(repr, FILLS))}, 'mixed'")
        self.manifest, self.seed, self.augment = manifest, seed, augment
        self.mix_max, self.mix_sigma, self.mixing, self.fill = mix_max, mix_sigma, mixing, fill
        self.lengths, self.group, self.empty = [round(s * self.clips.sr) for s in lengths], group, empty
        self._shares = (1 / lengths) / (1 / lengths).sum()
        self.failures: dict[str, AudioError] = {}
        self._cumulative = np.cumsum(clip_weights(manifest.labels, sampling))

    @property
    def samples(self) -> int:
        """Of the longest sequence."""
        return max(self.lengths)

    def length(self, epoch: int, index: int) -> int:
        """Samples of a sequence.

        Parameters
        ----------
        epoch, index : int
        """
        if len(self.lengths) == 1:
            return self.lengths[0]
        # A fourth number, so that no sequence has the same generator.
        rng = np.random.default_rng([self.seed, epoch, index // self.group, LENGTH])
        return int(rng.choice(self.lengths, p=self._shares))

    def sample(self, epoch: int, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Make one sequence.

        Parameters
        ----------
        epoch, index : int
            Not negative; together with the seed they determine the result.

        Returns
        -------
        x : ndarray, (n,), float32, in [-1, 1] if the level is varied
        y : ndarray, (C,), float32
            Kleene OR of the labels of all recordings that contribute at least one sample; with mixup, the
            weighted mean of two of these.

        Raises
        ------
        ManifestError
            If no recording at all can be decoded.
        """
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([self.seed, epoch, index])))
        samples = self.length(epoch, index)
        if self.empty and rng.random() < self.empty:
            x = self.augment.mixture(nothing(rng, samples, self.clips.sr), rng.spawn(1)[0], self.clips.sr)
            return x, np.zeros(self.manifest.labels.shape[1], np.float32)
        count = int(rng.integers(1, self.mix_max, endpoint=True))
        sources = np.empty((count, samples), dtype=np.float32)
        labels = [or_join(self.manifest.labels[self._assemble(rng, source)]) for source in sources]
        sources = apply_gains(sources, draw_gains(rng, count, self.mix_sigma))
        if self.mixing == "mixup" and count == 2:
            weight = draw_mixup_weights(rng, 1, MIXUP_ALPHA)[0]
            x, y = (mixup(first, second, weight) for first, second in (sources, labels))
        else:
            x, y = sources.sum(axis=0), or_join(labels)
        x = self.augment.mixture(x, rng.spawn(1)[0], self.clips.sr)
        return x, y.astype(np.float32)

    def _assemble(self, rng, out):
        """Fill ``out`` with segments; returns the recordings that they come from."""
        fill = FILLS[rng.integers(len(FILLS))] if self.fill == "mixed" else self.fill
        if fill != "concatenate":
            row, segment = self._draw_segment(rng, len(out), len(out), len(out))
            if fill == "repeat":
                out[:] = np.resize(segment, len(out))
            else:
                start = round(rng.random() * (len(out) - len(segment)))
                out[:] = np.pad(segment, (start, len(out) - start - len(segment)))
            return [row]
        contributors, filled, shortest = [], 0, round(SHORTEST_SECONDS * self.clips.sr)
        while filled < len(out):
            row, segment = self._draw_segment(rng, len(out) - filled, shortest, len(out))
            out[filled : filled + len(segment)] = segment
            filled += len(segment)
            contributors.append(row)
        return contributors

    def _draw_segment(self, rng, wanted, shortest, longest):
        """A random segment of a random recording that can be decoded, varied; the samples wanted of it."""
        failed = set()
        while len(failed) < len(self.manifest):
            pick, length, start = rng.random(3)
            row = int(np.searchsorted(self._cumulative, pick * self._cumulative[-1], side="right"))
            path = self.manifest.file(row)
            try:
                place = partial(_place, u=length, v=start, shortest=shortest, longest=longest)
                segment = self.clips.segment(path, place)
            except AudioError as error:
                self.failures.setdefault(path, error)
                failed.add(row)
                continue
            # A generator of its own: which recordings follow does not depend on how this one is varied.
            # What lies behind the samples wanted is not worth the effort.
            segment = segment[: self.augment.reach(wanted)]
            return row, self.augment.source(segment, rng.spawn(1)[0], self.clips.sr)[:wanted]
        cause = f"no recording can be decoded, such as {self.failures[path]}"
        raise ManifestError(self.manifest.source, cause)


def _place(n, u, v, shortest, longest):
    """Start and length of a segment of a recording of ``n`` samples, from two numbers in [0, 1)."""
    longest = min(longest, n)
    shortest = min(shortest, longest)
    length = round(shortest + u * (longest - shortest))
    return round(v * (n - length)), length


def clip_weights(labels: NDArray[np.floating], sampling: str) -> NDArray[np.float64]:
    """Probability with which each recording is drawn.

    Parameters
    ----------
    labels : ndarray, (N, C)
        0, 1 or NaN.
    sampling : {"balanced", "uniform"}
        "balanced": the recordings of each class form a group, those without any class one more; a group is
        drawn uniformly among those that are not empty, then a recording of it.  "uniform": any recording.

    Returns
    -------
    ndarray, (N,), float64
        With the sum 1.  Balanced: the sum over the groups of a recording of 1 / (number of groups * size).

    Raises
    ------
    ValueError
        For another ``sampling``.

    Examples
    --------
    >>> clip_weights(np.array([[1, 0], [1, 0], [1, 1], [0, 0]]), "balanced").round(3)
    array([0.111, 0.111, 0.444, 0.333])
    """
    if sampling == "uniform":
        return np.full(len(labels), 1 / len(labels))
    if sampling != "balanced":
        raise ValueError(f"sampling = {sampling!r}: choose one of 'balanced', 'uniform'")
    present = labels == 1
    groups = np.column_stack([present, ~present.any(axis=1)]).astype(np.float64)
    groups = groups[:, groups.any(axis=0)]
    return (groups / groups.sum(axis=0)).mean(axis=1)
