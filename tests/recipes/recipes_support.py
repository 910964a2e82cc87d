"""Options that make recipes take seconds, and ways to stop them at any point."""

import os
from contextlib import contextmanager
from dataclasses import replace

from predict_support import write_tiny_weights
from train_support import OPTIONS, write_corpus


def tiny(folder, **options):
    """Options of a run of two epochs on eight recordings, with a network of a few hundred parameters."""
    manifest = write_corpus(folder)
    init = write_tiny_weights(folder / "tiny.npz")
    return replace(OPTIONS, manifest=str(manifest), init=init, seconds=2.1, **options)


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
