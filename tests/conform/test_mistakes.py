"""An implementation that makes a known mistake is caught, and told which one."""

import itertools
import shutil

import pytest

from acdref.conform import check, clap, export, formats, labels, layers, metrics, sound, training


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "cases"
    with pytest.MonkeyPatch.context() as patch:
        sections = (sound, layers, training, labels, metrics, clap, formats)
        patch.setattr(
            "acdref.conform.writing.all_cases",
            lambda: itertools.chain.from_iterable(section.cases() for section in sections),
        )
        return folder, export(folder)


@pytest.mark.parametrize("number", range(1, 9))
def test_each_mistake_is_caught_and_named(exported, number, tmp_path):
    folder, cases = exported
    causes = {case.name: case.mistakes[number - 1].cause for case in cases if len(case.mistakes) >= number}
    for name in causes:
        shutil.copytree(folder / name / "out", tmp_path / name)
        shutil.copytree(folder / name / f"mistake{number}", tmp_path / name, dirs_exist_ok=True)
    verdicts = {one.case: one for one in check(folder, tmp_path)[0] if one.status != "missing"}
    assert {name: (one.status, one.cause) for name, one in verdicts.items()} == {
        name: ("failed", cause) for name, cause in causes.items()
    }


def test_eight_are_all(exported):
    assert max(len(case.mistakes) for case in exported[1]) == 8
