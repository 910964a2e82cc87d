"""Race ACDnet's inference on 10 s clips against onnxruntime and PyTorch.

    python benchmarks/inference.py [--rounds 7] [--threads 1,2] [--batch 1,16] [--from network,waveform]
                                   [--only NAME,...] [--json FILE]

"network" takes features; "waveform" takes 16 kHz samples, so the STFT and its compression are in it.  All
contenders have the shipped weights and must agree on the probabilities.  onnxruntime runs what `acdref
export` writes, with all optimisations; torch.compile is frozen and channels_last; the first two rows are
acdref's own two backends.  Each round gives every contender a turn in its own process while the others wait;
median, least and most are over the rounds, and so is how many times as long it took as acdref with Numba in
the same round.  The last column compares the network's multiply-adds in that time with the peak that
benchmarks/machine.py measures before.
"""

import turns
from machine import describe, peaks_apart
from networks import TORCH_MODES, gflop, laid_out, session, shipped, twin, waveforms
from report import Table

SOURCES = ["network", "waveform"]
TOLERANCE = 1e-4  # of probabilities: the STFT's precision is not the same everywhere


def acdref(backend):
    def make(case):
        if backend == "numba":
            turns.need("numba")
        from acdref.features.compressed import features
        from acdref.ops.threads import set_threads

        set_threads(case["threads"])
        net, _ = shipped(backend)
        audio = waveforms(case["batch"])
        if case["from"] == "waveform":
            return _checked(lambda: net.predict_proba(features(audio)))
        x = features(audio)
        return _checked(lambda: net.predict_proba(x))

    return make


def onnxruntime(case):
    from acdref.features.compressed import features

    front_end = case["from"] == "waveform"
    model = session(front_end, case["threads"])
    audio = waveforms(case["batch"])
    inputs = {"waveform": audio} if front_end else {"features": features(audio)}
    return _checked(lambda: model.run(["probabilities"], inputs)[0])


def pytorch(mode):
    def make(case):
        model, torch = twin(mode)
        import torch_twin

        from acdref.features.compressed import features

        torch.set_num_threads(case["threads"])
        network = model.eval()
        if mode == "torch.compile":
            import torch._inductor.config

            torch._inductor.config.freezing = True
            network = torch.compile(model)
        audio = torch.from_numpy(waveforms(case["batch"]))
        if case["from"] == "waveform":

            def call():
                with torch.no_grad():
                    x = laid_out(torch_twin.features(audio), mode)
                    return torch.sigmoid(network(x)).numpy()

        else:
            x = laid_out(torch.from_numpy(features(audio.numpy())), mode)

            def call():
                with torch.no_grad():
                    return torch.sigmoid(network(x)).numpy()

        return _checked(call)

    return make


def _checked(call):
    return call, lambda: call().ravel().tolist()


CONTENDERS = {
    "acdref": acdref("numba"),
    "acdref NumPy": acdref("numpy"),
    "onnxruntime": onnxruntime,
    **{mode: pytorch(mode) for mode in TORCH_MODES},
}

COLUMNS = {
    "inference": "{contender}",
    "threads": "{threads}",
    "clips": "{batch}",
    "from": "{from}",
    "median ms": "{median:.1f}",
    "least": "{least:.1f}",
    "most": "{most:.1f}",
    "times acdref": "{ratio:.2f}",
    "of FMA peak": "{share:.0%}",
}


def main():
    parser = turns.parser(__doc__, CONTENDERS, "inference.json")
    parser.add_argument("--threads", type=turns.integers, default=[1, 2])
    parser.add_argument("--batch", type=turns.integers, default=[1, 16])
    parser.add_argument("--from", dest="sources", type=turns.among(SOURCES), default=SOURCES)
    arguments = parser.parse_args()
    table = Table(
        COLUMNS,
        describe("acdref", "numpy", "numba", "onnxruntime", "torch"),
        rounds=arguments.rounds,
        peaks={},
        seconds=arguments.seconds,
    )
    for threads in arguments.threads:
        table.head["peaks"][threads] = peaks = peaks_apart(threads)
        workers = turns.start(__file__, arguments.only, threads)
        try:
            for source in arguments.sources:
                for batch in arguments.batch:
                    case = {"threads": threads, "batch": batch, "from": source}
                    for row in turns.rows(workers, case, arguments, TOLERANCE):
                        if peaks and source == "network":
                            row["share"] = batch * gflop() / (row["median"] / 1000) / peaks["gflops"]
                        table.add(**row)
        finally:
            turns.close(workers)
    table.write(arguments.json)


if __name__ == "__main__":
    turns.main(CONTENDERS, main)
