import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acdref.clap.npz import read_arrays
from acdref.errors import FileError, TeacherError

KINDS = {"names": "U", "values": "f"}


def write(path):
    np.savez(path, names=["a", "b"], values=np.arange(2.0), more=[1])
    return path


def test_arrays_as_they_were_written(tmp_path):
    arrays = read_arrays(write(tmp_path / "x.npz"), KINDS, "it")
    assert list(arrays) == ["names", "values"]
    assert arrays["names"].tolist() == ["a", "b"]
    np.testing.assert_array_equal(arrays["values"], [0, 1])


@pytest.mark.parametrize("content", [b"", b"path,classes\n", b"PK\x03\x04", b"\x80\x04pickle"])
def test_other_files(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(TeacherError, match=r"x: damaged, or not it: not an npz file$"):
        read_arrays(tmp_path / "x", KINDS, "it", TeacherError)


def test_a_single_array_a_folder_and_nothing(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(2))
    for name, cause in (("x.npy", "not an npz file"), ("", "Is a directory"), ("none", "No such file")):
        with pytest.raises(FileError, match=cause):
            read_arrays(tmp_path / name, KINDS, "it")


@pytest.mark.parametrize(
    ("arrays", "cause"),
    [
        ({"names": ["a"]}, "values"),
        ({"names": [1], "values": [1.0]}, "names is int64"),
        ({"names": ["a"], "values": np.array([None])}, "values|allow_pickle"),
    ],
    ids=["missing", "kind", "objects"],
)
def test_other_arrays(tmp_path, arrays, cause):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(FileError, match=f"damaged, or not it: .*({cause})"):
        read_arrays(tmp_path / "x.npz", KINDS, "it")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write(tmp_path_factory.mktemp("npz") / "x.npz")


@given(st.data())
def test_damage_is_an_error_or_does_no_harm(whole, data):
    content = bytearray(whole.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    del content[data.draw(st.sampled_from([len(content), place]), label="cut") :]
    damaged = whole.with_name("damaged.npz")
    damaged.write_bytes(content)
    try:
        arrays = read_arrays(damaged, KINDS, "it")
    except FileError as error:
        assert "\n" not in str(error)
    else:
        assert [array.dtype.kind for array in arrays.values()] == ["U", "f"]
