"""What AudioSet's two million clips cost, by figures measured here: the table of docs/scale.md.

    python benchmarks/audioset_cost.py

Reads the results of predict_corpus.py, teacher.py, relabel_scale.py and training.py (benchmarks/results), and
multiplies.  Training is 1.5 million sequences of 10 s, with two threads.
"""

import json

from report import RESULTS

CLIPS, SECONDS, SEQUENCES = 2_084_320, 10.0, 1_500_000
"""Of AudioSet's three lists of segments together; and of one training on it."""
PROCESSES = 16


def rows(name, of="rows"):
    return json.loads((RESULTS / f"{name}.json").read_text())[of]


def hours():
    """What is done -> hours of two cores."""
    tagged = rows("predict_corpus")[0]["real_time"]
    taught = [row["reading"] + row["front_end"] + row["graph"] for row in rows("teacher")]  # ms of one core
    trained = next(row for row in rows("training") if row["contender"] == "acdref" and row["threads"] == 2)
    relabelled = next(row for row in rows("relabel_scale", "results") if row["road"] == "acdref")
    return {
        "tag (`predict`)": CLIPS * SECONDS / tagged / 3600,
        "score by CLAP's smallest graph (`teach`)": CLIPS * max(taught) / 1000 / 2 / 3600,
        "relabel (`relabel`: PEL, PE-CML, correction), one core": CLIPS
        * relabelled["us_per_clip"]
        / 1e6
        / 3600,
        "train on 1.5 million sequences (`train`)": SEQUENCES * trained["median"] / 1000 / 3600,
    }


def main():
    print(f"| AudioSet | this machine | {PROCESSES} such machines |\n|---|---|---|")
    for name, time in hours().items():
        shared = PROCESSES * (efficiency() if name.startswith("train") else 1.0)
        print(f"| {name} | {spelled(time)} | {spelled(time / shared)} |")


def efficiency():
    """Of so many processes with 8 clips each, as mpi.py expects it."""
    return next(
        row["efficiency"] / 100
        for row in rows("mpi")
        if row["contender"].startswith(f"expected: {PROCESSES} ") and row["clips"] == 8 * PROCESSES
    )


def spelled(hours):
    return f"{hours:.1f} h" if hours >= 1 else f"{hours * 3600:.0f} s"


if __name__ == "__main__":
    main()
