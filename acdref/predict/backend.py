"""Which backend scores: NumPy at once, Numba once a job is long enough to repay its start.

NumPy scores from the first moment.  Numba is several times as fast, but its kernels have to be loaded, or
even compiled where that has not happened before.  How long a job is only shows as it goes; so "auto" does as
a skier who hires until the hire has cost a pair of skis: it begins with NumPy and changes to Numba after as
much sound as would have repaid the change.

The backends agree to about 1e-5 in the probabilities.  When "auto" changes depends on the sound scored before
and on what has been compiled on the machine, never on the clock; who needs bit-equal repeats names a backend.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import NDArray

from acdref.errors import AcdrefError
from acdref.features.front_ends import front_end
from acdref.ops import kernel

BACKENDS = ("auto", "numpy", "numba")

# Seconds of sound after which NumPy has lost as much time as Numba would have taken to start.  In seconds of
# processor time: for 10 s of sound NumPy 0.2 to 0.3 and Numba 0.06; loading 0.9, compiling 5.
LOADING_PAYS = 50
COMPILING_PAYS = 300


class Adaptive:
    """A network that scores with the backend that pays.

    Parameters
    ----------
    net : network
        Its `backend` is set here.
    backend : {"auto", "numpy", "numba"}
    say : callable, optional
        Called with one line of text when "auto" changes to Numba, or would and cannot.
    thresholds : sequence of float, (C,), optional
        The scores from which its classes are tags, as its weights file has them; kept under this name.

    Raises
    ------
    AcdrefError
        If Numba is asked for by name and cannot be imported; told to compile nothing, it leaves the work to
        NumPy.

    Notes
    -----
    To everything that scores (:mod:`acdref.predict.scoring`) it is a network: it has `predict_proba` and
    `front_end`.

    Examples
    --------
    >>> import numpy as np
    >>> from acdref.nets import ACDNet
    >>> net = Adaptive(ACDNet())
    >>> net.predict_proba(np.zeros((1, 130, 257, 2), np.float32)).shape
    (1, 11)
    >>> net.net.backend
    'numpy'
    """

    kernels = "inference"
    """What its kernels are remembered by, once they have been compiled."""

    far: Callable | None = None
    """What scores recordings elsewhere, in place of this process; takes what
    :func:`acdref.predict.scoring.score_recordings` takes, but for `printed`."""

    def __init__(
        self,
        net: Any,
        backend: str = "auto",
        say: Callable[[str], object] | None = None,
        thresholds: Sequence[float] | None = None,
    ) -> None:
        if backend not in BACKENDS:
            raise ValueError(f"backend must be one of {', '.join(BACKENDS)}, not {backend!r}")
        self.net, self.thresholds, self.asked = net, thresholds, backend
        self.net.backend = "numpy"
        self.say = say or (lambda text: None)
        self._seconds = 0.0  # of sound begun
        self._undecided_until = LOADING_PAYS if backend == "auto" and kernel.available() else math.inf
        self._marked = False
        if backend == "numba" and not kernel.disabled():
            problem = kernel.problem()
            if problem is not None:
                raise AcdrefError(f"the numba backend cannot be used: {problem}")
            self.net.backend = "numba"

    @property
    def front_end(self) -> str:
        """That of the network."""
        return self.net.front_end

    def predict_proba(self, x: NDArray) -> NDArray:
        """Probabilities (N, classes) of a batch of features."""
        self.begin(front_end(self.net).seconds(x))
        return self.score(x)

    @property
    def due(self) -> bool:
        """Whether :meth:`begin` may change the backend, so that nothing may be being scored then."""
        return self._seconds >= self._undecided_until

    def begin(self, seconds: float) -> None:
        """Count seconds of sound that :meth:`score` gets next, and choose what they are scored with.

        Who scores in several threads calls it in the order of the sound.
        """
        if self.due:
            self._decide()
        self._seconds += seconds

    def score(self, x: NDArray) -> NDArray:
        """As :meth:`predict_proba`, of sound that has been counted."""
        scores = self._scores(x)
        if self.net.backend == "numba" and not self._marked:
            kernel.mark_warm(_job(self.net.config, self.kernels))
            self._marked = True
        return scores

    def _scores(self, x):
        return self.net.predict_proba(x)

    def _decide(self):
        warm = compiled(self.net.config, self.kernels)
        if not warm and self._seconds < COMPILING_PAYS:
            self._undecided_until = COMPILING_PAYS
            return
        self._undecided_until = math.inf
        problem = kernel.problem()
        if problem is not None:
            self.say(f"continuing with NumPy: {problem}")
            return
        self.say("loading compiled kernels" if warm else "compiling kernels (once on this machine)")
        self.net.backend = "numba"


def describe(config: object) -> tuple[str, str]:
    """What "auto" means on this machine.

    Parameters
    ----------
    config : configuration of a network

    Returns
    -------
    backend : {"numpy", "numba"}
        What a long job is done with.
    reason : str
    """
    problem = kernel.problem()
    if problem is not None:
        return "numpy", problem
    if compiled(config):
        return "numba", f"after {LOADING_PAYS} s of sound scored with NumPy; its kernels are compiled"
    return "numba", f"after {COMPILING_PAYS} s of sound scored with NumPy; its kernels are not yet compiled"


def compiled(config: object, kernels: str = Adaptive.kernels) -> bool:
    """Whether the kernels of a network have been compiled on this machine."""
    return kernel.is_warm(_job(config, kernels))


def _job(config, kernels):
    """Name of a set of kernels: those of another network or kind of attention are others."""
    return f"{kernels}-{getattr(config, 'attention', type(config).__name__)}"
