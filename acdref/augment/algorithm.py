"""What training draws: our reading of Braun & Gamper's "Algorithm 1, Modified mixup augmentation".

The body of that algorithm is a picture, and not in the text of the paper that we have.  What section 3.1 says
in words decides which steps there are, and which belong to a source and which to the mixture; their order
within either is our choice.  In the order in which they are applied, with the field of :class:`Augmentation`
that holds the strength of each:

===========  ===============================  =====================================================
each source  ``equaliser``                    3.1: "random spectral ... filtering"
..           ``band_pass``                    3.1: "bandpass filtering"
..           ``low_pass``                     our own: a narrow band without a lower edge
..           ``room``                         3.1: "reverberation"; the early part stays in time
..           ``pitch``                        3.1: "pitch shifting and time stretching", by one vocoder
..           ``speed``                        our own: pitch and tempo together, as a tape does it
..           ``noise``                        our own: of a recorder, below each source
..           ``mix_sigma`` of the sequences   3.1: "random source levels with N(0, 2) dB"; 3.2: alpha_data
the mixture  ``codec``                        3.1: "audio codecs"
..           ``distortion``                   3.1: "non-linear distortion functions"
..           ``microphone``                   our own, for 3.1's "post-microphone": a low-pass
..           ``level``                        3.1: "varying signal levels"
===========  ===============================  =====================================================

Our reasons for the order: a source's steps are in that of the text, but for its level, which is set where
sources are added (a gain commutes with the steps after it).  So are the mixture's, with the low-pass before
the level, since only a level that is set last keeps the samples within full scale.  A source is here a
segment of one recording, so that each recording of a sequence has a room of its own.

Of the distributions the paper gives N(0, 2) dB; all others are our choice, and so is how often each step is
taken (of "paper", a quarter of the segments are band-passed, say).  Frequencies are relative to half the
sampling rate (8 kHz) in the code, and in Hz below.

==============  ==============================================================================================
``equaliser``   gains N(0, s dB) at 8 frequencies from 60 Hz on
``band_pass``   lower edge 50 to 500 Hz, upper edge 2 to 7 kHz, each log-uniform
``low_pass``    cut-off 2 to 7 kHz, log-uniform; also the microphone's
``room``        decay time 0.1 to 1 s, log-uniform; direct to reverberant energy U(-3, 15) dB
``pitch``       U(-2, 2) semitones; tempo 0.9 to 1 / 0.9, log-uniform
``speed``       factor 1 / (1 + s) to 1 + s, log-uniform
``noise``       white; signal to noise ratio U(5, 40) dB
``codec``       Ogg Vorbis 60 %, MP3 30 %, Opus 10 % (it costs eight times Vorbis); quality U(0, 1)
``distortion``  hard, soft or asymmetric clipping or quantisation, 25 % each; drive U(0, 15) dB, 6 to 12 bits
``level``       root mean square, uniform in dBFS; the peak stays within full scale
==============  ==============================================================================================
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from acdref.augment import codecs, distortion, level, rooms, spectrum, speed
from acdref.augment.sound import Sound, as_sound
from acdref.options.augmentation import Strengths

__all__ = ["AUGMENTATIONS", "Augmentation"]

EQUALISER_POINTS = 8
LOWER_EDGE = (1 / 160, 1 / 16)  # relative to half the sampling rate
UPPER_EDGE = (1 / 4, 7 / 8)
DECAY_SECONDS = (0.1, 1.0)
DIRECT_TO_REVERBERANT = (-3.0, 15.0)  # dB
SEMITONES = (-2.0, 2.0)
TEMPO = (0.9, 1 / 0.9)
SIGNAL_TO_NOISE = (5.0, 40.0)  # dB
CODECS = {"vorbis": 0.6, "mp3": 0.3, "opus": 0.1}
CLIPPING = (distortion.hard_clip, distortion.soft_clip, distortion.asymmetric_clip)
DRIVE = (0.0, 15.0)  # dB
BITS = (6, 12)
APPLIED = 1.01  # pitch and speed are applied to the nearest 0.4 % each
RINGING = 4096  # samples: the filters' responses, or a frame of the vocoder and a hop


def _log_uniform(rng, bounds):
    lowest, highest = bounds
    return lowest * (highest / lowest) ** rng.random()


def _equaliser(x, rng, spread, sr):
    return spectrum.equalise(x, spread * rng.standard_normal(EQUALISER_POINTS), sr)


def _band_pass(x, rng, _, sr):
    low, high = _log_uniform(rng, LOWER_EDGE), _log_uniform(rng, UPPER_EDGE)
    return spectrum.band_pass(x, low * sr / 2, high * sr / 2, sr)


def _low_pass(x, rng, _, sr):
    return spectrum.low_pass(x, _log_uniform(rng, UPPER_EDGE) * sr / 2, sr)


def _room(x, rng, _, sr):
    decay, ratio = _log_uniform(rng, DECAY_SECONDS), rng.uniform(*DIRECT_TO_REVERBERANT)
    return rooms.reverberate(x, rooms.room_response(rng, decay, ratio, sr))


def _pitch(x, rng, _, sr):
    return speed.change_pitch(x, rng.uniform(*SEMITONES), _log_uniform(rng, TEMPO), sr)


def _speed(x, rng, largest, sr):
    return speed.change_speed(x, _log_uniform(rng, (1 / (1 + largest), 1 + largest)))


def _noise(x, rng, _, sr):
    return level.add_noise(x, rng, rng.uniform(*SIGNAL_TO_NOISE))


def _codec(x, rng, _, sr):
    codec, quality = rng.choice(list(CODECS), p=list(CODECS.values())), rng.random()
    # What the installed build lacks leaves the sound as it is, and every other draw too.
    return codecs.recode(x, codec, quality, sr) if codec in codecs.available(sr) else x


def _distortion(x, rng, _, sr):
    kind = rng.integers(len(CLIPPING) + 1)
    if kind == len(CLIPPING):
        return distortion.quantise(x, int(rng.integers(*BITS, endpoint=True)))
    return CLIPPING[kind](x, rng.uniform(*DRIVE))


def _level(x, rng, bounds, sr):
    return level.set_level(x, rng.uniform(*bounds))


# Functions of (sound, generator, strength, sampling rate), in the order in which they are applied.
_SOURCE = {
    "equaliser": _equaliser,
    "band_pass": _band_pass,
    "low_pass": _low_pass,
    "room": _room,
    "pitch": _pitch,
    "speed": _speed,
    "noise": _noise,
}
_MIXTURE = {
    "codec": _codec,
    "distortion": _distortion,
    "microphone": _low_pass,
    "level": _level,
}
_AMOUNTS = ("equaliser", "speed", "level")  # the other strengths are probabilities
EFFECTS = (*_SOURCE, *_MIXTURE)
"""Fields of :class:`Augmentation`, in the order in which they are applied."""


@dataclass(frozen=True)
class Augmentation(Strengths):
    """How strongly each effect varies the sound; the head of :mod:`acdref.augment.algorithm` has the rest.

    The strengths, by effect, are those of :class:`acdref.options.augmentation.Strengths`.

    Raises
    ------
    OptionError
        If a strength is out of its range.

    Notes
    -----
    Every effect has a generator of its own: the strength of one does not change what another one draws.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.sin(np.arange(16000, dtype=np.float32))
    >>> augmentation = Augmentation(band_pass=1.0, level=(-20, -20))
    >>> y = augmentation.source(x, np.random.default_rng(0))
    >>> y = augmentation.mixture(y, np.random.default_rng(1))
    >>> round(20 * np.log10(float(np.std(y))))
    -20
    """

    def source(self, x: ArrayLike, rng: np.random.Generator, sr: int = 16000) -> Sound:
        """Vary one source.

        Parameters
        ----------
        x : ndarray, (n,), float32
        rng : numpy.random.Generator
        sr : int
            Sampling rate in Hz.

        Returns
        -------
        ndarray, (m,), float32
            Of another length, if pitch or speed are varied; ``x`` itself if nothing is.
        """
        return self._apply(_SOURCE, x, rng, sr)

    def reach(self, n: int) -> int:
        """Samples of a source that suffice for its first `n`, once it is varied.

        Parameters
        ----------
        n : int
            At least 1.

        Returns
        -------
        int
            `n`, times what pitch and speed may take at most, and so many more that no filter, and no frame of
            the vocoder, hears the end.  `n` itself if no source is varied.

        Examples
        --------
        >>> Augmentation().reach(1000), Augmentation(speed=0.1).reach(1000)
        (1000, 5207)
        """
        if not any(getattr(self, name) for name in _SOURCE):
            return n
        fastest = (1 + self.speed) * (TEMPO[1] if self.pitch else 1)
        return math.ceil(n * fastest * APPLIED) + RINGING

    def mixture(self, x: ArrayLike, rng: np.random.Generator, sr: int = 16000) -> Sound:
        """Vary a mixture of sources.

        Parameters
        ----------
        x : ndarray, (n,), float32
        rng : numpy.random.Generator
        sr : int
            Sampling rate in Hz.

        Returns
        -------
        ndarray, (n,), float32
            In [-1, 1] if the level is varied; ``x`` itself if nothing is.
        """
        return self._apply(_MIXTURE, x, rng, sr)

    def _apply(self, effects, x, rng, sr):
        x = as_sound(x)
        for (name, effect), own in zip(effects.items(), rng.spawn(len(effects)), strict=True):
            strength = getattr(self, name)
            if strength and (name in _AMOUNTS or own.random() < strength):
                x = effect(x, own, strength, sr)
        return x


_LEVELS = (-45.0, -10.0)  # dBFS: nine tenths of everyday recordings
_CHAIN = Augmentation(codec=0.15, distortion=0.2, microphone=0.25, level=_LEVELS)
PAPER = replace(_CHAIN, equaliser=3.0, band_pass=0.25, room=0.3, pitch=0.3)
AUGMENTATIONS = {
    "none": Augmentation(),
    "light": Augmentation(equaliser=3.0, low_pass=0.25, speed=0.1, level=_LEVELS),
    "source": replace(PAPER, codec=0.0, distortion=0.0, microphone=0.0),
    "mixture": _CHAIN,
    "paper": PAPER,
}
"""Named choices: nothing; what is cheap; section 3.1's half for sources, or that for mixtures, with the
level; all of it."""
