"""The cases, exported once for all foreign implementations."""

import pytest

from acdref.conform import export


@pytest.fixture(scope="session")
def cases(tmp_path_factory):
    """Folder of all cases."""
    folder = tmp_path_factory.mktemp("conformance") / "cases"
    export(folder)
    return folder
