"""Soundscapes: excerpts of recordings at random times over a background, so that strong labels are known."""

from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any

import numpy as np

from acdref.synth.blocks import Samples, Synth, to_peak
from acdref.synth.dataset import Row, write_scenes
from acdref.synth.outdoors import background
from acdref.synth.scenes import MIN_SECONDS, Event, audible, frame_power, sound

FADE_SECONDS = 0.01
Source = Callable[[str, np.random.Generator, int], Samples]


def procedural(name: str, rng: np.random.Generator, sr: int = 16000) -> Samples:
    """A recording for a soundscape that is synthesised on the spot: `draw` of :func:`soundscape`."""
    return sound(name, rng, 3.0, sr)


def soundscape(
    rng: np.random.Generator,
    classes: Sequence[str],
    draw: Source = procedural,
    seconds: float = 10.0,
    most: int = 4,
    lengths: tuple[float, float] = (0.4, 3.0),
    snr: tuple[float, float] = (0.0, 20.0),
    sr: int = 16000,
) -> tuple[Samples, list[Event]]:
    """Make a soundscape: up to `most` excerpts of recordings over background noise.

    Parameters
    ----------
    rng : numpy.random.Generator
        Where everything comes from.
    classes : sequence of str
        Each event's is drawn from these; several events may be of one class.
    draw : callable
        ``draw(name, rng, sr)`` gives a recording of a class, (n,) float.  By default it is synthesised.
    seconds : float
        Duration of the soundscape.
    most : int
        The number of events is uniform in 1 .. `most`.
    lengths : (float, float)
        Seconds of an excerpt, log-uniform.  An event is shorter where the recording is, or begins or ends
        with silence.
    snr : (float, float)
        Level of an event's loudest 100 ms above the background's root mean square, uniform, in dB.
    sr : int
        Sampling rate in Hz.

    Returns
    -------
    audio : (n,) float32
        In [-1, 1]; n = round(seconds * sr).
    events : list of Event
        In order of onset, from the first to the last audible moment of each.

    Raises
    ------
    ValueError
        A parameter out of its range.

    Examples
    --------
    >>> audio, events = soundscape(np.random.default_rng(0), ["dog", "alarm"], seconds=5.0)
    >>> audio.shape, [(event.name, round(event.start, 2), round(event.end, 2)) for event in events]
    ((80000,), [('alarm', 0.94, 1.56), ('dog', 1.2, 1.7), ('dog', 1.55, 1.73)])
    """
    _validate(classes, seconds, most, lengths)
    n, s = round(seconds * sr), Synth(rng, sr)
    noise = background(s, n)
    audio = noise / max(float(np.sqrt(np.mean(noise**2))), 1e-9)
    events = []
    for _ in range(rng.integers(1, most + 1)):
        name = classes[int(rng.integers(len(classes)))]
        length = min(n, round(s.log_uniform(*lengths) * sr))
        x = _excerpt(np.asarray(draw(name, rng, sr), np.float32), length, rng, sr)
        loudest = np.sqrt(frame_power(x, sr // 10).max()) if len(x) else 0
        # Drawn whether the recording is silent or not.
        start, gain = rng.random(), 10 ** (rng.uniform(*snr) / 20)
        if loudest > 0:
            at = int(start * (n - len(x) + 1))
            audio[at : at + len(x)] += gain / loudest * x
            events.append(Event(name, at / sr, (at + len(x)) / sr))
    events.sort(key=lambda event: (event.start, event.name))
    return to_peak(audio, 10 ** (rng.uniform(-20, -0.5) / 20)), events


def write_soundscapes(
    directory: str | PathLike[str],
    classes: Sequence[str],
    count: int,
    seed: int,
    draw: Source = procedural,
    missing: tuple[float, float] | None = None,
    val_fraction: float = 0.2,
    force: bool = False,
    **parameters: Any,
) -> list[Row]:
    """Write soundscapes as :func:`acdref.synth.write_dataset` writes scenes.

    Parameters
    ----------
    directory, count, seed, val_fraction, force
        As there.
    classes, draw
        As in :func:`soundscape`, which also takes `parameters`.
    missing : (float, float), optional
        The manifest forgets a share between these two of each class's labels in the training part, as
        annotators of whole clips do (:func:`acdref.labels.noise.inject_noise`); ``events.tsv`` is complete.

    Returns
    -------
    list of (path, classes, split)

    Examples
    --------
    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     rows = write_soundscapes(folder, ["dog"], count=2, seed=0, seconds=1.0, lengths=(0.2, 0.5))
    ...     print(sorted(os.listdir(folder)))
    ['events.tsv', 'manifest.csv', 'scene-00000.flac', 'scene-00001.flac', 'synth.json']
    """
    from acdref.labels.noise import inject_noise

    def make(rng):
        return soundscape(rng, classes, draw, **parameters)

    def forget(y):
        return inject_noise(y, np.random.default_rng([seed, count]), missing, false=0.0)

    labels, sr = None if missing is None else forget, parameters.get("sr", 16000)
    about = parameters | {"missing": missing}
    return write_scenes(directory, make, tuple(classes), count, seed, about, sr, val_fraction, labels, force)


def _excerpt(x, length, rng, sr):
    """The audible part of a random excerpt around the loudest 100 ms of a recording, with short fades."""
    if len(x) > length:
        frame = sr // 10
        loudest = int(np.argmax(frame_power(x, frame))) * frame
        first = min(max(loudest - int(rng.random() * (length - frame)), 0), len(x) - length)
        x = x[first : first + length]
    if not x.any():
        return x[:0]
    first, last = audible(x, sr)
    x = x[first:last].copy()
    fade = min(round(FADE_SECONDS * sr), len(x) // 2)
    ramp = (np.arange(fade, dtype=np.float32) + 0.5) / max(fade, 1)
    x[:fade] *= ramp
    x[len(x) - fade :] *= ramp[::-1]
    return x


def _validate(classes, seconds, most, lengths):
    if not classes:
        raise ValueError("a soundscape needs at least one class")
    if not (np.isfinite(seconds) and seconds >= MIN_SECONDS):
        raise ValueError(f"seconds must be at least {MIN_SECONDS}, got {seconds}")
    if most < 1:
        raise ValueError(f"most must be at least 1, got {most}")
    if not MIN_SECONDS <= lengths[0] <= lengths[1] < np.inf:
        raise ValueError(f"lengths must be two rising numbers from {MIN_SECONDS} s on, got {lengths}")
