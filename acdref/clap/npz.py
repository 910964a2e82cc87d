"""Reading npz files that users bring: whatever is wrong with one is said in one line."""

import zipfile

import numpy as np

from acdref.errors import FileError


def read_arrays(path, kinds, what, error=FileError):
    """Arrays of a file.

    Parameters
    ----------
    path : str or path-like
    kinds : dict of str to str
        The arrays that there must be, and the kind of the dtype of each.
    what : str
        What the file should be, for the message.
    error : type, optional
        Subclass of FileError.

    Returns
    -------
    dict of str to ndarray

    Raises
    ------
    FileError
        If it cannot be read, is damaged or something else.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/x.npz", a=[1.5])
    ...     read_arrays(f"{folder}/x.npz", {"a": "f"}, "an example")
    {'a': array([1.5])}
    """
    try:
        with open(path, "rb") as file:
            if not zipfile.is_zipfile(file):
                raise ValueError("not an npz file")
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in kinds}
        for name, kind in kinds.items():
            if arrays[name].dtype.kind != kind:
                raise ValueError(f"{name} is {arrays[name].dtype}")
    except OSError as caught:
        raise error(path, caught.strerror or str(caught)) from None
    except Exception as caught:  # what zipfile and NumPy raise for damaged bytes has no common type
        raise error(path, f"damaged, or not {what}: {caught}") from None
    return arrays
