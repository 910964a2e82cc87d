"""The options of training: what they resolve to, and what they refuse."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from acdref import train
from acdref.augment import AUGMENTATIONS
from acdref.errors import OptionError
from acdref.optim import Plateau
from acdref.options.augmentation import Strengths
from acdref.options.training import PRESETS, TrainOptions, ValidatedOptions


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


def test_the_default_is_the_preset_for_a_small_corpus():
    given = TrainOptions("m.csv")
    assert (given.preset_name, given.epochs, given.epoch_size, given.batch) == ("cpu", 14, 2000, 8)
    assert (given.schedule, given.lr, given.weight_decay, given.average) == ("cosine", 3e-3, 0.05, 0.998)
    assert (given.seconds, given.fill, given.empty, given.sampling) == ((4.0,), "repeat", 0.0, "balanced")
    assert (given.mix_max, given.mixing, given.augment) == (2, "or", AUGMENTATIONS["light"])


def test_the_papers_training():
    """Braun & Gamper, sections 2.2, 3.1 and 3.2; Table 2 is with two sequences at most."""
    given = TrainOptions.preset("paper", "m.csv")
    assert given.preset_name == "paper"
    assert (given.seconds, given.fill, given.empty) == ((10.0,), "concatenate", 0.0)
    assert given.sampling == "uniform"
    assert (given.epoch_size, given.lr, given.schedule, given.patience) == (10_000, 1e-4, "plateau", 150)
    assert (given.mix_max, given.mixing, given.augment) == (2, "or", AUGMENTATIONS["paper"])
    assert (given.keep, given.average, given.net, given.width) == ("mAP", 0.0, None, 1.0)


def test_one_length_or_several_however_they_are_stored():
    for one in (10, [10.0]):
        assert TrainOptions("m.csv", seconds=one).seconds == (10.0,)
    assert TrainOptions("m.csv", seconds=[2.1, 4]).seconds == (2.1, 4)
    with pytest.raises(OptionError, match=r"^seconds must be at least 2\.1, not 2$"):
        TrainOptions("m.csv", seconds=(4, 2))


def test_the_papers_rate_can_be_halved_several_times():
    given = TrainOptions.preset("paper", "m.csv")
    plateau = Plateau(given.patience)
    rates = [given.lr * plateau.scale for _ in range(given.epochs) if plateau.update(0.5)]
    assert len(set(rates)) == 7  # halved by each 151 epochs without a rise


def test_what_is_given_overrides_a_preset():
    given = TrainOptions.preset("paper", "m.csv", epochs=3, fold="1")
    assert (given.manifest, given.epochs, given.fold, given.epoch_size) == ("m.csv", 3, "1", 10_000)
    assert TrainOptions.preset("cpu", "m.csv") == TrainOptions("m.csv")


def test_no_such_preset():
    with pytest.raises(OptionError, match=r"^preset_name = 'large': choose one of 'cpu', 'paper'"):
        TrainOptions.preset("large", "m.csv")


def test_a_preset_is_no_argument_of_the_class():
    """It would name a preset without taking its values."""
    with pytest.raises(TypeError, match="preset"):
        TrainOptions("m.csv", preset="paper")


# Every option's value in both presets, as docs/presets.md has it

PAGE = Path(__file__).parents[2] / "docs" / "presets.md"


def test_the_page_has_every_option_and_its_values():
    rows = [line.strip("| \n").split(" | ") for line in PAGE.read_text().splitlines() if line[:4] == "| `-"]
    recordings = {field.name for field in dataclasses.fields(ValidatedOptions)}
    names = [f.name for f in dataclasses.fields(TrainOptions) if f.name not in recordings | {"preset_name"}]
    assert [row[0] for row in rows] == [f"`--{name.replace('_', '-')}`" for name in names]
    defaults = {field.name: field.default for field in dataclasses.fields(TrainOptions)}
    for name, row in zip(names, rows, strict=True):
        for preset, words in zip(("cpu", "paper"), row[1:3], strict=True):
            value = (defaults | PRESETS[preset])[name]
            value = value[0] if name == "seconds" else value  # one length
            assert words == str(value).replace("None", "none"), name
        assert row[3].startswith(("printed, ", "our choice: "))
