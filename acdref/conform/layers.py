"""Cases of every kind of layer, forward and backward."""

from collections.abc import Iterator, Mapping
from types import SimpleNamespace

import numpy as np
from numpy.typing import ArrayLike

from acdref.conform.writing import Case, Mistake
from acdref.nets.layers import Attention
from acdref.ops.activation import (
    elu,
    elu_backward,
    mean_sigmoid_logit,
    mean_sigmoid_logit_backward,
    prelu,
    prelu_backward,
    relu,
    relu6,
    relu6_backward,
    relu_backward,
    sigmoid,
)
from acdref.ops.attention import ATTENTION
from acdref.ops.batch import WHOLE
from acdref.ops.conv2d import Geometry, conv2d, conv2d_input_gradient, conv2d_weight_gradient
from acdref.ops.norm import (
    EPS,
    batch_norm,
    batch_norm_affine,
    batch_norm_backward,
    group_norm,
    group_norm_backward,
)
from acdref.ops.pointwise import pointwise, pointwise_backward
from acdref.ops.pooling import max_pool, max_pool_backward, mean, mean_backward
from acdref.ops.softmax import (
    softmax_channels,
    softmax_channels_backward,
    softmax_positions,
    softmax_positions_backward,
)


def cases() -> Iterator[Case]:
    """All of this section's."""
    for function in (_conv, _depthwise, _dense, _batch_norm, _batch_norm_inference, _group_norm, _prelu):
        yield from function()
    for function in (_activations, _sigmoid, _softmaxes, _attentions, _attention_block, _max_pool):
        yield from function()
    for function in (_mean, _flatten, _dropout_inference, _residual, _mean_of_sigmoids):
        yield from function()


def draw(seed: int, *shape: int, scale: float = 1.0) -> np.ndarray:
    """Normal numbers that float32 has exactly, in float64."""
    return (scale * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32).astype(np.float64)


def by_size(outputs: Mapping[str, ArrayLike], share: float) -> dict[str, float]:
    """For each output such a share of its largest absolute value, which rounding grows with.

    Of one that is small beside others, as a gradient that cancels, it is a share of a tenth of theirs.
    """
    sizes = {key: float(np.max(np.abs(a), initial=0)) for key, a in outputs.items()}
    return {key: share * max(size, max(sizes.values()) / 10) for key, size in sizes.items()}


def _case(name, formula, arrays, outputs, mistakes=(), **numbers):
    """A case whose arrays are inputs in float32 and whose outputs are computed in float64."""
    inputs = {key: np.asarray(a, np.float32) for key, a in arrays.items()}
    wrong = [Mistake(cause, {key: np.asarray(a) for key, a in found.items()}) for cause, found in mistakes]
    return Case(
        f"layers/{name}", formula, inputs | numbers, outputs,
        rtol=1e-5, atol=by_size(outputs, 3e-6),  # what sums of some hundred products reach in float32
        mistakes=wrong,
    )  # fmt: skip


_CONVOLUTIONS = {
    # size, stride, padding, dilation, map (N, T, F), channels in and out
    "valid": ((3, 3), (1, 1), (0, 0), (1, 1), (2, 6, 5), 3, 4),
    "same_in_frequency": ((3, 3), (1, 1), (0, 1), (1, 1), (1, 5, 4), 2, 3),
    "dilated": ((3, 3), (1, 1), (0, 2), (2, 2), (1, 7, 6), 2, 3),
    "strided": ((3, 3), (2, 2), (1, 1), (1, 1), (2, 7, 6), 1, 4),
    "uneven": ((3, 2), (2, 1), (1, 0), (1, 2), (1, 6, 5), 2, 2),
    "five_by_five": ((5, 5), (2, 2), (2, 2), (1, 1), (1, 9, 8), 1, 3),
    "along_time": ((9, 1), (3, 1), (0, 0), (1, 1), (2, 24, 1), 2, 3),
    "pointwise": ((1, 1), (1, 1), (0, 0), (1, 1), (2, 3, 4), 5, 3),
    "pointwise_strided": ((1, 1), (2, 2), (0, 0), (1, 1), (1, 5, 4), 3, 2),
}


