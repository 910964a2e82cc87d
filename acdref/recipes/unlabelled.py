"""From unlabelled recordings to a network (Braun & Gamper): zero-shot labels, then self-correction.

1. ``given``: the recordings, nothing known of them, and those to validate on, if there are any;
2. ``teach``: their cosines with the classes' words, by CLAP;
3. ``zero-shot``: the labels that these make;
4. ``teacher``: a network trained on those labels;
5. ``scores``: its scores of the recordings that it was trained on;
6. ``labels``: the zero-shot labels, corrected or masked where the scores contradict them;
7. ``student``: a network trained on those, from the beginning.
"""

import dataclasses

from acdref.clap.prompts import Prompts
from acdref.clap.scores import Decision
from acdref.clap.teach import teach
from acdref.clap.teacher import ClapTeacher
from acdref.errors import AcdrefError
from acdref.files import Place
from acdref.fit import Observer, reports
from acdref.options.training import TrainOptions
from acdref.recipes.parts import SCORES, Data
from acdref.recipes.self_correct import CORRECTION
from acdref.recipes.stages import Stage, Summaries, run

RECIPE = "unlabelled"


def unlabelled(
    teacher: ClapTeacher,
    prompts: Prompts,
    decision: Decision,
    training: TrainOptions,
    out: Place,
    rules: dict = CORRECTION,
    workers: int = 1,
    observer: Observer | None = None,
) -> Summaries:
    """Label recordings by words, train, correct the labels by what was learned, train again; or continue to.

    Parameters
    ----------
    teacher : ClapTeacher
    prompts : acdref.clap.prompts.Prompts
        The classes.
    decision : acdref.clap.scores.Decision
        How cosines become labels.
    training : acdref.train.Options
        Of both networks; `manifest` is a folder with recordings, or a manifest, whose labels are not looked
        at; `val` may be a manifest with labels of the same classes.
    out : str or path-like
        The recipe's folder; see :mod:`acdref.recipes.stages`.
    rules : dict
        As in :func:`acdref.recipes.self_correct.self_correct`.
    workers : int
        Recordings that CLAP scores at a time.
    observer : acdref.fit.Observer, optional

    Returns
    -------
    dict of str to dict
        The stages' summaries.

    Raises
    ------
    AcdrefError
        For input that makes a stage impossible, or a folder that holds something else.
    acdref.fit.Stopped
        If the observer stopped it.

    Notes
    -----
    Braun & Gamper, Table 1 and Fig. 3.  Stopped at any moment and begun again with the same arguments, it
    ends with the same weights, bit for bit.
    """
    if decision.rule == "softmax" and decision.scale is None:
        decision = dataclasses.replace(decision, scale=teacher.scale)  # complains now rather than later
    data = Data.of_unlabelled(training, tuple(prompts.classes), observer.log if observer else None)
    stages = [
        data.given(),
        _teaching(data, teacher, prompts, workers),
        data.relabelling("zero-shot", "teach", {"zero_shot": decision}),
        data.training("teacher", "zero-shot"),
        data.scoring("scores", "teacher"),
        data.relabelling("labels", "scores", rules, "zero-shot"),
        data.training("student", "labels"),
    ]
    key = data.key() | {"rules": rules, "bundle": teacher.describe()}
    key |= {"prompts": dataclasses.asdict(prompts), "decision": dataclasses.asdict(decision)}
    return run(RECIPE, out, key, stages, observer)


def _teaching(data, teacher, prompts, workers):
    def work(folder, before, observer):
        def note(path, text):
            observer.log(f"{path}: {text}")

        told = {"workers": workers, "note": note} | reports(observer)
        scores = teach(teacher, data.train, prompts, folder / SCORES, **told)
        used = int((scores.bytes >= 0).sum())
        if not used:
            raise AcdrefError(f"{data.train.source}: none of its {len(data.train)} recordings can be used")
        return {"recordings": len(data.train), "scored": used}

    return Stage("teach", work, (SCORES,))
