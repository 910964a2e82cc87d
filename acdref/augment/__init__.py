"""Changes to sound that training varies: Braun & Gamper's algorithm 1.

Functions of (sound, parameters), by subject; each leaves the sound as it is, bit for bit, at zero strength,
keeps its length unless it says otherwise, and makes silence of silence.  :class:`Augmentation` draws the
parameters, and says from which distributions.  Mixing is in :mod:`acdref.labels.algebra`.

Whatever comes in, numbers come out: :func:`acdref.augment.sound.as_sound` sees to that in each.
"""

from acdref.augment.algorithm import AUGMENTATIONS, Augmentation
from acdref.augment.codecs import recode
from acdref.augment.distortion import asymmetric_clip, hard_clip, quantise, soft_clip
from acdref.augment.level import set_level
from acdref.augment.rooms import reverberate, room_response
from acdref.augment.spectrum import band_pass, equalise, low_pass
from acdref.augment.speed import change_pitch, change_speed, change_tempo

__all__ = [
    "AUGMENTATIONS",
    "Augmentation",
    "asymmetric_clip",
    "band_pass",
    "change_pitch",
    "change_speed",
    "change_tempo",
    "equalise",
    "hard_clip",
    "low_pass",
    "quantise",
    "recode",
    "reverberate",
    "room_response",
    "set_level",
    "soft_clip",
]
