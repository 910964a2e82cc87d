"""Averages over classes, some of which a metric may leave undefined."""

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["mean_over_classes"]


def mean_over_classes(values: ArrayLike) -> float:
    """Unweighted mean of the values that are defined (not NaN); NaN if none is.

    Parameters
    ----------
    values : array_like, shape (C,)
        A metric of each class.

    Returns
    -------
    float

    Examples
    --------
    >>> mean_over_classes([0.5, np.nan, 1.0])
    0.75
    """
    values = np.asarray(values, dtype=np.float64)
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else float("nan")
