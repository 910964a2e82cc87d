"""Networks as ONNX models, for whoever runs networks with something else.

A model computes what ``predict_proba`` does, in float32, for any number of clips of any length::

    features (clips, steps, ...)  or  waveform (clips, samples)
        ->  logits (clips, classes), probabilities (clips, classes)

It is a walk over the network's layers: :data:`EXPORTERS` has a function for each kind of them.  Batch
normalisation is folded into the convolutions.  Inside, maps are (clips, channels, frames, bins), as ONNX
wants them.  The model's metadata say what its input and outputs mean (:func:`metadata`); `docs/onnx.md` has
programs that use it.
"""

import json
from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from acdref import __version__
from acdref.errors import AcdrefError
from acdref.features.compressed import BINS, EXPONENT, FRAME, HOP, POWER_FLOOR
from acdref.features.fourier import hann
from acdref.features.front_ends import front_end as front_end_of
from acdref.files import replacing
from acdref.nets import layers
from acdref.nets.network import Network
from acdref.nets.registry import name_of
from acdref.ops.norm import EPS

SCHEMA = "acdref.onnx/1"  # of the metadata
FORMS = ("stft", "conv")
"""How a front end can be in a model: by ONNX's STFT in float64, or as a convolution in float32."""
OPSET = 18  # onnxruntime 1.14, 2023
IR_VERSION = 8  # of the same year
TOLERANCES = {"float32": 1e-5, "float16": 1e-2, "int8": 0.1}
"""Of :func:`verify`, for each precision in which a model can keep its weights."""
_SECONDS = 3  # by which one of the clips that verify makes is longer than the shortest
_WINDOW = 10  # seconds


def export_onnx(
    path: str | PathLike[str],
    net: Network,
    classes: Sequence[str],
    front_end: bool | str = False,
    licence: str | None = None,
    precision: str = "float32",
) -> float | None:
    """Write a network as an ONNX file, once onnxruntime (where installed) has agreed with the network.

    Parameters
    ----------
    path : str or path-like
        An old file stays until the new one is complete.
    net : network
    classes : sequence of str
        Names of the outputs, in order.
    front_end : bool or str
        One of :data:`FORMS`, or True for "stft": the model takes waveforms (clips, samples), and does what
        is done with each window itself: takes its mean away, repeats it up to 10 s, makes features of it.
        For ACDnet, and for the 1-D network, whose features the samples are.
    licence : str, optional
        Of the weights, for the metadata.
    precision : {"float32", "float16", "int8"}
        In which the model keeps the weights of convolutions and dense layers: half, or a quarter of the size.
        "int8" has a scale for each output channel.  All is computed in float32, whichever it is.

    Returns
    -------
    float or None
        What :func:`verify` found; None where onnxruntime is not installed.

    Raises
    ------
    AcdrefError
        If the package ``onnx`` is not installed, `classes` and the network's outputs differ in number, the
        network's front end cannot be part of the model, there is no such precision, or onnxruntime does not
        agree.
    FileError
        If the file cannot be written.
    """
    with replacing(path) as temporary:
        model = onnx_model(net, classes, front_end, licence, precision).SerializeToString()
        try:
            difference = verify(model, net, front_end, TOLERANCES[precision])
        except ImportError:
            difference = None
        temporary.write_bytes(model)
    return difference


