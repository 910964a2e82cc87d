"""Cases as files: plain arrays, an index that is true, the same each time."""

import json

import numpy as np
import pytest

from acdref.conform import export
from acdref.conform.writing import MODULES, plain
from acdref.errors import AcdrefError


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "cases"
    return folder, export(folder)


def test_the_index_lists_the_cases_and_their_files(exported):
    folder, cases = exported
    index = json.loads((folder / "index.json").read_text())
    assert index["schema"] == "acdref.conformance/1"
    assert [entry["name"] for entry in index["cases"]] == [case.name for case in cases]
    named = {"index.json"}
    for entry in index["cases"]:
        wrong_ways = [mistake["outputs"] for mistake in entry["mistakes"]]
        for files in (entry["inputs"], entry["outputs"], *wrong_ways):
            named.update(files.values())
    assert named == {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_names_say_section_function_and_variant(exported):
    names = [case.name for case in exported[1]]
    assert len(names) == len(set(names))
    assert all(len(name.split("/")) == 3 for name in names)
    sections = [name.split("/")[0] for name in names]
    assert sections == sorted(sections, key=list(dict.fromkeys(sections)).index), (
        "sections must stand together"
    )
    assert len(MODULES) <= len(set(sections)) + 7


def test_arrays_are_what_they_say(exported):
    folder, _ = exported
    for path in folder.rglob("*.npy"):
        array = np.load(path, allow_pickle=False)
        assert array.dtype.str in ("<f4", "<f8", "<i8"), path
        assert array.flags.c_contiguous, path


def test_each_case_has_what_a_reader_needs(exported):
    for case in exported[1]:
        assert case.outputs, case.name
        assert case.formula.strip() == case.formula != "", case.name
        several = isinstance(case.atol, dict)
        assert not several or case.atol.keys() == case.outputs.keys(), case.name
        assert case.rtol >= 0 and min(case.atol.values() if several else [case.atol]) >= 0, case.name
        for mistake in case.mistakes:
            assert mistake.cause and set(mistake.outputs) <= set(case.outputs), case.name


def test_a_second_export_is_the_same_to_the_byte(exported, tmp_path):
    folder, _ = exported
    export(tmp_path / "again")
    for path in folder.rglob("*"):
        if path.is_file():
            again = tmp_path / "again" / path.relative_to(folder)
            assert path.read_bytes() == again.read_bytes(), path


def test_about_ten_megabytes(exported):
    size = sum(path.stat().st_size for path in exported[0].rglob("*") if path.is_file())
    assert size < 12e6


def test_a_folder_with_something_in_it_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(AcdrefError, match="is not empty"):
        export(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_plain_arrays():
    assert plain(np.float32(1)).dtype.str == plain(np.zeros(2, np.float16)).dtype.str == "<f4"
    assert plain([1, 2]).dtype.str == plain(True).dtype.str == "<i8"
    assert plain(np.zeros((2, 3), order="F", dtype=">f8")).flags.c_contiguous
    for wrong in (1j, "word", None):
        with pytest.raises(TypeError, match="neither float32"):
            plain(wrong)
