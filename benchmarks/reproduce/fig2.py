"""Fig. 2 of Braun & Gamper in the small: what mixing does, and joined labels against weighted ones.

    python benchmarks/reproduce/fig2.py CORPUS [--seeds 0,1,2,3,4] [--sequences 1600] [--network acdnet]

Trains on sequences of one recording, on OR-joined mixtures of up to two and of up to three, and on weighted
mixup of up to two (of one and of two in equal shares).  All begin with the same weights.
"""

from experiment import Experiment, arguments, start
from report import finish

CONDITIONS = {
    "none": {"mix_max": 1},
    "OR, I_max = 2": {"mix_max": 2},
    "OR, I_max = 3": {"mix_max": 3},
    "weighted mixup": {"mix_max": 2, "mixing": "mixup"},
}


def main():
    experiment = Experiment("fig2", arguments(__doc__).parse_args())
    for seed in experiment.seeds:
        for condition, options in CONDITIONS.items():
            experiment.measure(condition, seed, **options)
    finish(experiment, list(CONDITIONS), "none", "Mixing (Fig. 2)")


if __name__ == "__main__":
    start(main)
