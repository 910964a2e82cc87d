"""Where the files that ship with acdref lie, installed or in a checkout."""

from importlib import resources
from pathlib import Path


def resource(folder, name):
    """Path of a shipped file.

    Parameters
    ----------
    folder : {"weights", "fixtures"}
    name : str
        File name inside the folder.

    Returns
    -------
    pathlib.Path
        ``acdref/<folder>`` when installed, the folder beside the package in a checkout that is not.
    """
    try:
        return Path(str(resources.files(f"acdref.{folder}"))) / name
    except ModuleNotFoundError:
        return Path(__file__).resolve().parent.parent / folder / name
