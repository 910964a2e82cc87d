"""What every effect works on."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Sound = NDArray[np.float32]
"""Samples, (n,)."""

LOUDEST = 1e12
"""Greatest magnitude of a sample: 240 dB above full scale, and so far below what float32 can hold that no
spectrum of a recording, whatever its gain, passes that."""


def as_sound(x: ArrayLike) -> Sound:
    """The samples of a sound, all of them numbers.

    Parameters
    ----------
    x : array_like, (n,)
        Whatever a decoder or a computation has left there.

    Returns
    -------
    ndarray, (n,), float32
        ``x`` itself, if it is a sound.  Else a copy: 0 for NaN, +-`LOUDEST` for what is beyond.

    Raises
    ------
    ValueError
        If there is not one dimension.

    Notes
    -----
    A single NaN would otherwise fill the whole spectrum, and with it the sound; one encoder even ends the
    process.

    Examples
    --------
    >>> as_sound([0.5, np.nan, -np.inf])
    array([ 5.e-01,  0.e+00, -1.e+12], dtype=float32)
    """
    x = np.asarray(x)
    if x.ndim != 1:
        raise ValueError(f"a sound has the shape (n,), not {x.shape}: average its channels, or take one")
    if x.dtype == np.float32 and np.abs(x).max(initial=0) <= LOUDEST:  # not so if there is a NaN
        return x
    return np.clip(np.nan_to_num(x.astype(np.float64)), -LOUDEST, LOUDEST).astype(np.float32)
