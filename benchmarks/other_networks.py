"""Race the inference of the other systems' networks on a clip of 10 s against onnxruntime.

    python benchmarks/other_networks.py [--rounds 7] [--threads 1,2] [--nets NAME,...] [--only NAME,...]
                                        [--json FILE]

Fresh weights, one clip, features given; all contenders must agree on the probabilities.  onnxruntime runs
what `acdref export` writes, with all optimisations.  Each round gives every contender a turn in its own
process while the others wait.
"""

import tempfile
from pathlib import Path

import numpy as np
import turns
from machine import describe
from report import Table

SHAPES = {  # of the features of 10 s
    "vgg-gap": (1667, 128),
    "resnet50": (10, 96, 64),
    "mobilenetv2": (1001, 64),
    "conv1d": (80000,),
}
TOLERANCE = 1e-4  # of probabilities


def _network(name, backend):
    from acdref.nets import registry

    return registry.build(name, 527, backend=backend)


def _clip(name):
    return np.random.default_rng(0).standard_normal((1, *SHAPES[name])).astype(np.float32)


def acdref(backend):
    def make(case):
        if backend == "numba":
            turns.need("numba")
        from acdref.ops.threads import set_threads

        set_threads(case["threads"])
        net, x = _network(case["net"], backend), _clip(case["net"])
        return _checked(lambda: net.predict_proba(x))

    return make


def onnxruntime(case):
    library = turns.need("onnxruntime")
    turns.need("onnx")
    from acdref.nets.onnx import export_onnx

    options = library.SessionOptions()
    options.graph_optimization_level = library.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads, options.inter_op_num_threads = case["threads"], 1
    net = _network(case["net"], "numpy")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        export_onnx(path, net, [f"class {i}" for i in range(527)])
        session = library.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    inputs = {session.get_inputs()[0].name: _clip(case["net"])}
    return _checked(lambda: session.run(["probabilities"], inputs)[0])


def _checked(call):
    return call, lambda: call().ravel().tolist()


CONTENDERS = {"acdref": acdref("numba"), "acdref NumPy": acdref("numpy"), "onnxruntime": onnxruntime}
COLUMNS = {
    "network": "{net}",
    "contender": "{contender}",
    "threads": "{threads}",
    "median ms": "{median:.1f}",
    "least": "{least:.1f}",
    "most": "{most:.1f}",
    "times acdref": "{ratio:.2f}",
}


def main():
    parser = turns.parser(__doc__, CONTENDERS, "other_networks.json")
    parser.add_argument("--threads", type=turns.integers, default=[1, 2])
    parser.add_argument("--nets", type=turns.among(SHAPES), default=list(SHAPES))
    arguments = parser.parse_args()
    table = Table(
        COLUMNS,
        describe("acdref", "numpy", "numba", "onnxruntime"),
        rounds=arguments.rounds,
        seconds=arguments.seconds,
    )
    for threads in arguments.threads:
        workers = turns.start(__file__, arguments.only, threads)
        try:
            for net in arguments.nets:
                for row in turns.rows(workers, {"net": net, "threads": threads}, arguments, TOLERANCE):
                    table.add(**row)
        finally:
            turns.close(workers)
    table.write(arguments.json)


if __name__ == "__main__":
    turns.main(CONTENDERS, main)