def onnx_model(
    net: Network,
    classes: Sequence[str],
    front_end: bool | str = False,
    licence: str | None = None,
    precision: str = "float32",
) -> Any:
    """The model that :func:`export_onnx` writes, as ``onnx.ModelProto``; arguments and errors as there."""
    try:
        import onnx
    except ImportError:
        raise AcdrefError("the package onnx is not installed (pip install 'acdref[onnx]')") from None
    if len(classes) != net.config.classes:
        raise AcdrefError(f"{len(classes)} class names for a network with {net.config.classes} outputs")
    if precision not in TOLERANCES:
        raise AcdrefError(f"weights are kept as {', '.join(TOLERANCES)}, not as {precision}")
    graph = _Graph(precision)
    name, shape = input_of(net, front_end)
    _network(graph, net, _front_end(graph, net, front_end, name) if front_end else name)
    float32, tensor = onnx.TensorProto.FLOAT, onnx.helper.make_tensor_value_info
    inputs, classes_shape = [tensor(name, float32, shape)], ("clips", net.config.classes)
    outputs = [tensor(name, float32, classes_shape) for name in ("logits", "probabilities")]
    model = onnx.helper.make_model(
        onnx.helper.make_graph(graph.nodes, name_of(net), inputs, outputs, initializer=graph.constants),
        opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
        producer_name="acdref", producer_version=__version__,
    )  # fmt: skip
    onnx.helper.set_model_props(model, metadata(net, classes, front_end, licence, precision))
    onnx.checker.check_model(model, full_check=True)
    return model


def input_of(net: Network, front_end: bool | str = False) -> tuple[str, tuple[Any, ...]]:
    """Name and shape of a model's input; sizes that are free are names themselves.

    Raises
    ------
    AcdrefError
        If the network's front end cannot be part of the model.

    Examples
    --------
    >>> from acdref.nets.registry import build
    >>> input_of(build("resnet50", classes=2, width=0.1, backend="numpy"))
    ('features', ('clips', 'patches', 96, 64))
    """
    config = net.config
    if front_end and net.front_end not in _TRANSFORMS:
        of = f"the front end of {name_of(net)}"
        raise AcdrefError(f"{of} cannot be part of the model, only those of acdnet and conv1d")
    if front_end and net.front_end == "compressed-stft" and (config.bins, config.inputs) != (BINS, 2):
        raise AcdrefError(f"the front end makes {BINS} bins, the network takes {config.bins}")
    if front_end or net.front_end == "waveform":
        return "waveform", ("clips", "samples")
    if net.front_end == "compressed-stft":
        return "features", ("clips", "frames", config.bins, config.inputs)
    if net.front_end == "log-mel-patches":
        return "features", ("clips", "patches", config.frames, config.bins)
    return "features", ("clips", "frames", config.bins)


def metadata(
    net: Network,
    classes: Sequence[str],
    front_end: bool | str = False,
    licence: str | None = None,
    precision: str = "float32",
) -> dict[str, str]:
    """What a user of the model has to know, as texts.

    Returns
    -------
    dict of str to str
        ``schema`` (:data:`SCHEMA`), ``acdref_version``, ``licence`` (of the weights, where stated).

        ``classes`` (a JSON list, in the order of the outputs), ``network``, ``front_end`` (as in
        :data:`acdref.features.front_ends.FRONT_ENDS`), ``front_end_in_model`` (stft, conv or no),
        ``sample_rate`` (Hz), ``hop`` (samples from one step of the features to the next), ``min_frames`` and
        ``min_samples`` (the shortest clip that the network takes, in steps of its features, and the shortest
        that the caller may bring, in samples), ``precision`` (in which the weights are kept), ``output``
        (sigmoid or softmax); for ACDnet also ``frame`` (samples) and ``exponent`` (of the magnitudes).

        What is done with a recording: ``window_seconds`` and ``window_samples``; ``longer`` (what is done
        with more than a window); ``mean`` and ``shorter`` (with each window, in this order); and
        ``prepared_by``: whether the model does these two, or its caller must.  ``input`` and ``outputs`` are
        for people.

    Examples
    --------
    >>> from acdref.nets import ACDNet, ACDNetConfig
    >>> metadata(ACDNet(ACDNetConfig(classes=2)), ["cat", "dog"])["classes"]
    '["cat", "dog"]'
    """
    front = front_end_of(net)
    name, shape = input_of(net, front_end)
    of = "mono, in [-1, 1]" if name == "waveform" else net.front_end
    facts = {
        "schema": SCHEMA, "acdref_version": __version__, "licence": licence or "not stated",
        "classes": json.dumps(list(classes)), "network": name_of(net), "output": net.output,
        "front_end": net.front_end, "front_end_in_model": _form(front_end) if front_end else "no",
        "sample_rate": front.rate, "hop": front.hop, "min_frames": net.min_frames,
        "min_samples": 1 if front_end else front.fewest(net.min_frames),
        "window_seconds": _WINDOW, "window_samples": _WINDOW * front.rate,
        "mean": "taken away from each window", "shorter": "repeated up to a window",
        "longer": "mean of the windows' probabilities, weighted by duration; only the last may be shorter",
        "prepared_by": "model" if front_end else "caller", "precision": precision,
        "input": f"{name} ({', '.join(map(str, shape))}), float32; {of}, {front.rate} Hz",
        "outputs": "logits and probabilities (clips, classes), float32",
    }  # fmt: skip
    if net.front_end == "compressed-stft":
        facts |= {"frame": FRAME, "exponent": EXPONENT}
    return {key: str(value) for key, value in facts.items()}