def _geometry(geometry):
    return dict(zip(("stride", "padding", "dilation"), map(np.array, geometry), strict=True))


def _conv():
    for seed, (variant, (size, *geometry, shape, before, after)) in enumerate(_CONVOLUTIONS.items()):
        g = Geometry(*geometry)
        x, weight, bias = (
            draw(seed, *shape, before),
            draw(seed + 50, *size, before, after),
            draw(seed + 90, after),
        )
        y = conv2d(x, weight, bias, g)  # (N, T', F', C')
        dy = draw(seed + 130, *y.shape)
        dweight, dbias = conv2d_weight_gradient(dy, x, size, g)
        outputs = {
            "y": y,
            "dx": conv2d_input_gradient(dy, weight, x.shape, g),
            "dweight": dweight,
            "dbias": dbias,
        }
        mistakes = [("there was no bias", {"y": y - bias})]
        if size[0] == size[1] > 1:
            turned, mirrored = weight.swapaxes(0, 1).copy(), weight[::-1, ::-1].copy()
            mistakes += [
                ("the weight had frequency before time", {"y": conv2d(x, turned, bias, g)}),
                (
                    "the weight was mirrored, as in a convolution of mathematics",
                    {"y": conv2d(x, mirrored, bias, g)},
                ),
            ]
        yield _case(
            f"conv/{variant}",
            "y[n,t,f,o] = b[o] + sum_ijc x[n, t s0 - p0 + i d0, f s1 - p1 + j d1, c] w[i,j,c,o]",
            {"x": x, "weight": weight, "bias": bias, "dy": dy}, outputs, mistakes, **_geometry(g),
        )  # fmt: skip


def _depthwise():
    kinds = {
        "dilated": ((1, 1), (0, 2), (2, 2), (2, 7, 6)),
        "plain": ((1, 1), (0, 1), (1, 1), (1, 5, 4)),
        "strided": ((2, 2), (1, 1), (1, 1), (1, 6, 7)),
        "narrow": ((1, 1), (0, 2), (2, 2), (1, 6, 1)),
    }
    for seed, (variant, (*geometry, shape)) in enumerate(kinds.items(), 200):
        g, how = Geometry(*geometry), {"depthwise": True}
        x, weight, bias = draw(seed, *shape, 3), draw(seed + 10, 3, 3, 3), draw(seed + 20, 3)
        full = weight[:, :, None]  # (3, 3, 1, C)
        y = conv2d(x, full, bias, g, depthwise=True)  # (N, T', F', C)
        dy = draw(seed + 30, *y.shape)
        dweight, dbias = conv2d_weight_gradient(dy, x, (3, 3), g, **how)
        turned = conv2d(x, full.swapaxes(0, 1).copy(), bias, g, **how)
        yield _case(
            f"depthwise/{variant}",
            "as conv, each channel by itself: sum_ij x[..., c] w[i,j,c]",
            {"x": x, "weight": weight, "bias": bias, "dy": dy},
            {
                "y": y,
                "dx": conv2d_input_gradient(dy, full, x.shape, g, **how),
                "dweight": dweight.reshape(weight.shape),  # (3, 3, C)
                "dbias": dbias,
            },
            [("the weight had frequency before time", {"y": turned})],
            **_geometry(g),
        )


def _dense():
    for variant, shape, outputs in (("vectors", (3, 5), 4), ("maps", (2, 3, 2, 5), 3), ("square", (3, 4), 4)):
        x, weight, bias = draw(300, *shape), draw(301, shape[-1], outputs), draw(302, outputs)
        y = pointwise(x, weight, bias)  # (..., outputs)
        dy = draw(303, *y.shape)
        dx, dweight, dbias = pointwise_backward(dy, x, weight)
        square = shape[-1] == outputs
        yield _case(
            f"dense/{variant}",
            "y[..., o] = b[o] + sum_i x[..., i] w[i, o]",
            {"x": x, "weight": weight, "bias": bias, "dy": dy},
            {"y": y, "dx": dx, "dweight": dweight, "dbias": dbias},
            [("the weight was (out, in)", {"y": x @ weight.T + bias})] if square else [],
        )


