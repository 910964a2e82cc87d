"""Single sounds and labelled polyphonic scenes."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from acdref.synth.blocks import Samples, Synth, high_pass, low_pass, to_peak
from acdref.synth.impacts import clapping, gunshot
from acdref.synth.machines import alarm, machinery, urban
from acdref.synth.music import music
from acdref.synth.outdoors import background, nature, windnoise
from acdref.synth.vocal import cat, dog, voice

_FAMILIES = (voice, music, cat, dog, clapping, urban, machinery, nature, windnoise, alarm, gunshot)
GENERATORS = {family.__name__: family for family in _FAMILIES}
CLASSES = tuple(GENERATORS)
MIN_SECONDS = 0.1
MIN_RATE = 16000


class Event(NamedTuple):
    """A sound in a scene: its class, and its start and end in seconds."""

    name: str
    start: float
    end: float


def sound(name: str, rng: np.random.Generator, seconds: float, sr: int = 16000) -> Samples:
    """Synthesise one random sound of a class.

    Parameters
    ----------
    name : str
        One of `CLASSES`.
    rng : numpy.random.Generator
        Where every parameter of the sound comes from.
    seconds : float
        Duration, at least 0.1.  Short sounds repeat until it is filled; the first starts near its beginning.
    sr : int
        Sampling rate in Hz, at least 16000.

    Returns
    -------
    (n,) float32
        With a peak of 1; n = round(seconds * sr).

    Raises
    ------
    ValueError
        Unknown class, or `seconds` or `sr` too small.

    Examples
    --------
    >>> import numpy as np
    >>> x = sound("dog", np.random.default_rng(0), seconds=2.0)
    >>> x.shape, x.dtype, float(abs(x).max())
    ((32000,), dtype('float32'), 1.0)
    """
    if name not in GENERATORS:
        raise ValueError(f"unknown class {name!r}: not one of {', '.join(CLASSES)}")
    validate(seconds, 1, sr)
    synth = Synth(rng, sr)
    x = GENERATORS[name](synth, round(seconds * sr))
    return to_peak(synth.filtered(x, lambda f: high_pass(f, 20)))


def scene(
    rng: np.random.Generator,
    seconds: float = 10.0,
    max_classes: int = 3,
    sr: int = 16000,
    empty_fraction: float = 0.08,
) -> tuple[Samples, NDArray[np.float32], list[Event]]:
    """Synthesise a scene: up to `max_classes` classes at random times and levels, over background noise.

    Parameters
    ----------
    rng : numpy.random.Generator
        Where everything comes from: the same state gives the same scene.
    seconds : float
        Duration, at least 0.1.
    max_classes : int
        The number of classes is uniform in 1 .. `max_classes`.
    sr : int
        Sampling rate in Hz, at least 16000.
    empty_fraction : float
        Probability of a scene with background alone.

    Returns
    -------
    audio : (n,) float32
        In [-1, 1]; n = round(seconds * sr).
    labels : (11,) float32
        1 where the class of `CLASSES` sounds anywhere in the scene, else 0.
    events : list of Event
        Strong labels in order of onset: one per sound, from its first to its last audible moment.

    Raises
    ------
    ValueError
        A parameter out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> audio, labels, events = scene(np.random.default_rng(1), seconds=4.0)
    >>> audio.shape, labels.shape
    ((64000,), (11,))
    >>> {event.name for event in events} == {c for c, y in zip(CLASSES, labels) if y}
    True
    """
    validate(seconds, max_classes, sr)
    if not 0 <= empty_fraction <= 1:
        raise ValueError(f"empty_fraction must be 0 .. 1, got {empty_fraction}")
    n, s = round(seconds * sr), Synth(rng, sr)

    audio = s.log_uniform(0.003, 0.08) * background(s, n)  # 50 to 22 dB under a loud sound
    labels = np.zeros(len(CLASSES), np.float32)
    events = []
    count = 0 if rng.random() < empty_fraction else rng.integers(1, max_classes + 1)
    for index in rng.choice(len(CLASSES), count, replace=False):
        labels[index] = 1
        duration = min(n, max(int(MIN_SECONDS * sr), int(n * s.log_uniform(0.2, 1.2))))
        start = int(rng.integers(n - duration + 1))
        x = _as_recorded(s, sound(CLASSES[index], rng, duration / sr, sr))
        audio[start : start + duration] += 10 ** (rng.uniform(-12, 0) / 20) * x
        first, last = audible(x, sr)
        events.append(Event(CLASSES[index], (start + first) / sr, (start + last) / sr))
    events.sort(key=lambda event: (event.start, event.name))
    return to_peak(audio, 10 ** (rng.uniform(-20, -0.5) / 20)), labels, events


def validate(seconds: float, max_classes: int, sr: int) -> None:
    """Raise ValueError unless a scene can be made with these."""
    if not (np.isfinite(seconds) and seconds >= MIN_SECONDS):
        raise ValueError(f"seconds must be at least {MIN_SECONDS}, got {seconds}")
    if sr < MIN_RATE:
        raise ValueError(f"sr must be at least {MIN_RATE} Hz (the sounds reach 8 kHz), got {sr}")
    if not 1 <= max_classes <= len(CLASSES):
        raise ValueError(f"max_classes must be 1 .. {len(CLASSES)}, got {max_classes}")


def _as_recorded(s, x):
    """The colour of a random microphone and distance, and unit loudness: RMS of the loudest 100 ms."""
    tilt = s.uniform(-0.4, 0.3)
    cutoff = s.log_uniform(3000, 8000) if s.rng.random() < 0.3 else np.inf
    x = s.filtered(x, lambda f: (np.maximum(f, 50) / 1000) ** tilt * low_pass(f, cutoff, 4))
    return x / max(np.sqrt(frame_power(x, s.sr // 10).max()), np.abs(x).max() / 6)


def audible(x: Samples, sr: int) -> tuple[int, int]:
    """First and last sample of the 10 ms frames within 45 dB of the loudest."""
    frame = sr // 100
    power = frame_power(x, frame)
    loud = np.flatnonzero(power > 10**-4.5 * power.max())
    return int(loud[0]) * frame, min(len(x), (int(loud[-1]) + 1) * frame)


def frame_power(x: Samples, frame: int) -> Samples:
    """Mean square of each frame of so many samples; the last one is filled up with zeros."""
    padded = np.pad(x, (0, -len(x) % frame))
    return np.mean(padded.reshape(-1, frame) ** 2, axis=1)
