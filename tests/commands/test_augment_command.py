"""`acdref augment` as its user meets it."""

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from acdref.augment import AUGMENTATIONS
from acdref.commands.augment import command
from acdref.errors import AcdrefError


def invoke(*arguments, **options):
    return CliRunner().invoke(command, [str(a) for a in arguments], **options)


@pytest.fixture
def recording(tmp_path):
    path = tmp_path / "x.wav"
    soundfile.write(path, np.sin(np.arange(8000) / 5) / 2, 16000)
    return path


def test_a_page_and_its_path(recording, tmp_path):
    result = invoke("--listen", tmp_path / "out", recording)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{tmp_path / 'out' / 'index.html'}\n"
    assert result.stderr == ""


def test_without_recordings_a_synthetic_scene(tmp_path, monkeypatch):
    monkeypatch.setattr("acdref.listen.SECONDS", 1.0)
    result = invoke("--listen", tmp_path, "--seed", 7)
    assert result.exit_code == 0, result.output
    assert "synthetic scene (seed 7)" in (tmp_path / "index.html").read_text()


def test_a_broken_recording_does_not_stop_the_others(recording, tmp_path):
    result = invoke("--listen", tmp_path / "out", tmp_path / "none.wav", recording)
    assert result.exit_code == 3
    assert result.stderr == f"acdref: {tmp_path / 'none.wav'}: no such file\n"
    assert (tmp_path / "out" / "index.html").exists()


def test_broken_recordings_alone_are_a_failure(tmp_path):
    result = invoke("--listen", tmp_path / "out", tmp_path / "none.wav")
    assert isinstance(result.exception, AcdrefError)  # which the command line makes exit code 1


def test_a_folder_is_needed():
    result = invoke()
    assert result.exit_code == 2
    assert "--listen" in result.stderr


def test_all_named_augmentations_can_be_chosen():
    (option,) = (option for option in command.params if option.name == "augment")
    assert list(option.type.choices) == list(AUGMENTATIONS)
