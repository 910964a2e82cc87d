"""How far a job has come, for whoever is watching."""

import pytest
from predict_support import noise, write

from acdref.commands import _work
from acdref.commands._progress import Progress
from acdref.commands._work import Work


class Told(Progress):
    """What is shown: (done, share, place)."""

    def __init__(self, live=True):
        super().__init__()
        self.live, self.told = live, None

    def at(self, done, share=None, place="", last=False):
        self.told = (done, share, place)

    def clear(self):
        pass


@pytest.fixture
def folder(tmp_path):
    """Three recordings of 2, 2 and 4 s."""
    for name, seconds in (("a", 2), ("b", 2), ("c", 4)):
        write(tmp_path / f"{name}.wav", noise(seconds))
    return tmp_path


def test_the_share_is_that_of_bytes(folder, monkeypatch):
    monkeypatch.setattr(_work, "_LONG", 100_000)  # c alone
    work = Work([str(folder), str(folder / "none.wav")], progress := Told())
    assert work.count == 4 and work.bytes == 3 * 44 + 2 * 16000 * 8

    def shown(name, start, end):
        work.window(str(folder / name), start, end)
        work.show()
        return progress.told

    assert shown("a.wav", 0, 2) == ("recording 1 of 4", 0, "a.wav  2 s")
    assert shown("b.wav", 0, 2)[1] == pytest.approx(0.25, abs=1e-3)
    assert shown("c.wav", 0, 1)[1] == pytest.approx(0.5 + 0.125, abs=1e-3)
    assert shown("c.wav", 0.5, 1.5)[1] == pytest.approx(0.5 + 0.1875, abs=1e-3)
    work.failure(str(folder / "none.wav"))
    assert work.begun == 4
    assert progress.sound == 5.5  # overlapping windows count once


def test_a_recording_that_fails_late_counts_once(folder):
    work = Work(None, Told())
    path = str(folder / "a.wav")
    work.window(path, 0, 1)
    work.failure(path)
    work.failure(path)  # given twice
    assert work.begun == 2
    assert work.count == work.bytes == 0


def test_nobody_counts_for_long_nor_for_nobody(folder, monkeypatch):
    assert Work([str(folder)], Told(live=False)).count == 0
    monkeypatch.setattr(_work, "_PATIENCE", -1.0)
    work = Work([str(folder)], progress := Told())
    assert work.count == 0
    work.window(str(folder / "a.wav"), 0, 2)
    work.show()
    assert progress.told == ("recording 1", None, "a.wav  2 s")


def test_a_header_that_does_not_say(folder, monkeypatch):
    monkeypatch.setattr(_work, "_LONG", 1)
    (folder / "d.wav").write_bytes(b"no sound")
    work = Work([str(folder)], progress := Told())
    work.window(str(folder / "d.wav"), 0, 2)
    work.show()
    assert progress.told[1] == 0