def verify(
    model: bytes, net: Network, front_end: bool | str = False, tolerance: float = TOLERANCES["float32"]
) -> float:
    """Compare a model, run by onnxruntime, with the network that it was made of.

    Parameters
    ----------
    model : bytes
        An ONNX file's contents.
    net : network
    front_end : bool or str
        As it was exported.
    tolerance : float

    Returns
    -------
    float
        Largest difference between logits, relative to the largest logit (but at least 1), for noise of two
        lengths: one clip of the shortest, two that are three seconds longer; of waveforms, with a constant
        added, one that is repeated up to a window, two that are longer than one.

    Raises
    ------
    ImportError
        If onnxruntime is not installed.
    AcdrefError
        If onnxruntime cannot run the model, or the difference is above the tolerance.
    """
    import onnxruntime

    rng, front = np.random.default_rng(0), front_end_of(net)
    differences = []
    try:
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        name, shape = input_of(net, front_end)
        for clips, seconds in ((1, 0), (2, _SECONDS)):
            if front_end:
                samples = front.fewest(net.min_frames) + seconds * front.rate
                given = (0.1 + 0.1 * rng.standard_normal((clips, samples))).astype(np.float32)
                x = np.stack([front.window(clip, _WINDOW * front.rate) for clip in given])
            else:
                steps = net.min_frames + (front.steps(seconds * front.rate) if seconds else 0)
                given = x = rng.standard_normal((clips, steps, *shape[2:]), np.float32)
            expected, _ = net.forward(x)
            (found,) = session.run(["logits"], {name: given})
            differences.append(np.abs(found - expected).max() / max(1, np.abs(expected).max()))
    except Exception as error:  # what onnxruntime raises has no common type
        raise AcdrefError(f"onnxruntime cannot run the model: {' '.join(str(error).split())}") from None
    difference = float(np.max(differences))
    if not difference <= tolerance:
        raise AcdrefError(f"onnxruntime's logits are off by {difference:.1e}, more than {tolerance:g}")
    return difference