def _batch_norm():
    kinds = {
        "map": ((2, 3, 4, 5), 1.0),
        "vectors": ((6, 1, 1, 3), 1.0),
        "small_variance": ((2, 3, 2, 3), 3e-2),
    }
    for seed, (variant, (shape, scale)) in enumerate(kinds.items(), 400):
        x, channels = draw(seed, *shape, scale=scale) + 0.5, shape[-1]
        gamma, beta = 1 + draw(seed + 10, channels, scale=0.3), draw(seed + 20, channels)
        running = draw(seed + 30, channels), np.exp(draw(seed + 40, channels)).astype(np.float32)
        dy = draw(seed + 50, *shape)
        x, gamma, running = (np.float64(np.float32(a)) for a in (x, gamma, running))
        y, statistics, (mean_after, var_after) = batch_norm(x, gamma, beta, *running)
        dx, dgamma, dbeta, _ = batch_norm_backward(dy, x, gamma, beta, statistics)
        mistakes = _batch_norm_mistakes(x, gamma, beta, *running, small=scale < 1)
        mistakes.append(
            ("mean and variance were constants going backward", {"dx": dy * gamma * statistics[1]})
        )
        yield _case(
            f"batch_norm/{variant}",
            "y = gamma (x - mean) / sqrt(var + 1e-5) + beta, the batch's mean and biased variance by channel",
            {
                "x": x, "gamma": gamma, "beta": beta,
                "running_mean": running[0], "running_var": running[1], "dy": dy,
            },
            {
                "y": y, "dx": dx, "dgamma": dgamma, "dbeta": dbeta,
                "running_mean_after": mean_after, "running_var_after": var_after,
            },
            mistakes,
        )  # fmt: skip


def _batch_norm_mistakes(x, gamma, beta, mean_before, var_before, small):
    centre, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
    count = x[..., 0].size
    unbiased, plain = var * count / (count - 1), gamma * (x - centre)
    scale, shift = batch_norm_affine(gamma, beta, mean_before, var_before)
    running = {
        "running_mean_after": 0.1 * mean_before + 0.9 * centre,
        "running_var_after": 0.1 * var_before + 0.9 * unbiased,
    }
    mistakes = [
        ("the epsilon was 1e-3", {"y": plain / np.sqrt(var + 1e-3) + beta}),
        ("the variance that normalises was unbiased", {"y": plain / np.sqrt(unbiased + EPS) + beta}),
        ("running statistics normalised in training", {"y": x * scale + shift}),
        ("the running statistics kept a tenth of the old", running),
    ]
    if small:
        outside = plain / (np.sqrt(var) + EPS) + beta
        return [*mistakes, ("the epsilon was added to the deviation", {"y": outside})]
    biased = 0.9 * var_before + 0.1 * var
    return [*mistakes, ("the running variance took the biased one", {"running_var_after": biased})]


def _batch_norm_inference():
    x, gamma, beta, centre = draw(500, 2, 3, 2, 4), draw(501, 4), draw(502, 4), draw(503, 4)
    var = np.array([1e-3, 0.5, 1, 3], np.float32).astype(np.float64)
    scale, shift = batch_norm_affine(gamma, beta, centre, var)
    yield _case(
        "batch_norm_inference/map",
        "y = gamma (x - running_mean) / sqrt(running_var + 1e-5) + beta",
        {"x": x, "gamma": gamma, "beta": beta, "running_mean": centre, "running_var": var},
        {"y": x * scale + shift},
        [
            ("the epsilon was 1e-3", {"y": gamma * (x - centre) / np.sqrt(var + 1e-3) + beta}),
            ("the batch's statistics normalised", {"y": batch_norm(x, gamma, beta, centre, var)[0]}),
        ],
    )


