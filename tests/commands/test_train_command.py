"""`acdref train` as its user meets it."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace

import pytest
from click.testing import CliRunner
from train_support import write_corpus

from acdref.augment import AUGMENTATIONS, Augmentation
from acdref.commands._training import options_of
from acdref.commands.train import command
from acdref.options.training import TrainOptions


def invoke(*arguments):
    return CliRunner().invoke(command, [str(a) for a in arguments])


SMALL = ("--epochs", 1, "--epoch-size", 2, "--batch", 2, "--val-fold", 2, "--workers", 0)


def test_train_and_resume(tmp_path):
    manifest = write_corpus(tmp_path)
    result = invoke(manifest, "--out", tmp_path / "run", *SMALL)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"{tmp_path / 'run'}: 1 epochs, loss 0.")
    assert "validation mAP" in result.stdout
    assert "epoch 1  loss" in result.stderr
    again = invoke("--out", tmp_path / "run", "--resume", "--workers", 0)
    assert again.exit_code == 0
    assert "complete" in again.stderr
    longer = invoke("--out", tmp_path / "run", "--resume", "--workers", 0, "--epochs", 2)
    assert longer.exit_code == 0 and longer.stdout.startswith(f"{tmp_path / 'run'}: 2 epochs, ")
    assert "lengthened from 1 to 2 epochs; the cosine of the rate begins again" in longer.stderr


def test_resume_takes_no_other_options(tmp_path):
    result = invoke("--out", tmp_path, "--resume", "--lr", 0.1)
    assert result.exit_code == 2
    assert "leave out: --lr" in result.stderr


def test_strengths_take_the_place_of_a_named_augmentation(tmp_path):
    arguments = ("--augment", "paper", "--equaliser", 0, "--speed", 0.2)
    result = invoke(write_corpus(tmp_path), "--out", tmp_path / "run", *SMALL, *arguments)
    assert result.exit_code == 0, result.output
    stored = json.loads((tmp_path / "run" / "config.json").read_text())
    expected = replace(AUGMENTATIONS["paper"], equaliser=0.0, speed=0.2)
    assert Augmentation(**stored["augment"]) == expected


def configuration(folder, *arguments):
    """What a run of one step at most stores of these arguments."""
    result = invoke(write_corpus(folder), "--out", folder / "run", *SMALL, *arguments)
    assert result.exit_code == 0, result.output
    return json.loads((folder / "run" / "config.json").read_text())


def test_without_a_preset_it_is_cpu(tmp_path):
    stored = configuration(tmp_path)
    defaults = asdict(TrainOptions(""))
    own = ("manifest", "epochs", "epoch_size", "batch", "val_fold", "workers")
    assert {name: value for name, value in stored.items() if name not in own} == json.loads(
        json.dumps({name: value for name, value in defaults.items() if name not in own})
    )
    assert (stored["preset_name"], stored["epochs"], stored["epoch_size"]) == ("cpu", 1, 2)


def test_what_is_given_overrides_the_preset(tmp_path):
    """Wherever it stands, and though it is the other preset's value."""
    small = ("--preset", "paper", "--fill", "repeat", "--augment", "none", "--seconds", 2.1)
    stored = configuration(tmp_path, *small, "--equaliser", 1)
    given = {"fill": "repeat", "seconds": 2.1, "epochs": 1, "epoch_size": 2, "batch": 2, "val_fold": "2"}
    augment = Augmentation(equaliser=1.0)
    expected = TrainOptions.preset("paper", stored["manifest"], workers=0, augment=augment, **given)
    assert stored == json.loads(json.dumps(asdict(expected)))
    assert (stored["schedule"], stored["sampling"], stored["lr"]) == ("plateau", "uniform", 1e-4)


def test_help_has_the_values_of_the_preset():
    cpu, paper = (
        " ".join(invoke(*before, "--help").stdout.split()) for before in ((), ("--preset", "paper"))
    )
    assert "--epochs INTEGER RANGE [default: 14;" in cpu
    assert "--epochs INTEGER RANGE [default: 1000;" in paper
    for text in (cpu, paper):
        assert "paper: --epochs 1000 --epoch-size 10000 --lr 0.0001 --schedule plateau" in text


def test_resume_keeps_the_preset(tmp_path):
    result = invoke("--out", tmp_path, "--resume", "--preset", "paper")
    assert result.exit_code == 2
    assert "leave out: --preset" in result.stderr


def test_all_named_augmentations_can_be_chosen():
    (option,) = (option for option in command.params if option.name == "augment")
    assert list(option.type.choices) == list(AUGMENTATIONS)


def test_mixup_is_of_two(tmp_path):
    result = invoke("manifest.csv", "--out", tmp_path / "run", "--mixing", "mixup", "--mix-max", 3)
    assert result.exit_code == 2
    assert "--mixing mixup is of two sequences" in result.stderr
    assert not (tmp_path / "run").exists()


def test_a_manifest_is_needed(tmp_path):
    result = invoke("--out", tmp_path / "run")
    assert result.exit_code == 2
    assert "MANIFEST" in result.stderr


def test_sequences_that_the_network_cannot_hear_are_wrong_usage(tmp_path):
    result = invoke("manifest.csv", "--out", tmp_path / "run", "--seconds", 2)
    assert result.exit_code == 2
    assert "--seconds" in result.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("missing.csv", "--out", "run"), "missing.csv"),
        (("manifest.csv", "--out", "run", "--val-fold", "9"), "fold '9'"),
        (("manifest.csv", "--out", "run", "--init", "manifest.csv"), "not a weights file"),
        (("manifest.csv", "--out", "0.wav/run"), "0.wav"),
        (("--out", "nowhere", "--resume"), "nowhere"),
    ],
)
def test_bad_input_is_one_line(arguments, words, tmp_path):
    write_corpus(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "acdref.cli", "train", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert words in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_a_signal_ends_with_a_checkpoint(tmp_path):
    manifest = write_corpus(tmp_path)
    run = tmp_path / "run"
    arguments = [str(manifest), "--out", str(run), "--epochs", "1000", "--epoch-size", "2", "--batch", "2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "acdref.cli", "train", *arguments], stderr=subprocess.PIPE, text=True
    )
    while not (run / "last.npz").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "continue with: acdref train --out" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("mix_max", [1, 2])
def test_mixup_of_two_or_none(mix_max):
    given = options_of("m.csv", "none", **dict.fromkeys(("low_pass", "equaliser", "speed")), mixing="mixup",
                       mix_max=mix_max)  # fmt: skip
    assert (given.mixing, given.mix_max) == ("mixup", mix_max)
