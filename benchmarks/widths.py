"""How wide ACDnet may be: size, and how fast one core tags, for several --width.

    python benchmarks/widths.py [--rounds 7] [--only 0.5,1,2] [--json FILE]

Fresh weights, since their values change no time; a clip of 10 s from its samples to probabilities, compiled,
with one thread.  Each round gives every width a turn in its own process while the others wait.
"""

import statistics

import numpy as np
import turns
from machine import describe
from report import Table, spread

WIDTHS = ("0.25", "0.5", "1", "1.5", "2", "2.5", "3")
SECONDS = 10.0
COLUMNS = {
    "width": "{width}",
    "parameters": "{parameters:,}",
    "GMACs": "{gmacs:.2f}",
    "median ms": "{median:.1f}",
    "least": "{least:.1f}",
    "most": "{most:.1f}",
    "times as long as width 1": "{ratio:.2f}",
    "times real time": "{speed:.0f}",
}


def network(width, backend):
    from acdref.nets import registry

    return registry.build("acdnet", 11, float(width), backend=backend)


def contender(width):
    def make(case):
        turns.need("numba")
        from acdref.ops.threads import set_threads
        from acdref.predict.scoring import score_samples

        set_threads(case["threads"])
        net = network(width, "numba")
        x = np.random.default_rng(0).standard_normal(round(SECONDS * 16000)).astype(np.float32) / 10
        return lambda: score_samples(net, x), lambda: [1.0]  # nothing that they should agree on

    return make


CONTENDERS = {width: contender(width) for width in WIDTHS}


def main():
    arguments = turns.parser(__doc__, CONTENDERS, "widths.json").parse_args()
    workers = turns.start(__file__, arguments.only, 1)
    try:
        ready = turns.prepare(workers, {}, 0.0)
        times = turns.race(ready, arguments.rounds, arguments.seconds)
    finally:
        turns.close(workers)
    table = Table(
        COLUMNS, describe("acdref", "numpy", "numba"), rounds=arguments.rounds, seconds=arguments.seconds
    )
    for width, taken in times.items():
        net = network(width, "numpy")
        ms = [1000 * t for t in taken]
        table.add(
            width=width,
            parameters=sum(p.size for p in net.params.values()),
            gmacs=sum(row.macs for row in net.layer_table(624)) / 1e9,
            **spread(ms),
            ratio=turns.ratio(times, width, "1"),
            speed=SECONDS * 1000 / statistics.median(ms),
            ms=ms,
        )
    table.write(arguments.json)


if __name__ == "__main__":
    turns.main(CONTENDERS, main)
