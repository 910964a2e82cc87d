"""Race ACDnet's training step on 10 s clips against PyTorch, and weigh the memory that it takes.

    python benchmarks/training.py [--rounds 7] [--threads 1,2] [--batch 8] [--only NAME,...] [--json FILE]

A step is forward pass, loss, backward pass and AdamW, from features and labels that are in memory.  All
contenders start from the shipped weights and must agree on the loss of the first step and of the second, so
on gradients and updates as well.  Each round gives every contender a turn in its own process while the
others wait; median, least and most (ms a clip) are over the rounds, and so is how many times as long it took
as acdref in the same round.  "of FMA peak" takes three times the forward pass's multiply-adds for a step's,
and the peak that benchmarks/machine.py measures before.  Memory is the peak of the contender's whole process,
libraries and compiling included.
"""

import numpy as np
import turns
from machine import describe, peaks_apart
from networks import TORCH_MODES, gflop, laid_out, shipped, twin, waveforms
from report import Table, spread

TOLERANCE = 1e-4  # of the losses of two steps, relative
RATE = 1e-4


def batch(clips):
    """Features and labels of a batch: two labels a clip, one in ten unknown."""
    from acdref.features.compressed import features

    rng = np.random.default_rng(1)
    labels = (rng.random((clips, 11)) < 0.2).astype(np.float32)
    labels[rng.random(labels.shape) < 0.1] = np.nan
    return features(waveforms(clips)), labels


def acdref(case):
    turns.need("numba")
    from acdref.losses import bce
    from acdref.ops.memory import keep_freed_memory
    from acdref.ops.threads import set_threads
    from acdref.optim import AdamW

    set_threads(case["threads"])
    keep_freed_memory()  # as `acdref train` does
    net, _ = shipped("numba")
    optimiser = AdamW(net.params, RATE)
    x, labels = batch(case["batch"])

    def step():
        logits, tape = net.forward(x, train=True)
        loss, dlogits = bce(labels, logits)
        optimiser.step(net.backward(tape, dlogits))
        return loss

    return step, lambda: [step(), step()]


def pytorch(mode):
    def make(case):
        model, torch = twin(mode)
        torch.set_num_threads(case["threads"])
        network = torch.compile(model.train()) if mode == "torch.compile" else model.train()
        optimiser = torch.optim.AdamW(model.parameters(), RATE, fused=True)
        x, labels = map(torch.from_numpy, batch(case["batch"]))
        x, known = laid_out(x, mode), ~torch.isnan(labels)
        labels = labels[known]

        def step():
            optimiser.zero_grad()
            loss = torch.nn.functional.binary_cross_entropy_with_logits(network(x)[known], labels)
            loss.backward()
            optimiser.step()
            return loss.item()

        return step, lambda: [step(), step()]

    return make


CONTENDERS = {"acdref": acdref, **{mode: pytorch(mode) for mode in TORCH_MODES}}

COLUMNS = {
    "training step": "{contender}",
    "threads": "{threads}",
    "clips": "{batch}",
    "median ms/clip": "{median:.1f}",
    "least": "{least:.1f}",
    "most": "{most:.1f}",
    "times acdref": "{ratio:.2f}",
    "of FMA peak": "{share:.0%}",
    "peak MB": "{peak_mb:.0f}",
}


def main():
    parser = turns.parser(__doc__, CONTENDERS, "training.json", 0.5)
    parser.add_argument("--threads", type=turns.integers, default=[1, 2])
    parser.add_argument("--batch", type=turns.integers, default=[8])
    arguments = parser.parse_args()
    table = Table(COLUMNS, describe("acdref", "numpy", "numba", "torch"), rounds=arguments.rounds, peaks={})
    for threads in arguments.threads:
        table.head["peaks"][threads] = peaks = peaks_apart(threads)
        for size in arguments.batch:  # fresh processes for each, so that peaks are their own
            workers = turns.start(__file__, arguments.only, threads)
            try:
                case = {"threads": threads, "batch": size}
                ready = turns.prepare(workers, case, TOLERANCE)
                times = turns.race(ready, arguments.rounds, arguments.seconds, str(case))
                memory = {name: worker.peak_memory() for name, worker in ready.items()}
            finally:
                turns.close(workers)
            for name in times:
                ms = [1000 * t / size for t in times[name]]
                ratio = turns.ratio(times, name, "acdref")
                row = {"contender": name, **case, **spread(ms), "ratio": ratio}
                row["peak_mb"] = memory[name] / 1e6
                if peaks:
                    row["share"] = 3 * gflop() / (row["median"] / 1000) / peaks["gflops"]
                table.add(**row, ms_per_clip=ms)
    table.write(arguments.json)


if __name__ == "__main__":
    turns.main(CONTENDERS, main)
