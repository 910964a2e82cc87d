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
import os

from acdref.clap.prompts import Prompts
from acdref.clap.scores import Decision
from acdref.clap.teach import teach
from acdref.clap.teacher import ClapTeacher
from acdref.errors import AcdrefError
from acdref.fit import Observer, tell
from acdref.options.training import TrainOptions
from acdref.recipes.parts import SCORES, Data
from acdref.recipes.self_correct import CORRECTION
from acdref.recipes.stages import Stage, run

RECIPE = "unlabelled"


def unlabelled(
    teacher: ClapTeacher,
    prompts: Prompts,
    decision: Decision,
    training: TrainOptions,
    out: str | os.PathLike,
    rules: dict = CORRECTION,
    workers: int = 1,
    observer: Observer | None = None,
) -> dict[str, dict]:
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
    data = Data.of_unlabelled(training, tuple(prompts.classes))
    stages = [
        data.given(),
        _teaching(data, teacher, prompts, workers),
        data.relabelling("zero-shot", "teach", {"zero_shot": decision}),
        data.training("teacher", "zero-shot"),
        data.scoring("scores", "teacher"),
        data.relabelling("labels", "scores", rules, "zero-shot"),
        data.training("student", "labels"),
    ]
    key = {
        "rules": rules,
        "bundle": teacher.describe(),
        "prompts": dataclasses.asdict(prompts),
        "decision": dataclasses.asdict(decision),
    }
    return run(RECIPE, out, data.key() | key, stages, observer)


def _teaching(data, teacher, prompts, workers):
    def work(folder, before, observer):
        def progress(done, count, left, rate):
            tell(observer, done, count)

        scores = teach(
            teacher,
            data.train,
            prompts,
            folder / SCORES,
            workers=workers,
            on_failure=lambda error: observer.log(f"left out: {error}"),
            note=lambda path, text: observer.log(f"{path}: {text}"),
            progress=progress,
            say=observer.log,
        )
        used = int((scores.bytes >= 0).sum())
        if not used:
            raise AcdrefError(f"{data.train.source}: none of its {len(data.train)} recordings can be used")
        return {"recordings": len(data.train), "scored": used}

    return Stage("teach", work, (SCORES,))
