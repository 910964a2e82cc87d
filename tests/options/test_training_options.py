"""The options of training: what they resolve to, and what they refuse."""

import dataclasses
import subprocess
import sys

import pytest

from acdref import train
from acdref.augment import AUGMENTATIONS
from acdref.errors import OptionError
from acdref.options.augmentation import Strengths
from acdref.options.training import TrainOptions


def test_no_options_load_numpy():
    names = ("training", "recipes", "augmentation", "labels")
    code = "".join(f"import acdref.options.{name}\n" for name in names)
    done = subprocess.run([sys.executable, "-c", f"import sys\n{code}sys.exit('numpy' in sys.modules)"])
    assert done.returncode == 0


def test_the_name_in_train():
    assert train.Options is TrainOptions
    assert TrainOptions("m.csv", "root").root == "root"


def test_a_named_augmentation_becomes_its_strengths():
    assert TrainOptions("m.csv").augment == AUGMENTATIONS["light"]
    assert TrainOptions("m.csv", augment="paper").augment is AUGMENTATIONS["paper"]


def test_steps_are_whole_batches():
    assert TrainOptions("m.csv", epoch_size=17, batch=8).steps == 2
    assert TrainOptions("m.csv", epoch_size=7, batch=8).steps == 1


@pytest.mark.parametrize(
    "given", [{"lr": 0.0}, {"average": 1.0}, {"keep": "best"}, {"net": "vgg"}, {"seed": -1}, {"mix_max": 0}]
)
def test_values_that_cannot_be(given):
    (name,) = given
    with pytest.raises(OptionError, match=f"^{name} "):
        TrainOptions("m.csv", **given)


@pytest.mark.parametrize(
    "given",
    [
        {name: wrong}
        for name in ("band_pass", "low_pass", "room", "pitch", "codec", "distortion", "microphone")
        for wrong in (-0.1, 1.1)
    ]
    + [{"equaliser": 31.0}, {"equaliser": -1.0}, {"speed": 1.0}, {"speed": -0.1}]
    + [{"level": (-20, -30)}, {"level": (-301, 0)}, {"level": (0, 301)}, {"level": (-20,)}],
)
def test_strengths_that_cannot_be(given):
    (name,) = given
    with pytest.raises(OptionError, match=f"^{name} must be"):
        Strengths(**given)


def test_levels_read_from_json_are_a_tuple():
    strengths = Strengths(level=[-30.0, -20.0])
    assert strengths.level == (-30.0, -20.0)
    assert Strengths(**dataclasses.asdict(strengths)) == strengths


def test_a_level_may_be_one():
    assert Strengths(level=(-20, -20)).level == (-20, -20)


def test_defaults():
    """Of one pass over the data, and of how sequences are made."""
    given = TrainOptions("m.csv")
    assert (given.epochs, given.epoch_size, given.batch, given.lr) == (100, 10_000, 8, 1e-4)
    assert (given.schedule, given.patience, given.weight_decay) == ("plateau", 150, 0.01)
    assert (given.seconds, given.mix_max, given.mixing, given.sampling) == (10.0, 2, "or", "balanced")