class _Graph:
    """Nodes and constants, as they come; a value is known by its name."""

    def __init__(self, precision: str = "float32") -> None:
        self.precision = precision
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, op: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Append a node with one output; returns the name of that, which is made up by default."""
        from onnx.helper import make_node

        output = output or f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(make_node(op, inputs, [output], **attributes))
        return output

    def constant(self, value: ArrayLike, dtype: DTypeLike = np.float32) -> str:
        """A constant array; returns its name."""
        from onnx.numpy_helper import from_array

        name = f"constant_{len(self.constants)}"
        self.constants.append(from_array(np.asarray(value, dtype, order="C"), name))
        return name

    def weight(self, value: NDArray, outputs: int = 0) -> str:
        """A constant of at least two axes in the graph's precision, `outputs` being that of the outputs;
        returns the name of its float32 form."""
        if self.precision == "float32":
            return self.constant(value)
        scale = None
        if self.precision == "int8":
            others = tuple(i for i in range(value.ndim) if i != outputs)
            largest = np.abs(value).max(axis=others, keepdims=True)
            scale = np.where(largest > 0, largest / 127, 1)
            value = np.rint(value / scale)
        elif np.abs(value).max() > np.finfo(np.float16).max:
            raise AcdrefError("a weight is too large for float16")
        # Not DequantizeLinear: onnxruntime then computes with products of int8, and less exactly.
        kept = self.add("Cast", self.constant(value, self.precision), to=1)  # TensorProto.FLOAT
        return kept if scale is None else self.add("Mul", kept, self.constant(scale))

    def integers(self, *values: int) -> str:
        """A constant list of integers; returns its name."""
        return self.constant(values, np.int64)

    def mean(self, x: str, *axes: int, keep: bool = False) -> str:
        """Mean over axes, one after the other: each sum is short, and so exact to float32.

        In one go onnxruntime loses four digits where a map is the same everywhere, as it is in silence.
        """
        for axis in sorted(axes, reverse=True):
            x = self.add("ReduceMean", x, self.integers(axis), keepdims=int(keep))
        return x


def _form(front_end):
    return FORMS[0] if front_end is True else front_end


def _front_end(graph, net, front_end, waveform):
    """What `FrontEnd.window` does; the STFT in float64, as there, and for the same reason."""
    from onnx import TensorProto

    form = _form(front_end)
    if form not in FORMS:
        raise AcdrefError(f"a front end is in a model as {' or '.join(FORMS)}, not as {form}")
    signal = graph.add("Cast", waveform, to=TensorProto.DOUBLE) if form == "stft" else waveform
    for _ in range(2):  # the second takes away what the first left by rounding, which silence shows
        signal = graph.add("Sub", signal, graph.add("ReduceMean", signal, graph.integers(1), keepdims=1))
    if form == "stft":
        signal = graph.add("Cast", signal, to=TensorProto.FLOAT)
    signal = _repeated(graph, signal, _WINDOW * front_end_of(net).rate)
    return _TRANSFORMS[net.front_end](graph, signal, form)


def _repeated(graph, signal, wanted):
    """Clips (N, n) again and again, up to so many samples; longer ones as they are."""
    samples = graph.add("Max", graph.add("Shape", signal, start=1), graph.integers(1))  # none divide by 0
    times = graph.add("Div", graph.add("Add", samples, graph.integers(wanted - 1)), samples)
    signal = graph.add("Tile", signal, graph.add("Concat", graph.integers(1), times, axis=0))
    end = graph.add("Max", samples, graph.integers(wanted))
    return graph.add("Slice", signal, graph.integers(0), end, graph.integers(1))


def _compressed(graph, signal, form):
    """:func:`acdref.features.features`."""
    spectra = _spectra(graph, signal, hann(FRAME), HOP, form)
    power = graph.add("ReduceSumSquare", spectra, graph.integers(-1), keepdims=1)
    power = graph.add("Max", power, graph.constant(POWER_FLOOR))
    return graph.add("Mul", spectra, graph.add("Pow", power, graph.constant((EXPONENT - 1) / 2)))


def _spectra(graph, signal, window, hop, form):
    """Fourier transforms of all whole windows, (N, T, bins, 2)."""
    from onnx import TensorProto

    if form == "stft":
        signal = graph.add("Cast", signal, to=TensorProto.DOUBLE)
        signal = graph.add("Unsqueeze", signal, graph.integers(-1))  # (N, samples, 1)
        frames = graph.constant(hop, np.int64), graph.constant(window, np.float64)
        return graph.add("Cast", graph.add("STFT", signal, *frames, onesided=1), to=TensorProto.FLOAT)
    # A filter for each part of each bin, made in float64 with the window in it: rounded once, then summed.
    steps = np.arange(len(window))
    waves = window * np.exp(-2j * np.pi / len(window) * np.outer(steps[: len(window) // 2 + 1], steps))
    filters = graph.constant(np.concatenate([waves.real, waves.imag])[:, None])  # (2 bins, 1, window)
    spectra = graph.add("Conv", graph.add("Unsqueeze", signal, graph.integers(1)), filters, strides=[hop])
    spectra = graph.add("Reshape", spectra, graph.integers(0, 2, len(waves), -1))  # (N, 2, bins, T)
    return graph.add("Transpose", spectra, perm=[0, 3, 2, 1])


_TRANSFORMS: dict[str, Callable[..., str]] = {
    "compressed-stft": _compressed,
    "waveform": lambda graph, signal, form: signal,
}
"""From the name of a front end to ``(graph, signal, form) -> features``, of prepared clips (N, samples)."""


def _network(graph, net, x):
    """Features to the graph's outputs."""
    logits = _walk(graph, net, net.layers, _as_map(graph, net, x))
    if net.front_end == "log-mel-patches":  # the layers took each patch for a clip
        shape = graph.add("Concat", graph.add("Shape", x, end=2), graph.integers(-1), axis=0)
        logits = graph.add("Reshape", logits, shape)  # (N, P, classes)
        logits = _mean_sigmoid(graph, net, None, logits)  # (N, classes)
    logits = graph.add("Identity", logits, output="logits")
    if net.output == "softmax":
        graph.add("Softmax", logits, axis=1, output="probabilities")
    else:
        graph.add("Sigmoid", logits, output="probabilities")