def _group_norm():
    for seed, (variant, scale) in enumerate((("map", 1.0), ("small_variance", 3e-2)), 600):
        x = np.float64(np.float32(draw(seed, 2, 3, 4, 5, scale=scale) + 0.25))
        gamma, beta, dy = draw(seed + 10, 5), draw(seed + 20, 5), draw(seed + 30, *x.shape)
        y, statistics = group_norm(x, gamma, beta)
        dx, dgamma, dbeta = group_norm_backward(dy, x, gamma, statistics)

        def normalised(axes, eps=EPS, x=x, gamma=gamma, beta=beta):
            return (
                gamma * (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps) + beta
            )

        yield _case(
            f"group_norm/{variant}",
            "y = gamma (x - mean) / sqrt(var + 1e-5) + beta, a clip's mean and biased variance over T, F, C",
            {"x": x, "gamma": gamma, "beta": beta, "dy": dy},
            {"y": y, "dx": dx, "dgamma": dgamma, "dbeta": dbeta},
            [
                ("the epsilon was 1e-3", {"y": normalised((1, 2, 3), 1e-3)}),
                ("each channel had its own mean and variance", {"y": normalised((1, 2))}),
                ("each position had its own mean and variance", {"y": normalised(3)}),
            ],
        )


_KINKS = (
    np.array([-2.0, -0.0, 0.0, 1e-3, 5.999, 6.0, 6.001, 20.0, -30.0]).astype(np.float32).astype(np.float64)
)


def _prelu():
    x, slope = draw(700, 3, 2, 2, 3), np.array([0.25, -0.5, 0.0])
    x[0, 0, 0] = 0
    dy = draw(701, *x.shape)
    dx, dslope = prelu_backward(dy, x, slope)
    yield _case(
        "prelu/both_signs_and_zero",
        "y = x where x > 0, else slope[c] x",
        {"x": x, "slope": slope, "dy": dy},
        {"y": prelu(x, slope), "dx": dx, "dslope": dslope},
        [
            ("one slope served all channels", {"y": prelu(x, np.full(3, slope[0]))}),
            ("the gradient at 0 was that of positive values", {"dx": np.where(x >= 0, dy, slope * dy)}),
        ],
    )


def _activations():
    x, dy = _KINKS, 1 + np.arange(len(_KINKS)) / 4
    functions = {
        "relu": (relu, relu_backward, "y = max(x, 0); dx = dy where y > 0, else 0"),
        "relu6": (relu6, relu6_backward, "y = min(max(x, 0), 6); dx = dy where 0 < y < 6, else 0"),
        "elu": (
            elu,
            elu_backward,
            "y = x where x > 0, else exp(x) - 1; dx = dy where y > 0, else dy (y + 1)",
        ),
    }
    for name, (forward, backward, formula) in functions.items():
        y = forward(x)
        outputs = {"y": y, "dx": backward(dy, y)}
        mistakes = []
        if name != "elu":
            mistakes = [("gradients passed at the kinks", {"dx": np.where((x >= 0) & (x == y), dy, 0)})]
        yield _case(f"{name}/kinks", formula, {"x": np.asarray(x), "dy": dy}, outputs, mistakes)


def _sigmoid():
    x = np.array([-1000.0, -30, -1, 0, 0.5, 20, 1000])
    yield _case("sigmoid/without_overflow", "y = 1 / (1 + exp(-x))", {"x": x}, {"y": sigmoid(x)})


def _softmaxes():
    x, dy = draw(720, 2, 4, 3, scale=3.0), draw(721, 2, 4, 3)
    x[0, 0] = 1000, 999, -1000
    kinds = {
        "channels": (softmax_channels, softmax_channels_backward, softmax_positions),
        "positions": (softmax_positions, softmax_positions_backward, softmax_channels),
    }
    for axis, (forward, backward, other) in kinds.items():
        y = forward(x)
        yield _case(
            f"softmax_{axis}/large",
            f"y = exp(x) / sum exp(x) over {axis}; dx = y (dy - sum dy y)",
            {"x": x, "dy": dy},
            {"y": y, "dx": backward(dy, y)},
            [("the sum ran over the other axis", {"y": other(x)})],
        )


