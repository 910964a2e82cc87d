"""Time acdref's operations at ACDnet's shapes against PyTorch's, and against what the machine can do at best.

    python benchmarks/kernels.py [--rounds 5] [--threads 1,2] [--clips 1] [--match TEXT] [--json FILE]

One row for each operation and shape of the default network with 10 s clips, forward and backward, as the
plain (not the fused) road uses them.  PyTorch has the same arrays in its channels_last format.  "floor" is
the time that the operation takes at least on this machine, by its multiply-adds at the measured FMA peak or
by the bytes of its arguments and results at the measured reading speed, whichever is more; "of floor" is that
time as a share of acdref's.  It can be above 100 % where arrays stay in the cache.  Each round gives both a
turn in their own processes; times are medians over the rounds.
"""

import argparse
import statistics
from pathlib import Path

import machine
import numpy as np
import turns
from report import RESULTS, Table

TOLERANCE = 1e-3  # of a few sums over the results, relative to the largest
FRAMES = 624


def operations():
    """Every operation of the default network: dicts of its `kind`, its layer's `name`, and sizes."""
    from acdref.nets import ACDNET_2024 as config

    found = []
    rows, bins, channels = FRAMES, config.bins, config.inputs

    def both(kind, name, **sizes):
        for backward in (False, True):
            case = {"kind": kind, "name": name, "backward": backward, "rows": rows, "bins": bins}
            found.append(case | {"channels": channels} | sizes)

    both("conv", "stem", out=config.stem)
    rows, channels = rows - 2, config.stem
    both("norm and PReLU", "stem")
    for number, block in enumerate(config.blocks, 1):
        name = f"block{number}"
        both("depthwise", name, dilation=block.dilation)
        rows -= 2 * block.dilation
        both("norm and PReLU", f"{name}.depthwise")
        both("pointwise", name, out=block.channels)
        channels = block.channels
        both("norm and PReLU", f"{name}.pointwise")
        if block.attention:
            both("group norm", name)
            both("attention", name, out=block.attention)
            channels = block.attention
            both("softmax over channels", name)
            both("softmax over positions", name)
            channels = block.channels
        both("max pool", name, pool=block.pool)
        rows, bins = rows // block.pool[0], bins // block.pool[1]
    both("mean over time", "end")
    return found


