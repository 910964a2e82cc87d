"""Options that make recipes take seconds, and ways to stop them at any point."""

import os
from contextlib import contextmanager
from dataclasses import replace

from train_support import OPTIONS, write_corpus

from acdref.checkpoint import save_weights
from acdref.nets.mobilenet import InvertedStage, MobileNetConfig, MobileNetV2


def tiny(folder, **options):
    """Options of a run of two epochs on eight recordings, with a network of a few hundred parameters."""
    manifest = write_corpus(folder)
    init = tiny_mobilenet(folder / "tiny.npz", ("noise", "tone"))
    return replace(OPTIONS, manifest=str(manifest), init=init, seconds=2.1, **options)


def tiny_mobilenet(path, classes):
    """Weights of a MobileNetV2 of three blocks; the path as text."""
    stages = (InvertedStage(1, 4, 1, 2), InvertedStage(2, 4, 1, 2), InvertedStage(2, 6, 1, 2))
    config = MobileNetConfig(len(classes), stem=4, stages=stages, last=8)
    save_weights(path, MobileNetV2(config, seed=1, backend="numpy"), classes)
    return str(path)


class Killed(BaseException):
    """In place of SIGKILL: nothing catches it."""


@contextmanager
def dying_at(monkeypatch, count, late):
    """Context in which the replacement of a file number `count` kills: before it, or (late) after it."""
    replace_file, left = os.replace, count

    def killing(source, target):
        nonlocal left
        left -= 1
        if left == 0 and not late:
            raise Killed
        replace_file(source, target)
        if left == 0:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killing)
        yield
