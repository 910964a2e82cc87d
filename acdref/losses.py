"""Losses with unknown labels: NaN takes no part in the value, and its gradient is exactly 0.

``denominator`` says what the sum over labels is divided by: "unmasked", the number of known labels (default);
"all", the size of the matrix (what a zero weight in PyTorch's mean does); "sum", nothing.  Per batch they
differ by a factor only.  A batch without any known label has the loss 0.

Values and gradients are computed in float64; gradients are returned in the dtype of the predictions.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

# PyTorch's floors, to the last digit: p = 0 where y = 1 costs 100, and its gradient is finite.
_LOG_FLOOR = -100.0  # of the logarithm of a probability
_DIVISOR_FLOOR = float(np.float32(1e-12))  # of p (1 - p)


def bce(y: ArrayLike, logits: ArrayLike, denominator: str = "unmasked") -> tuple[float, NDArray]:
    """Binary cross-entropy on logits.

    Parameters
    ----------
    y : (N, C) array
        Targets in [0, 1], or NaN.
    logits : (N, C) float array
    denominator : {"unmasked", "all", "sum"}

    Returns
    -------
    loss : float
    dlogits : (N, C) array of logits' dtype

    Raises
    ------
    ValueError
        For shapes that differ, targets outside [0, 1], or another denominator.

    Notes
    -----
    ``-[y log p + (1 - y) log(1 - p)]`` with p = sigmoid(z), in the stable form
    ``max(z, 0) - z y + log(1 + exp(-|z|))``; soft targets are allowed (Dinkel et al.).

    Examples
    --------
    >>> loss, dlogits = bce(np.array([[1.0, np.nan]]), np.array([[0.0, 3.0]]))
    >>> round(loss, 4), dlogits.tolist()
    (0.6931, [[-0.5, 0.0]])
    """
    y, z, known, divisor = _prepare(y, logits, denominator)
    small = np.exp(-np.abs(z))
    elements = np.maximum(z, 0) - z * y + np.log1p(small)
    sigmoid = np.where(z >= 0, 1, small) / (1 + small)
    return _finish(elements, sigmoid - y, known, divisor, np.asarray(logits).dtype)


def bce_probabilities(y: ArrayLike, p: ArrayLike, denominator: str = "unmasked") -> tuple[float, NDArray]:
    """Binary cross-entropy on probabilities: (loss, dp).

    Arguments and errors as in :func:`bce`; also a ValueError if p is outside [0, 1] where y is known.

    Notes
    -----
    Logarithms are cut at -100, and the gradient's divisor p (1 - p) at 1e-12, as PyTorch does.

    Examples
    --------
    >>> loss, dp = bce_probabilities(np.array([[1.0, np.nan]]), np.array([[0.5, 0.9]]))
    >>> round(loss, 4), dp.tolist()
    (0.6931, [[-2.0, 0.0]])
    """
    dtype = np.asarray(p).dtype
    y, p, known, divisor = _prepare(y, p, denominator)
    if ((p < 0) | (p > 1)).any():
        raise ValueError("probabilities must be within [0, 1]: for logits there is bce")
    with np.errstate(divide="ignore"):
        log_p, log_q = (np.maximum(np.log(q), _LOG_FLOOR) for q in (p, 1 - p))
    elements = -(y * log_p + (1 - y) * log_q)
    return _finish(elements, (p - y) / np.maximum(p * (1 - p), _DIVISOR_FLOOR), known, divisor, dtype)


def mse(y: ArrayLike, p: ArrayLike, denominator: str = "unmasked") -> tuple[float, NDArray]:
    """Squared error: (loss, dp).  Arguments and errors as in :func:`bce`.

    Notes
    -----
    ``(p - y)^2`` (Grzywalski & Botteldooren, sections III-B and V-D).

    Examples
    --------
    >>> mse(np.array([[1.0, np.nan]]), np.array([[0.5, 0.9]]))
    (0.25, array([[-1.,  0.]]))
    """
    dtype = np.asarray(p).dtype
    y, p, known, divisor = _prepare(y, p, denominator)
    return _finish((p - y) ** 2, 2 * (p - y), known, divisor, dtype)


def softmax_cross_entropy(y: ArrayLike, logits: ArrayLike) -> tuple[float, NDArray]:
    """Cross-entropy between distributions over the classes and the softmax of logits.

    Parameters
    ----------
    y : (N, C) array
        Rows that sum to 1, such as one class or a mixture of two; a row with a NaN is unknown as a whole.
    logits : (N, C) float array

    Returns
    -------
    loss : float
        Mean over the known rows.
    dlogits : (N, C) array of logits' dtype

    Raises
    ------
    ValueError
        For shapes that differ, or rows that are no distribution.

    Notes
    -----
    ``-sum_c y_c log softmax(z)_c``; the gradient of a row is softmax(z) - y.  Our choice for Dorfer & Widmer,
    whose paper has a softmax and names no loss.

    Examples
    --------
    >>> loss, dlogits = softmax_cross_entropy(np.array([[1.0, 0.0]]), np.array([[0.0, 0.0]]))
    >>> round(loss, 4), dlogits.tolist()
    (0.6931, [[-0.5, 0.5]])
    """
    dtype = np.asarray(logits).dtype
    y, logits = np.asarray(y, np.float64), np.asarray(logits, np.float64)
    if y.ndim != 2 or y.shape != logits.shape:
        raise ValueError(f"labels {y.shape} and logits {logits.shape} must be matrices of one shape")
    known = ~np.isnan(y).any(1)
    if not ((y[known] >= 0).all() and np.allclose(y[known].sum(1), 1, rtol=0, atol=1e-6)):
        raise ValueError("the labels of each clip must be a distribution over the classes")
    y, z = y[known], logits[known] - logits[known].max(1, keepdims=True, initial=-np.inf)
    exponentials = np.exp(z)
    totals = exponentials.sum(1, keepdims=True)
    divisor = max(len(y), 1)
    gradient = np.zeros(logits.shape)
    gradient[known] = (exponentials / totals * y.sum(1, keepdims=True) - y) / divisor
    loss = (y * (np.log(totals) - z)).sum() / divisor
    return float(loss), gradient.astype(dtype)


def _prepare(y, predictions, denominator):
    """Float64 targets and predictions with 0 where the label is unknown, the known mask, and the divisor."""
    y = np.asarray(y, np.float64)
    predictions = np.asarray(predictions, np.float64)
    if y.shape != predictions.shape:
        raise ValueError(f"labels {y.shape} and predictions {predictions.shape} differ in shape")
    known = ~np.isnan(y)
    if not ((y[known] >= 0) & (y[known] <= 1)).all():
        raise ValueError("labels must be within [0, 1], or NaN for unknown")
    divisors = {"unmasked": max(known.sum(), 1), "all": max(y.size, 1), "sum": 1}
    if denominator not in divisors:
        raise ValueError(f"denominator must be one of {', '.join(divisors)}, got {denominator!r}")
    return np.where(known, y, 0), np.where(known, predictions, 0), known, divisors[denominator]


def _finish(elements, gradient, known, divisor, dtype):
    loss = np.where(known, elements, 0).sum() / divisor
    return float(loss), np.where(known, gradient / divisor, 0).astype(dtype)
