"""Self-label correction (Braun & Gamper): a network's opinion of its own training labels corrects them.

1. ``given``: the recordings to train and to validate on;
2. ``teacher``: a network trained on the given labels;
3. ``scores``: its scores of the recordings that it was trained on;
4. ``labels``: the given labels, corrected or masked where the scores contradict them;
5. ``student``: a network trained on those, from the beginning.

The recordings to validate on keep their labels.
"""

from acdref.files import Place
from acdref.fit import Observer
from acdref.options.labels import RuleOptions
from acdref.options.training import TrainOptions
from acdref.recipes.parts import Data
from acdref.recipes.stages import Summaries, run

RECIPE = "self-correct"
CORRECTION = RuleOptions().step("correct")


def self_correct(
    training: TrainOptions, out: Place, rules: dict = CORRECTION, observer: Observer | None = None
) -> Summaries:
    """Train, correct the labels by what was learned, train again; or continue to.

    Parameters
    ----------
    training : acdref.train.Options
        Of the teacher and of the student.
    out : str or path-like
        The recipe's folder; see :mod:`acdref.recipes.stages`.
    rules : dict
        Arguments of :class:`acdref.relabel.steps.Steps`: ``correct``, ``percentile`` and ``mean_threshold``.
    observer : acdref.fit.Observer, optional

    Returns
    -------
    dict of str to dict
        The stages' summaries; that of ``labels`` is what :func:`acdref.relabel.job.relabel` reports.

    Raises
    ------
    AcdrefError
        For input that makes a stage impossible, or a folder that holds something else.
    acdref.fit.Stopped
        If the observer stopped it.

    Notes
    -----
    Braun & Gamper, section 3.3 and Table 2.  Stopped at any moment and begun again with the same arguments,
    it ends with the same weights, bit for bit.
    """
    data = Data.of(training, observer.log if observer else None)
    stages = [
        data.given(),
        data.training("teacher"),
        data.scoring("scores", "teacher"),
        data.relabelling("labels", "scores", rules),
        data.training("student", "labels"),
    ]
    return run(RECIPE, out, data.key() | {"rules": rules}, stages, observer)
