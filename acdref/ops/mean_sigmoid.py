"""The logit of a mean of sigmoids: from the scores of frames to the score of a clip.

``z = log(p / (1 - p))`` with ``p = mean_t sigmoid(z_t)``, computed from logarithms, so that neither p nor
1 - p can become 0.  With it a network whose clip score is a mean of probabilities gives logits like any
other.

The arrays are small, (N, T, C) behind all pooling: all is computed in float64, and there is no form in Numba.
"""

import numpy as np


def mean_sigmoid_logit(z):
    """Logits of clips from the logits of their frames.

    Parameters
    ----------
    z : (N, T, C) array
        Finite.

    Returns
    -------
    (N, C) array

    Examples
    --------
    >>> z = mean_sigmoid_logit(np.array([[[-1000.0], [1000.0]], [[-1000.0], [-1000.0]]]))
    >>> z.tolist()
    [[0.0], [-1000.0]]
    """
    wide = z.astype(np.float64)
    return (_log_mean_sigmoid(wide) - _log_mean_sigmoid(-wide)).astype(z.dtype)


def mean_sigmoid_logit_backward(dy, z):
    """Gradient dz (N, T, C) of :func:`mean_sigmoid_logit`.

    Notes
    -----
    ``dz_t = dy s_t (1 - s_t) / (T p (1 - p))`` with s_t = sigmoid(z_t); the fraction is at most T.
    """
    wide = z.astype(np.float64)
    logarithm = _log_sigmoid(wide) + _log_sigmoid(-wide)
    logarithm -= (_log_mean_sigmoid(wide) + _log_mean_sigmoid(-wide))[:, None]
    return (dy[:, None] * np.exp(logarithm) / z.shape[1]).astype(z.dtype)


def _log_sigmoid(z):
    return np.minimum(z, 0) - np.log1p(np.exp(-np.abs(z)))


def _log_mean_sigmoid(z):
    """``log(mean_t sigmoid(z_t))``, (N, C)."""
    parts = _log_sigmoid(z)
    largest = parts.max(1, keepdims=True)
    return np.log(np.exp(parts - largest).mean(1)) + largest[:, 0]
