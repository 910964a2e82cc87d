"""From recordings to training batches.

A :class:`Manifest` says what there is to hear in which recording, :class:`Sequences` makes labelled training
sequences of these, a :class:`Loader` makes batches ahead of time.
"""

from acdref.audio.segments import Clips
from acdref.data.loader import Loader
from acdref.data.sampling import Sequences, clip_weights
from acdref.tables.manifest import (
    ACD_CLASSES,
    Manifest,
    open_dataset,
    read_folder,
    read_manifest,
    write_manifest,
)

__all__ = [
    "ACD_CLASSES", "Clips", "Loader", "Manifest", "Sequences", "clip_weights", "open_dataset", "read_folder",
    "read_manifest", "write_manifest",
]  # fmt: skip