def _as_map(graph, net, x):
    """``net.as_map``, but to (N, C, T, F)."""
    if net.front_end == "compressed-stft":
        return graph.add("Transpose", x, perm=[0, 3, 1, 2])  # (N, 2, T, F)
    if net.front_end == "log-mel-patches":
        return graph.add("Reshape", x, graph.integers(-1, 1, net.config.frames, net.config.bins))
    if net.front_end == "waveform":
        return graph.add("Unsqueeze", x, graph.integers(1, 3))  # (N, 1, T, 1)
    return graph.add("Unsqueeze", x, graph.integers(1))  # (N, 1, T, F)


def _walk(graph, net, several, x):
    for layer in several:
        x = EXPORTERS[type(layer)](graph, net, layer, x)
    return x


def _conv(graph, net, layer, x):
    weight, bias = _affine(net, layer)
    weight = weight.transpose(3, 2, 0, 1)  # (out, in, kt, kf)
    x = graph.add(
        "Conv", x, graph.weight(weight), *map(graph.constant, bias),
        group=layer.inputs if layer.depthwise else 1,
        strides=layer.stride, pads=layer.padding * 2, dilations=layer.dilation,
    )  # fmt: skip
    slope = layer.slope(net)
    x = _activate(graph, layer.activation, x) if slope is None else _prelu(graph, x, slope)
    return _norm(graph, net, layer, x, (-1, 1, 1))


def _hidden(graph, net, layer, x):
    weight, bias = _affine(net, layer)
    x = graph.add("Gemm", x, graph.weight(weight[0, 0], 1), *map(graph.constant, bias))
    return _norm(graph, net, layer, _activate(graph, layer.activation, x), -1)


def _affine(net, layer):
    """Weight, and bias or nothing, with the normalisation folded in, unless it comes last."""
    if not layer.norm_last:
        weight, bias = layer.folded(net)
        return weight, [bias]
    return layer.weight(net), [layer.bias_of(net)] if layer.bias else []


def _norm(graph, net, layer, x, shape):
    if not layer.norm_last:
        return x
    scale, shift = (graph.constant(v.reshape(shape)) for v in layer.affine(net))
    return graph.add("Add", graph.add("Mul", x, scale), shift)


def _prelu(graph, x, slope):
    """``slope x + (1 - slope) relu(x)``, for a slope of either sign.

    ONNX has PRelu; but onnxruntime's took more time than all of the convolutions together.
    """
    slope = slope[:, None, None]
    negative = graph.add("Mul", x, graph.constant(slope))
    positive = graph.add("Mul", graph.add("Relu", x), graph.constant(1 - slope))
    return graph.add("Add", negative, positive)


def _activate(graph, activation, x):
    if activation == "relu6":
        return graph.add("Clip", x, graph.constant(0), graph.constant(6))
    return graph.add({"relu": "Relu", "elu": "Elu"}[activation], x) if activation else x


def _max_pool(graph, net, layer, x):
    strides, pads = layer.stride or layer.window, layer.padding * 2
    return graph.add("MaxPool", x, kernel_shape=layer.window, strides=strides, pads=pads)


