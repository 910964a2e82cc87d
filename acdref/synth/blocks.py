"""Building blocks of the synthetic sounds: random curves, noise, harmonic tones, filters, envelopes, rooms.

Conventions: a sound is (n,) float32 at `sr` Hz; frequencies are in Hz, times in seconds; a curve is (n,)
float32, one value per sample.  What is random or depends on the sampling rate is a method of :class:`Synth`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

Samples = NDArray[np.floating]
Curve = float | Samples
T = TypeVar("T")

FRAME = 512  # samples of one frame of `filter_moving`


@dataclass(frozen=True)
class Synth:
    """Where everything random comes from, the sampling rate in Hz, and what these two make."""

    rng: np.random.Generator
    sr: int

    def uniform(self, low: float, high: float, size: int | tuple[int, ...] | None = None) -> Any:
        """Draw from [low, high]: a float, or an array of `size`."""
        return self.rng.uniform(low, high, size)

    def log_uniform(self, low: float, high: float, size: int | None = None) -> Any:
        """Draw from [low, high] with equal probability per octave: how pitches and durations are spread."""
        drawn = np.exp(self.rng.uniform(np.log(low), np.log(high), size))
        # A NumPy scalar would turn float32 arrays into float64.
        return float(drawn) if size is None else drawn

    def pick(self, recipes: Sequence[tuple[float, T]]) -> T:
        """Choose a recipe from (weight, recipe) pairs."""
        weights = np.array([weight for weight, _ in recipes], float)
        return recipes[self.rng.choice(len(recipes), p=weights / weights.sum())][1]

    def onsets(self, n: int, low: float, high: float) -> list[int]:
        """Start samples of events with gaps between `low` and `high` seconds; the first is near the start."""
        starts = [int(self.rng.uniform(0, 0.02) * min(n, self.sr))]
        while starts[-1] < n:
            starts.append(starts[-1] + max(1, int(self.sr * self.log_uniform(low, high))))
        return starts[:-1]

    # Curves

    def wander(self, n: int, rate: float) -> Samples:
        """Smooth random curve of unit variance that takes about `rate` new values per second."""
        count = max(2, int(np.ceil(n / self.sr * rate)) + 1)
        return glide(self.rng.standard_normal(count, dtype=np.float32), n)

    def wave(self, frequency: Curve, n: int, phase: Curve = 0.0) -> Samples:
        """Sine of constant or moving `frequency` (a number or a curve)."""
        return np.sin(self._phase(frequency, n) + np.float32(phase))

    def _phase(self, frequency, n):
        """Phase in [0, 2π): accumulated in float64, where ten seconds lose nothing."""
        cycles = np.cumsum(np.broadcast_to(np.asarray(frequency, np.float64), n)) / self.sr
        return (2 * np.pi * (cycles % 1.0)).astype(np.float32)

    def decay(self, n: int, seconds: float, attack: float = 0.002) -> Samples:
        """Envelope of a struck thing: a short linear rise, then an exponential fall by 60 dB in `seconds`."""
        t = np.arange(n, dtype=np.float32) / np.float32(self.sr)
        return np.minimum(1, t / np.float32(attack)) * np.exp(np.float32(-6.91 / seconds) * t)

    def swell(self, n: int, attack: float, release: float) -> Samples:
        """Envelope that rises in `attack`, holds 1 and falls in `release` (shorter when n is short)."""
        duration = n / self.sr
        scale = min(1.0, duration / (attack + release))
        t = (np.arange(n, dtype=np.float32) + np.float32(0.5)) / np.float32(self.sr)
        rise = np.minimum(1, t / np.float32(attack * scale))
        fall = np.minimum(1, (duration - t) / np.float32(release * scale))
        return np.sin(np.float32(np.pi / 2) * rise) * np.sin(np.float32(np.pi / 2) * fall)

    # Sources

    def white(self, n: int) -> Samples:
        """Gaussian noise of unit variance."""
        return self.rng.standard_normal(n, dtype=np.float32)

    def coloured(self, n: int, exponent: float, floor: float = 20.0) -> Samples:
        """Noise of unit RMS whose power falls as 1 / f**exponent above `floor` (1 pink, 2 brown)."""
        return unit(self.filtered(self.white(n), lambda f: np.maximum(f, floor) ** (-exponent / 2)))

    def harmonics(self, f0: Curve, brightness: Curve, n: int) -> Samples:
        """Harmonic tone: harmonic k has the amplitude exp(-k f0 / brightness).

        Parameters
        ----------
        f0, brightness : float or (n,) array
            Fundamental, and the frequency at which a harmonic is down by 1/e, in Hz; both may move.
            Harmonics above sr / 2 alias, so `brightness` stays below about sr / 8.

        Returns
        -------
        (n,) float32
            Of about unit RMS.

        Notes
        -----
        With r = exp(-f0 / brightness), Σ_k r^k cos(kφ) = (r cos φ - r²) / (1 - 2 r cos φ + r²): one cosine
        per sample whatever the number of harmonics.  Its power is r² / (1 - r²) / 2.
        """
        r = np.exp(-np.asarray(f0, np.float32) / np.asarray(brightness, np.float32))
        rcos = r * np.cos(self._phase(f0, n))
        square = r * r
        return (rcos - square) / (1 - 2 * rcos + square) * np.sqrt(2 * (1 - square) / square)

    # Filters and rooms

    def filtered(self, x: Samples, gain: Callable[[Samples], Samples]) -> Samples:
        """Filter by the magnitude response `gain(f)`, without phase (f: (bins,) array in Hz)."""
        n = _fast_length(len(x))
        f = np.fft.rfftfreq(n, 1 / self.sr).astype(np.float32)
        return np.fft.irfft(np.fft.rfft(x, n) * gain(f).astype(np.float32), n)[: len(x)].astype(np.float32)

    def filter_moving(self, x: Samples, gain: Callable[[Samples, Samples], Samples]) -> Samples:
        """Filter by a magnitude response that changes with time.

        `gain(u, f)` gets frame positions u (frames, 1) in [0, 1] and frequencies f (1, bins) in Hz, and
        returns (frames, bins).  Frames of 512 samples overlap by half; their sine windows, applied before
        and after, add up to one.
        """
        hop = FRAME // 2
        frames = len(x) // hop + 2
        padded = np.zeros((frames + 1) * hop, np.float32)
        padded[hop : hop + len(x)] = x
        window = np.sin(np.pi * (np.arange(FRAME, dtype=np.float32) + 0.5) / FRAME)
        spectra = np.fft.rfft(np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::hop] * window)
        u = np.linspace(0, 1, frames, dtype=np.float32)[:, None]
        f = np.fft.rfftfreq(FRAME, 1 / self.sr).astype(np.float32)[None]
        pieces = np.fft.irfft(spectra * gain(u, f), FRAME).astype(np.float32) * window
        out = np.zeros((frames + 1, hop), np.float32)
        out[:-1] += pieces[:, :hop]
        out[1:] += pieces[:, hop:]
        return out.ravel()[hop : hop + len(x)]

    def room(self, x: Samples, seconds: float, wet: float) -> Samples:
        """Add reverberation that dies by 60 dB in `seconds`, with the weight `wet`; length is kept."""
        n = max(2, int(self.sr * seconds))
        tail = self.white(n) * self.decay(n, seconds, attack=0.005)
        # High frequencies die first: walls and air absorb them.
        dull = self.filtered(tail, lambda f: low_pass(f, 1200, order=1))
        fade = np.linspace(0, 1, n, dtype=np.float32) ** np.float32(0.5)
        tail = tail * (1 - fade) + 2 * dull * fade
        tail /= np.sqrt(np.sum(tail**2))
        size = _fast_length(len(x) + n)
        late = np.fft.irfft(np.fft.rfft(x, size) * np.fft.rfft(tail, size), size)[: len(x)]
        return (x + np.float32(wet) * late).astype(np.float32)


def glide(points: ArrayLike, n: int) -> Samples:
    """Curve of n samples through equally spaced `points`, joined by half cosines."""
    points = np.asarray(points, np.float32)
    if len(points) == 1:
        return np.full(n, points[0], np.float32)
    position = np.linspace(0, len(points) - 1, n, dtype=np.float32)
    left = np.minimum(position.astype(np.int32), len(points) - 2)
    weight = 0.5 - 0.5 * np.cos(np.pi * (position - left.astype(np.float32)))
    return points[left] + (points[left + 1] - points[left]) * weight


def low_pass(f: Samples, cutoff: Curve, order: float = 2) -> Samples:
    """Butterworth magnitude response: -3 dB at `cutoff`, then -6 dB per octave and order."""
    return 1 / np.sqrt(1 + (f / cutoff) ** (2 * order))


def high_pass(f: Samples, cutoff: float, order: float = 2) -> Samples:
    """Mirror image of :func:`low_pass`."""
    return 1 / np.sqrt(1 + (cutoff / np.maximum(f, 1.0)) ** (2 * order))


def resonance(f: Samples, centre: Curve, bandwidth: float) -> Samples:
    """Magnitude response of a resonance: 1 at `centre`, -3 dB at half a `bandwidth` to either side."""
    return 1 / np.sqrt(1 + (2 * (f - centre) / bandwidth) ** 2)


def add_at(out: Samples, start: int, piece: Samples) -> None:
    """Add `piece` to `out` from sample `start` on, in place; what sticks out at the end is lost."""
    place = out[start : start + len(piece)]
    place += piece[: len(place)]


def played(n: int, starts: Iterable[float], make: Callable[[], Samples]) -> Samples:
    """n samples in which a sound of `make()` begins at each of the samples `starts`."""
    out = np.zeros(n, np.float32)
    for start in starts:
        add_at(out, int(start), make())
    return out


def unit(x: Samples) -> Samples:
    """Scale to an RMS of 1."""
    return x / np.sqrt(np.mean(np.square(x)))


def to_peak(x: Samples, peak: float = 1.0) -> Samples:
    """Scale so that the largest absolute sample is `peak`."""
    return x / np.abs(x).max() * np.float32(peak)  # divided first: exactly `peak`, never an ulp above


def _fast_length(n):
    """Smallest 2^a 3^b 5^c >= n with b <= 3 and c <= 4: lengths whose FFT is quick."""
    odds = [five * three for five in (1, 5, 25, 125, 625) for three in (1, 3, 9, 27)]
    return min(odd << (-(-n // odd) - 1).bit_length() for odd in odds)
