"""The part of the package's description that setup.cfg cannot say; everything else stands there.

README.md links to files beside it, which a package index does not have.  Its text there has these links
below the address of the repository, once setup.cfg has one (`project_urls`, a line `Source = https://...`);
until then, as the words alone, for there is nothing true to link to.
"""

import posixpath
import re
from configparser import ConfigParser
from pathlib import Path

from setuptools import setup

HERE = Path(__file__).resolve().parent
LINK = re.compile(r"(?<!!)\[([^]]+)\]\((?![a-z]+:|#)([^)\s]+)\)")


def description(readme: str, source: str | None) -> str:
    """README.md for a page that has no files beside it.

    Parameters
    ----------
    readme : str
    source : str or None
        Address below which the files are, such as ``https://host/name/blob/main``.
    """
    if source is None:
        return LINK.sub(r"\1", readme)
    return LINK.sub(lambda link: f"[{link[1]}]({posixpath.join(source, link[2])})", readme)


def source_address(configuration: str, version: str) -> str | None:
    """Where `project_urls` of setup.cfg says that the files of a version are, or None."""
    parser = ConfigParser()
    parser.read_string(configuration)
    urls = dict(
        re.split(r"\s*=\s*", line, maxsplit=1)
        for line in parser.get("metadata", "project_urls", fallback="").split("\n")
        if line
    )
    return f"{urls['Source'].rstrip('/')}/blob/v{version}" if "Source" in urls else None


if __name__ == "__main__":
    text = (HERE / "README.md").read_text(encoding="utf-8")
    version = re.search(r'__version__ = "(.*)"', (HERE / "acdref/__init__.py").read_text(encoding="utf-8"))[1]
    source = source_address((HERE / "setup.cfg").read_text(encoding="utf-8"), version)
    setup(long_description=description(text, source), long_description_content_type="text/markdown")
