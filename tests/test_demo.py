"""The demo in the small: a few scenes, a few steps."""

from dataclasses import replace

from train_support import Recorder

from acdref.demo import OPTIONS, demo

SMALL = replace(OPTIONS, epoch_size=4, batch=2, workers=0)


def test_it_trains_evaluates_and_tags(tmp_path):
    result = demo(tmp_path, scenes=10, options=SMALL)
    assert len(result["ap"]) == 11
    assert 0 < result["prior"] < 1
    assert 0 <= result["mAP"] <= 1
    path, true, tags = result["tags"][0]
    assert (tmp_path / "scenes" / path).exists()
    assert set(true) <= set(result["ap"])
    probabilities = [p for _, p in tags]
    assert probabilities == sorted(probabilities, reverse=True)


def test_it_can_be_stopped(tmp_path):
    assert demo(tmp_path, Recorder(1), scenes=5, options=SMALL) is None