_FORMULAS = {
    "linear": "out = (softmax_channels(q) (softmax_positions(k)^T v)) W_o + b_o, q, k, v = x W + b",
    "separable": "out = (relu(v) * sum_p softmax_positions(q)[p] k[p]) W_o + b_o, q, k, v = x W + b",
}


def _projections(kind, channels, width, seed):
    shapes = Attention("attention", channels, width, kind).shapes
    params = {}
    for number, (part, shape) in enumerate(shapes.items()):
        params[f"{part}.weight"] = draw(seed + number, *shape, scale=0.7)
        params[f"{part}.bias"] = draw(seed + 10 + number, shape[1], scale=0.5)
    return params


def _attentions():
    for kind, (forward, backward) in ATTENTION.items():
        for seed, (variant, shape) in enumerate((("some", (2, 6, 4)), ("one_position", (1, 1, 4))), 740):
            x, params = draw(seed, *shape), _projections(kind, 4, 3, seed + 100)
            y, tape = forward(x, params)
            dy = draw(seed + 40, *y.shape)
            dx, grads = backward(dy, x, params, tape)
            mistakes = _attention_mistakes(x, params) if (kind, variant) == ("linear", "some") else []
            yield _case(
                f"{kind}_attention/{variant}", _FORMULAS[kind], {"x": x, "dy": dy} | params,
                {"y": y, "dx": dx} | {f"d{key}": grad for key, grad in grads.items()}, mistakes,
            )  # fmt: skip


def _attention_mistakes(x, params):
    q, k, v = (x @ params[f"{part}.weight"] + params[f"{part}.bias"] for part in ("query", "key", "value"))

    def out(q, k, transpose=False):
        context = k.swapaxes(1, 2) @ v
        context = context.swapaxes(1, 2) if transpose else context
        return {"y": (q @ context) @ params["out.weight"] + params["out.bias"]}

    along, across = softmax_positions, softmax_channels
    return [
        ("both softmaxes ran over positions", out(along(q), along(k))),
        ("both softmaxes ran over channels", out(across(q), across(k))),
        ("the softmaxes of queries and keys were exchanged", out(along(q), across(k))),
        ("the context was transposed", out(across(q), along(k), transpose=True)),
        ("queries were divided by the root of their width", out(across(q / np.sqrt(q.shape[-1])), along(k))),
    ]


def _attention_block():
    for seed, kind in enumerate(ATTENTION, 780):
        layer = Attention("attention", 4, 3, kind)
        params = {"norm.gamma": 1 + draw(seed, 4), "norm.beta": draw(seed + 1, 4)} | _projections(
            kind, 4, 3, seed
        )
        params = {key: np.float64(np.float32(a)) for key, a in params.items()}
        own = {f"attention.{key}": a for key, a in params.items()}
        net = SimpleNamespace(params=own, backend="numpy", batch=WHOLE)
        x = draw(seed + 30, 2, 3, 2, 4)
        y, tape = layer.forward(net, x, True)
        dy, grads = draw(seed + 40, *x.shape), {}
        dx = layer.backward(net, dy, x, tape, grads)
        yield _case(
            f"attention_block/{kind}",
            "y = x + attention(group_norm(x)), positions in the order t F + f",
            {"x": x, "dy": dy} | params,
            {"y": y, "dx": dx} | {f"d{key.partition('.')[2]}": grad for key, grad in grads.items()},
            [("x was not added", {"y": y - x})],
        )