def cost(case):
    """Floating-point operations, and bytes of the arguments and results."""
    rows, bins, channels, out = case["rows"], case["bins"], case["channels"], case.get("out")
    places = case["clips"] * rows * bins
    kind = case["kind"]
    size = after = places * channels  # numbers in the map, and in what is made of it
    if kind == "conv":
        after = case["clips"] * (rows - 2) * bins * out
        flops = 18 * channels * after
    elif kind == "depthwise":
        after = case["clips"] * (rows - 2 * case["dilation"]) * bins * channels
        flops = 18 * after
    elif kind == "pointwise":
        after = places * out
        flops = 2 * channels * after
    elif kind == "attention":
        flops = places * (8 * channels * out + 4 * out * out)
    elif kind == "max pool":
        after = case["clips"] * (rows // case["pool"][0]) * (bins // case["pool"][1]) * channels
        flops = size
    else:
        flops = 4 * size
    if not case["backward"]:
        return flops, 4 * (size + after)
    # Two products take the place of one, but the first layer has no input gradient; the map (not by pools)
    # and the result's gradient are read, the map's gradient is written.
    if kind == "conv":
        return flops, 4 * (size + after)
    return 2 * flops, 4 * (after + size + (size if kind not in ("max pool", "mean over time") else 0))


def arrays(case):
    """The operation's arguments in acdref's layout, by name; `dy` stands for any result's gradient."""
    rng = np.random.default_rng(0)
    channels = case["channels"]
    out = case.get("out", channels)

    def normal(*shape):
        return rng.standard_normal(shape, np.float32)

    parts = {
        "query": (channels, out),
        "key": (channels, out),
        "value": (channels, out),
        "out": (out, channels),
    }
    return {
        "x": normal(case["clips"], case["rows"], case["bins"], channels),
        "full": normal(3, 3, channels, out),
        "taps": normal(3, 3, 1, channels),
        "matrix": normal(channels, out),
        "bias": normal(out),
        "gamma": rng.uniform(0.5, 1.5, channels).astype(np.float32),
        "beta": normal(channels),
        "slope": rng.uniform(-0.2, 0.6, channels).astype(np.float32),
        "attention": {f"{part}.weight": normal(*shape) / 8 for part, shape in parts.items()}
        | {f"{part}.bias": normal(shape[1]) for part, shape in parts.items()},
    }


def gradient(shape):
    """Gradient of a result of this shape, (N, T, F, C) or (N, F, C)."""
    return np.random.default_rng(1).standard_normal(shape, np.float32)


def acdref(case):
    turns.need("numba")
    from acdref.ops import attention, norm, pointwise, pooling, softmax
    from acdref.ops.conv2d import Geometry, conv2d, conv2d_input_gradient, conv2d_weight_gradient
    from acdref.ops.threads import set_threads

    set_threads(case["threads"])
    numba = {"backend": "numba"}
    a = arrays(case)
    x, gamma, beta, slope, bias = a["x"], a["gamma"], a["beta"], a["slope"], a["bias"]
    positions = x.reshape(len(x), -1, x.shape[-1])
    dilation, pool, params = case.get("dilation"), case.get("pool"), a["attention"]
    running = np.zeros_like(gamma), np.ones_like(gamma)
    full, each = Geometry(padding=(0, 1)), numba | {"depthwise": True}
    if dilation:
        dilated, taps = Geometry(padding=(0, dilation), dilation=(dilation, dilation)), a["taps"][:, :, None]

    def attend():
        out, tape = attention.linear_attention(positions, params, **numba)
        out += positions
        return out, tape

    def attend_backward(out, dy):
        dx, grads = attention.linear_attention_backward(dy, positions, params, out[1], **numba)
        dx += dy
        return dx, grads

    def depthwise_backward(out, dy):
        dx = conv2d_input_gradient(dy, taps, x.shape, dilated, **each)
        return dx, conv2d_weight_gradient(dy, x, (3, 3), dilated, **each)

    # kind: (forward, backward from what the forward returned and dy)
    forward, backward = {
        "conv": (
            lambda: conv2d(x, a["full"], bias, full, **numba),
            lambda out, dy: conv2d_weight_gradient(dy, x, (3, 3), full, **numba),
        ),
        "depthwise": (lambda: conv2d(x, taps, beta, dilated, **each), depthwise_backward),
        "pointwise": (
            lambda: pointwise.pointwise(x, a["matrix"], bias, **numba),
            lambda out, dy: pointwise.pointwise_backward(dy, x, a["matrix"], **numba),
        ),
        "norm and PReLU": (
            lambda: norm.batch_norm(x, gamma, beta, *running, slope, **numba),
            lambda out, dy: norm.batch_norm_backward(dy, x, gamma, beta, out[1], slope, **numba),
        ),
        "group norm": (
            lambda: norm.group_norm(x, gamma, beta, **numba),
            lambda out, dy: norm.group_norm_backward(dy, x, gamma, out[1], **numba),
        ),
        "attention": (attend, attend_backward),
        "softmax over channels": (
            lambda: softmax.softmax_channels(positions),
            lambda out, dy: softmax.softmax_channels_backward(dy, out),
        ),
        "softmax over positions": (
            lambda: softmax.softmax_positions(positions),
            lambda out, dy: softmax.softmax_positions_backward(dy, out),
        ),
        "max pool": (
            lambda: pooling.max_pool(x, pool, **numba),
            lambda out, dy: pooling.max_pool_backward(dy, out[1], pool, x.shape, **numba),
        ),
        "mean over time": (
            lambda: pooling.mean(x, (1,)),
            lambda out, dy: pooling.mean_backward(dy, x.shape, (1,)),
        ),
    }[case["kind"]]
    call = forward
    if case["backward"]:
        out = forward()
        dy = gradient(first(out).shape)

        def call():
            return backward(out, dy)

    return call, lambda: sample(first(call()))


def pytorch(case):
    torch = turns.need("torch")
    import torch_twin
    from torch.nn import functional as F

    torch.set_num_threads(case["threads"])
    a = arrays(case)
    last = {"memory_format": torch.channels_last}
    x = torch.from_numpy(a["x"]).permute(0, 3, 1, 2)  # (N, C, T, F), in memory as it was
    gamma, beta, slope, bias = (torch.from_numpy(a[key]) for key in ("gamma", "beta", "slope", "bias"))
    full, taps, matrix = (
        torch.from_numpy(to_torch(a[key]).copy()).contiguous(**last)
        for key, (to_torch, _) in (
            ("full", torch_twin.FULL),
            ("taps", torch_twin.FULL),
            ("matrix", torch_twin.POINTWISE),
        )
    )
    running = torch.zeros_like(gamma), torch.ones_like(gamma)
    attention = torch_twin.Attention(case["channels"], case.get("out", 1), "linear").to(**last)
    attention.norm = torch.nn.Identity()
    with torch.no_grad():
        for name, tensor in attention.named_parameters():
            if "out" in case:
                to_torch, _ = torch_twin.VECTOR if name.endswith("bias") else torch_twin.POINTWISE
                tensor.copy_(torch.from_numpy(to_torch(a["attention"][name]).copy()))
    dilation, pool = case.get("dilation"), case.get("pool")
    positions = x.flatten(2)
    channels = case["channels"]

    # kind: (forward, what is differentiated)
    forward, inputs = {
        "conv": (lambda: F.conv2d(x, full, bias, padding=(0, 1)), (full, bias)),
        "depthwise": (
            lambda: F.conv2d(x, taps, beta, padding=(0, dilation), dilation=dilation, groups=channels),
            (x, taps, beta),
        ),
        "pointwise": (lambda: F.conv2d(x, matrix, bias), (x, matrix, bias)),
        "norm and PReLU": (
            lambda: F.prelu(F.batch_norm(x, *running, gamma, beta, training=True), slope),
            (x, gamma, beta, slope),
        ),
        "group norm": (lambda: F.group_norm(x, 1, gamma, beta), (x, gamma, beta)),
        "attention": (lambda: attention(x), (x, *attention.parameters())),
        "softmax over channels": (lambda: torch.softmax(positions, 1), (positions,)),
        "softmax over positions": (lambda: torch.softmax(positions, 2), (positions,)),
        "max pool": (lambda: F.max_pool2d(x, pool), (x,)),
        "mean over time": (lambda: x.mean(2), (x,)),
    }[case["kind"]]
    if case["backward"]:
        for tensor in inputs:
            tensor.requires_grad_()
        y = forward()
        rows_first = y.movedim(1, -1)
        dy = torch.from_numpy(gradient(tuple(rows_first.shape))).movedim(-1, 1)

        def call():
            return torch.autograd.grad(y, inputs, dy, retain_graph=True)[0]

    else:

        def call():
            with torch.no_grad():
                return forward()

    def check():
        found = call().detach()
        if case["kind"] == "conv" and case["backward"]:
            _, to_numpy = torch_twin.FULL
            return sample(to_numpy(found.numpy()))
        return sample(found.movedim(1, -1).numpy())

    return call, check


def first(result):
    return result[0] if isinstance(result, tuple) else result


def sample(a):
    """A few of an array's numbers, in C order."""
    flat = np.ascontiguousarray(a).reshape(-1)
    return flat[:: max(1, flat.size // 200)].tolist()


CONTENDERS = {"acdref": acdref, "torch": pytorch}
COLUMNS = {
    "operation": "{operation}",
    "threads": "{threads}",
    "map (T, F, C)": "{shape}",
    "acdref ms": "{acdref_ms:.3f}",
    "torch ms": "{torch_ms:.3f}",
    "times": "{ratio:.1f}",
    "GFLOP/s": "{gflops:.0f}",
    "GB/s": "{gbs:.1f}",
    "of floor": "{share:.0%}",
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.05, help="length of a turn, at least one call")
    parser.add_argument("--threads", type=turns.integers, default=[1, 2])
    parser.add_argument("--clips", type=int, default=1)
    parser.add_argument("--match", default="", help="only operations whose name holds this")
    parser.add_argument("--json", type=Path, default=RESULTS / "kernels.json")
    arguments = parser.parse_args()
    table = Table(COLUMNS, machine.describe("acdref", "numba", "torch"), rounds=arguments.rounds, peaks={})
    for threads in arguments.threads:
        table.head["peaks"][threads] = peaks = machine.peaks_apart(threads)
        workers = turns.start(__file__, list(CONTENDERS), threads)
        try:
            for case in operations():
                name = f"{case['kind']}{' backward' if case['backward'] else ''}, {case['name']}"
                if arguments.match not in name:
                    continue
                case |= {"threads": threads, "clips": arguments.clips}
                ready = turns.prepare(workers, case, TOLERANCE)
                times = turns.race(ready, arguments.rounds, arguments.seconds, name)
                if "acdref" in times:
                    table.add(operation=name, **case, **figures(case, times, peaks), seconds=times)
        finally:
            turns.close(workers)
    table.write(arguments.json)


def figures(case, times, peaks):
    """The numbers of a row."""
    flops, size = cost(case)
    seconds = statistics.median(times["acdref"])
    torch = statistics.median(times["torch"]) if "torch" in times else None
    return {
        "shape": f"{case['rows']} {case['bins']} {case['channels']}",
        "acdref_ms": 1000 * seconds,
        "torch_ms": torch and 1000 * torch,
        "ratio": turns.ratio(times, "torch", "acdref") if torch else None,
        "gflops": flops / seconds / 1e9,
        "gbs": size / seconds / 1e9,
        "share": peaks and max(flops / peaks["gflops"], size / peaks["read_gbs"]) / 1e9 / seconds,
    }


if __name__ == "__main__":
    turns.main(CONTENDERS, main)
