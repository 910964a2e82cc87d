"""What is measured of networks whose clips have several classes."""

import numpy as np

from acdref import metrics


def measures(y, p, explicit=None):
    """How well classes are found in frames or recordings.

    Parameters
    ----------
    y : (N, C) array
        Labels 0, 1 or NaN.
    p : (N, C) array
        Probabilities.
    explicit : (N, C) bool array, optional
        Which negatives annotators have marked; the others are complementary.

    Returns
    -------
    dict
        ``d_prime`` and ``AUC``, in which the two kinds of negatives have the same weight; ``lwlrap``;
        ``mAP``; and with `explicit`, ``d_prime_explicit`` and ``d_prime_complementary`` with one kind alone.
        None for what is not defined or infinite.

    Notes
    -----
    d' is that of the mean AUC.

    Examples
    --------
    >>> found = measures([[1, 0], [0, 1], [0, 0]], [[0.9, 0.2], [0.1, 0.3], [0.95, 0.1]])
    >>> round(found["AUC"], 3), round(found["d_prime"], 3)
    (0.75, 0.954)
    """
    y, p = np.asarray(y, np.float64), np.asarray(p)
    weight = None if explicit is None else metrics.balance_negatives(y, explicit)
    auc = metrics.roc_auc(y, p, weight)
    found = {
        "d_prime": metrics.mean_d_prime(auc),
        "AUC": metrics.mean_over_classes(auc),
        "lwlrap": metrics.lwlrap(y, p),
        "mAP": metrics.mean_average_precision(y, p, weight),
    }
    if explicit is not None:
        for name, dropped in (("explicit", ~explicit), ("complementary", explicit)):
            alone = np.where((y == 0) & dropped, np.nan, y)
            found[f"d_prime_{name}"] = metrics.mean_d_prime(metrics.roc_auc(alone, p))
    return {name: float(value) if np.isfinite(value) else None for name, value in found.items()}