def _max_pool():
    kinds = {
        "two_by_two": ((2, 2), (2, 2), (0, 0), (2, 5, 5, 2)),
        "one_by_two": ((1, 2), (1, 2), (0, 0), (1, 3, 6, 2)),
        "overlapping_padded": ((3, 3), (2, 2), (1, 1), (1, 6, 5, 2)),
        "ties": ((2, 2), (2, 2), (0, 0), (1, 4, 4, 1)),
        "negative_padded": ((3, 3), (2, 2), (1, 1), (1, 4, 4, 1)),
    }
    for seed, (variant, (window, stride, padding, shape)) in enumerate(kinds.items(), 800):
        x = draw(seed, *shape)
        x = np.round(x) if variant == "ties" else -np.abs(x) if variant == "negative_padded" else x
        y, chosen = max_pool(x, window, stride, padding)  # (N, T', F', C)
        dy = draw(seed + 10, *y.shape)
        mistakes = []
        if variant == "negative_padded":
            zeros = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
            mistakes = [
                ("padding was zeros, which can be the maximum", {"y": max_pool(zeros, window, stride)[0]})
            ]
        yield _case(
            f"max_pool/{variant}",
            "y = the largest of a window; dy goes to the first of the largest, row by row",
            {"x": x, "dy": dy},
            {"y": y, "dx": max_pool_backward(dy, chosen, window, shape, stride, padding)},
            mistakes,
            window=np.array(window), stride=np.array(stride), padding=np.array(padding),
        )  # fmt: skip


def _mean():
    for variant, axes in (("time", (1,)), ("frequency", (2,)), ("both", (1, 2))):
        x = draw(820, 2, 3, 4, 5)
        y = mean(x, axes)
        dy = draw(821, *y.shape)
        yield _case(
            f"mean/{variant}", "y = the mean over the axes; dx = dy / count",
            {"x": x, "dy": dy}, {"y": y, "dx": mean_backward(dy, x.shape, axes)}, axes=np.array(axes),
        )  # fmt: skip


def _flatten():
    x, dy = draw(830, 2, 3, 4), draw(831, 2, 12)
    yield _case(
        "flatten/bins_and_channels",
        "y[n, c F + f] = x[n, f, c]",
        {"x": x, "dy": dy},
        {"y": x.swapaxes(1, 2).reshape(2, -1), "dx": dy.reshape(2, 4, 3).swapaxes(1, 2)},
        [("maps were flattened (F, C), not (C, F)", {"y": x.reshape(2, -1)})],
    )


def _dropout_inference():
    x = draw(840, 2, 6)
    yield _case(
        "dropout_inference/vectors", "y = x: what training keeps grows by 1 / (1 - rate)", {"x": x}, {"y": x},
        [("outputs were multiplied by 1 - rate", {"y": x * 0.7})], rate=0.3,
    )  # fmt: skip


def _residual():
    for code, variant in enumerate(("sum", "relu")):
        body, shortcut, dy = draw(850, 2, 2, 2, 3), draw(851, 2, 2, 2, 3), draw(852, 2, 2, 2, 3)
        y = body + shortcut
        y, dsum = (relu(y), relu_backward(dy, relu(y))) if code else (y, dy)
        wrong = [("the activation came before the sum", {"y": relu(body) + shortcut})] if code else []
        yield _case(
            f"residual/{variant}", "y = activation(body + shortcut); both have the gradient dsum",
            {"body": body, "shortcut": shortcut, "dy": dy}, {"y": y, "dsum": dsum}, wrong, activation=code,
        )  # fmt: skip


def _mean_of_sigmoids():
    z = draw(860, 2, 4, 3, scale=2.0)
    z[0, :, 0] = -80, -90, -85, -100
    z[0, :, 1] = 1000, -1000, 0, 3
    z[1, :, 2] = 40, 50, 45, 60
    dy = draw(861, 2, 3)
    yield _case(
        "mean_of_sigmoids/wide",
        "y = log(p / (1 - p)), p = mean_t sigmoid(z[n, t, c])",
        {"z": z, "dy": dy},
        {"y": mean_sigmoid_logit(z), "dz": mean_sigmoid_logit_backward(dy, z)},
        [("it was the mean of the logits", {"y": z.mean(1)})],
    )
