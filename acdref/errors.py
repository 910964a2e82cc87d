"""What acdref raises when its input, not its code, is at fault.

Every error that a user can cause is an :class:`AcdrefError`; the command line prints it in one line and
exits with code 1.  An error about a file is a :class:`FileError` and names the file and the cause.
"""

import contextlib
from collections.abc import Iterator
from os import PathLike


class AcdrefError(Exception):
    """A problem with the user's input that one line of text explains."""


class FileError(AcdrefError):
    """A file that cannot be used.

    Attributes
    ----------
    path : str
        The file, as the caller named it.
    cause : str
        Why it cannot be used: one line, no trailing full stop.
    """

    def __init__(self, path: str | PathLike[str], cause: object) -> None:
        super().__init__(str(path), cause)
        self.path = str(path)
        self.cause = str(cause)

    def __str__(self) -> str:
        return f"{self.path}: {self.cause}"


class AudioError(FileError):
    """A recording that cannot be decoded or makes no sense as audio."""


class ManifestError(FileError):
    """A manifest (list of recordings with labels) that cannot be read."""


class CheckpointError(FileError):
    """A weights or checkpoint file that is missing, damaged or of another network."""


class TeacherError(FileError):
    """A teacher's bundle, or a file in it, that cannot be used."""


class OptionError(AcdrefError, ValueError):
    """An option with a value that it cannot have."""


@contextlib.contextmanager
def naming(path: str | PathLike[str], error: type[FileError] = FileError) -> Iterator[None]:
    """Context in which what the system refuses (OSError) becomes an error that names the file.

    Parameters
    ----------
    path : str or path-like
    error : type, optional
        Subclass of FileError.

    Examples
    --------
    >>> with naming("nowhere.csv"):
    ...     open("nowhere.csv")
    Traceback (most recent call last):
    acdref.errors.FileError: nowhere.csv: No such file or directory
    """
    try:
        yield
    except OSError as caught:
        raise error(path, caught.strerror or str(caught)) from None
