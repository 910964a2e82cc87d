"""Table 2 of Braun & Gamper on real recordings, with the labels that they came with: does correction help?

    python benchmarks/reproduce/table2_own.py CORPUS [--jobs 2]

Nobody listened to each recording; what sounds behind the main sound is missing.  The labels that are measured
with are of the same kind.
"""

from corpus import heard, quality, recordings, taught
from effect import RESULTS, Claim, Effect, main, read_rows
from rules import PROPOSED, RAW, RULES

SETTING = {"sequences": 9600, "batch": 16}
QUICK = {"sequences": 32}
DOUBTS = "doubts.csv"
"""The labels that a teacher misses most, with what the sources' documentation says of them: see doubts.py."""


def run(setting, seed, place):
    training, tests = recordings(place)

    def row(condition, net, labels):
        changed = {
            "labels changed": int((labels == 1 - training.y).sum()),
            "masked": int((labels != labels).sum()),
        }
        return {"condition": condition} | quality(tests.y, heard(net, tests.sounds)) | changed

    teacher = taught(training.sounds, training.y, training.y, seed, setting)
    yield row(RAW, teacher, training.y)
    p = heard(teacher, training.sounds)
    for condition, rule in RULES.items():
        labels = rule(training.y, p)
        yield row(condition, taught(training.sounds, labels, training.y, seed, setting), labels)


def looked_up(rows):
    """What is documented of the labels that the teacher would correct first."""
    found = [row.get("documented", "") for row in read_rows(RESULTS / DOUBTS)]
    yes, no, unknown = (found.count(word) for word in ("yes", "no", "open"))
    text = f"Of the {len(found)} pairs without a label that the first seed's teacher scores highest, the"
    text += f" documentation names the class in {yes}, something else in {no}, and leaves {unknown} open"
    return f"{text} ([list](../benchmarks/reproduce/results/{DOUBTS}), by `doubts.py`)."


EFFECT = Effect(
    name="table2_own",
    title="Correction and masking of labels as they come",
    paper="Braun & Gamper, Table 2",
    about=__doc__,
    setting=SETTING,
    quick=QUICK,
    seeds=range(8),
    run=run,
    corpus=True,
    part_of="table2",
    conditions=(RAW, *RULES),
    measures=("mAP", "mAP, common", "accuracy", "labels changed", "masked"),
    claims=(
        Claim("to correct and mask FN beats raw labels", PROPOSED, RAW),
        Claim("to correct and mask FN beats raw labels", PROPOSED, RAW, "accuracy"),
        Claim("to correct FN alone does", "correct FN", RAW),
    ),
    after=looked_up,
    notes="""
What a user has: labels that came with the recordings, of the main sound mostly. The teacher is trained on
them, changes them, and the network is trained again. No error is injected, and none is known; the labels of
fold 4 that are measured with are of the same kind, so that a network which finds what they miss is not
rewarded.
""",
)

if __name__ == "__main__":
    main("table2_own")
