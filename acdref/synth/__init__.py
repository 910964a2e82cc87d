"""Synthetic sounds of the 11 classes, and labelled scenes made of them, in NumPy alone.

They let a demonstration and a test run without recordings, and can stand in where a class is thin.  They are
caricatures: a network trained on them alone knows their spectra and rhythms, not the world's.

:func:`sound` makes one sound, :func:`scene` a labelled mixture, :func:`write_dataset` a folder of scenes with
a manifest; :func:`soundscape` and :func:`write_soundscapes` place any recordings in time instead.
:mod:`~acdref.synth.blocks` holds what the families of sounds share.
"""

from acdref.synth.dataset import write_dataset
from acdref.synth.scenes import CLASSES, Event, scene, sound
from acdref.synth.soundscapes import soundscape, write_soundscapes

__all__ = ["CLASSES", "Event", "scene", "sound", "soundscape", "write_dataset", "write_soundscapes"]