def _residual(graph, net, layer, x):
    body, around = _walk(graph, net, layer.body, x), _walk(graph, net, layer.shortcut, x)
    return _activate(graph, layer.activation, graph.add("Add", body, around))


def _parameters(net, layer, *names):
    return [net.params[f"{layer.name}.{name}"] for name in names]


def _attention(graph, net, layer, x):
    def project(y, part):
        weight, bias = _parameters(net, layer, f"{part}.weight", f"{part}.bias")
        return graph.add("Conv", y, graph.weight(weight.T[:, :, None, None]), graph.constant(bias))

    y = _group_norm(graph, x, *_parameters(net, layer, "norm.gamma", "norm.beta"))
    q, k, v = (
        graph.add("Reshape", project(y, part), graph.integers(0, 0, -1)) for part in ("query", "key", "value")
    )  # (N, D, T F)
    if layer.kind == "separable":
        scores = graph.add("Softmax", q, axis=2)  # (N, 1, T F)
        context = graph.add("ReduceSum", graph.add("Mul", scores, k), graph.integers(2), keepdims=1)
        mixed = graph.add("Mul", graph.add("Relu", v), context)
    else:
        q, k = graph.add("Softmax", q, axis=1), graph.add("Softmax", k, axis=2)
        context = graph.add("MatMul", v, graph.add("Transpose", k, perm=[0, 2, 1]))  # (N, D_v, D_k)
        mixed = graph.add("MatMul", context, q)  # (N, D_v, T F)
    shape = graph.add("Concat", graph.integers(0, 0), graph.add("Shape", x, start=2), axis=0)
    mixed = graph.add("Reshape", mixed, shape)  # (N, D_v, T, F)
    return graph.add("Add", x, project(mixed, "out"))


def _group_norm(graph, x, gamma, beta):
    """One group: the mean and the variance of a whole map (N, C, T, F)."""
    y = graph.add("Sub", x, graph.mean(x, 1, 2, 3, keep=True))
    variance = graph.mean(graph.add("Mul", y, y), 1, 2, 3, keep=True)  # (N, 1, 1, 1)
    deviation = graph.add("Sqrt", graph.add("Add", variance, graph.constant(EPS)))
    scale = graph.add("Div", graph.constant(gamma[:, None, None]), deviation)  # (N, C, 1, 1)
    return graph.add("Add", graph.add("Mul", y, scale), graph.constant(beta[:, None, None]))


def _mean(graph, net, layer, x):
    x = graph.mean(x, *(axis + 1 for axis in layer.axes))
    # What frames have left is a vector each, which the layers behind want last.
    return graph.add("Transpose", x, perm=[0, 2, 1]) if layer.axes == (2,) else x  # (N, T, C)


def _dense(graph, net, layer, x):
    weight, bias = _parameters(net, layer, "weight", "bias")
    return graph.add("Add", graph.add("MatMul", x, graph.weight(weight, 1)), graph.constant(bias))


def _mean_sigmoid(graph, net, layer, x):
    """The logit of ``p = mean_t sigmoid(x_t)`` is ``log p - log(1 - p)``; log sigmoid(x) is -softplus(-x)."""
    logs = graph.add("Softplus", graph.add("Neg", x)), graph.add("Softplus", x)
    sums = (graph.add("ReduceLogSumExp", graph.add("Neg", y), graph.integers(1), keepdims=0) for y in logs)
    return graph.add("Sub", *sums)


EXPORTERS: dict[type[layers.Layer], Callable[..., str]] = {
    layers.Conv: _conv,
    layers.Hidden: _hidden,
    layers.Attention: _attention,
    layers.MaxPool: _max_pool,
    layers.Dropout: lambda graph, net, layer, x: x,
    layers.Residual: _residual,
    layers.Mean: _mean,
    layers.Flatten: lambda graph, net, layer, x: graph.add("Flatten", x),
    layers.Dense: _dense,
    layers.MeanSigmoid: _mean_sigmoid,
}
"""From a class of layers to ``(graph, net, layer, x) -> y``: adds nodes, returns the output's name."""
