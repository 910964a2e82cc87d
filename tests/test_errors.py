"""Errors name a file and a cause, and pass between processes."""

import pickle

import pytest

from acdref import errors

OF_FILES = (errors.AudioError, errors.ManifestError, errors.CheckpointError, errors.TeacherError)


@pytest.mark.parametrize("kind", OF_FILES)
def test_of_files(kind, tmp_path):
    error = kind(tmp_path / "a.wav", OSError("no luck"))
    assert isinstance(error, errors.FileError) and isinstance(error, errors.AcdrefError)
    assert (error.path, error.cause) == (str(tmp_path / "a.wav"), "no luck")
    assert str(error) == f"{tmp_path / 'a.wav'}: no luck"
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), copy.path, copy.cause, str(copy)) == (kind, error.path, error.cause, str(error))


def test_of_options():
    assert issubclass(errors.OptionError, errors.AcdrefError) and issubclass(errors.OptionError, ValueError)


def test_refusals_alone_become_errors_that_name_the_file(tmp_path):
    refused = pytest.raises(errors.ManifestError, match=r"^folder: No such file or directory$")
    with refused, errors.naming("folder", errors.ManifestError):
        (tmp_path / "no" / "folder").mkdir()
    with pytest.raises(ValueError, match=r"^other$"), errors.naming("folder"):
        raise ValueError("other")
