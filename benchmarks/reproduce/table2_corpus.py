"""Table 2 of Braun & Gamper on real recordings, whose labels get errors.

python benchmarks/reproduce/table2_corpus.py CORPUS [--jobs 2]
"""

import numpy as np
from corpus import heard, quality, recordings, taught
from effect import Claim, Effect, main
from rules import CLAIMS, CONDITIONS, PROPOSED, RAW, repairs

from acdref.data import clip_weights
from acdref.labels.noise import inject_noise, score_ceiling

SETTING = {"sequences": 9600, "batch": 16, "missing": [0.1, 0.35], "false": 0.01, "T": 0.05}
QUICK = {"sequences": 32}


def run(setting, seed, place):
    training, tests = recordings(place)
    truth = training.y
    noisy = inject_noise(truth, np.random.default_rng(seed), setting["missing"], setting["false"])

    def row(condition, net, more):
        return {"condition": condition} | quality(tests.y, heard(net, tests.sounds)) | more

    teacher = taught(training.sounds, noisy, noisy, seed, setting)
    best = score_ceiling(truth, noisy, clip_weights(noisy, "balanced"))
    about = {"ceiling": float(best.mean()), "classes above 1 - T": int((best > 1 - setting["T"]).sum())}
    yield row(RAW, teacher, about)
    for condition, (labels, counts) in repairs(truth, noisy, heard(teacher, training.sounds)).items():
        yield row(condition, taught(training.sounds, labels, noisy, seed, setting), counts)


EFFECT = Effect(
    name="table2_corpus",
    title="Correction and masking on real recordings (Table 2)",
    paper="Braun & Gamper, Table 2",
    about=__doc__,
    setting=SETTING,
    quick=QUICK,
    seeds=range(8),
    run=run,
    corpus=True,
    part_of="table2",
    conditions=CONDITIONS,
    measures=("mAP", "mAP, common", "accuracy", "ceiling", "precision with masks", "recall with masks"),
    claims=(*CLAIMS, Claim("to correct and mask FN beats raw labels", PROPOSED, RAW, "mAP, common")),
    notes="""
As above, with real recordings whose labels count as the truth: excerpts of 3 s of 1,108 recordings, joined
in pairs, classes drawn equally, 9,600 sequences a run. "mAP, common" leaves out the classes with fewer than
ten positives to measure on.
""",
)

if __name__ == "__main__":
    main("table2_corpus")
