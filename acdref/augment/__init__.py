"""Changes to sound that training varies: those that Braun & Gamper name in section 3.1, and three of our own.

Functions of (sound, parameters), by subject; each leaves the sound as it is, bit for bit, at zero strength,
keeps its length unless it says otherwise, and makes silence of silence.  :class:`Augmentation` draws the
parameters, and says from which distributions.  Mixing is in :mod:`acdref.labels.algebra`.

Whatever comes in, numbers come out: :func:`acdref.augment.sound.as_sound` sees to that in each.
"""

from acdref.augment.algorithm import *
from acdref.augment.codecs import *
from acdref.augment.distortion import *
from acdref.augment.level import *
from acdref.augment.rooms import *
from acdref.augment.spectrum import *
from acdref.augment.speed import *
