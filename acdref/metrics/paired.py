"""Whether one way is better than another, from runs that differ in nothing else: paired differences."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["Paired", "paired"]


class Paired(NamedTuple):
    """What differences between pairs of runs say; the text is ``+0.0064 ± 0.0044 (8 of 10 seeds up)``.

    Attributes
    ----------
    mean : float
        Of the differences.
    half : float
        Half the width of the 95 % interval of the mean; NaN for a single difference.
    up, n : int
        How many differences are above zero, of how many.

    Examples
    --------
    >>> Paired(0.0064, 0.0044, 8, 10).shown, Paired(-0.01, 0.02, 3, 10).shown
    (True, False)
    """

    mean: float
    half: float
    up: int
    n: int

    @property
    def shown(self) -> bool:
        """Whether the interval excludes 0; that of a single difference never does."""
        return abs(self.mean) > self.half

    @property
    def detectable(self) -> float:
        """A mean that four of five such experiments would show; NaN for a single difference."""
        if self.n < 2:
            return math.nan
        return self.half * (1 + _quantile(self.n - 1, 0.6) / _quantile(self.n - 1, 0.95))

    def __str__(self) -> str:
        half = "" if math.isnan(self.half) else f" ± {self.half:.4f}"
        return f"{self.mean:+.4f}{half} ({self.up} of {self.n} seed{'s' * (self.n != 1)} up)"


def paired(differences: ArrayLike) -> Paired:
    """Mean of paired differences, with its 95 % interval by Student's t.

    Parameters
    ----------
    differences : array_like, (n,)
        One for each pair, say of runs with the same seed.

    Returns
    -------
    Paired

    Raises
    ------
    ValueError
        If there is none, or one is not finite.

    Notes
    -----
    The half is ``t s / sqrt(n)``, where s is the standard deviation with n - 1 and t the 0.975 quantile of
    Student's distribution with n - 1 degrees of freedom.  What all pairs have in common, such as easy
    recordings or lucky first weights, does not widen it.

    Examples
    --------
    >>> found = paired([0.01, 0.02, 0.03])
    >>> print(found, found.shown)
    +0.0200 ± 0.0248 (3 of 3 seeds up) False
    """
    differences = np.asarray(differences, dtype=np.float64)
    if differences.ndim != 1 or not differences.size or not np.isfinite(differences).all():
        raise ValueError(f"differences must be finite numbers (n,), one at least, not {differences.tolist()}")
    n, mean, half = len(differences), float(differences.mean()), math.nan
    if n > 1:
        half = _quantile(n - 1, 0.95) * float(differences.std(ddof=1)) / math.sqrt(n)
    return Paired(mean, half, int((differences > 0).sum()), n)


def _quantile(freedom, share):
    """The t below which Student's |t| is with that probability, by bisection of the angle."""
    low, high = 0.0, math.pi / 2
    while low < (angle := (low + high) / 2) < high:
        low, high = (angle, high) if _within(angle, freedom) < share else (low, angle)
    return math.tan(low) * math.sqrt(freedom)


def _within(angle, freedom):
    """Probability that Student's |t| is below ``sqrt(freedom) tan(angle)``: Abramowitz & Stegun 26.7.3, 4."""
    odd, cosine = freedom % 2, math.cos(angle)
    term, total = cosine if odd else 1.0, 0.0
    for k in range(1 + odd, freedom, 2):
        total += term
        term *= k / (k + 1) * cosine**2
    return 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total
