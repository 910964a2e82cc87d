"""ACDnet as an ONNX model, for whoever runs networks with something else.

The model computes what ``predict_proba`` does, in float32, for any number of clips of any length::

    features (clips, frames, 257, 2)  or, with the front end,  waveform (clips, samples) at 16 kHz
        ->  logits (clips, classes), probabilities (clips, classes)

Batch normalisation is folded into the convolutions.  Inside, maps are (clips, channels, frames, bins), as
ONNX wants them.  The model's metadata say what its input and outputs mean: see :func:`metadata`.
"""

import json

import numpy as np

from acdref import __version__
from acdref.errors import AcdrefError
from acdref.features.compressed import BINS, EXPONENT, FRAME, HOP, POWER_FLOOR, SAMPLE_RATE, features
from acdref.files import replacing
from acdref.nets.acdnet import ACDNet
from acdref.nets.layers import Conv

OPSET = 18  # onnxruntime 1.14, 2023
IR_VERSION = 8  # of the same year
TOLERANCE = 1e-5  # of :func:`verify`
_GROUP_NORM_EPS = 1e-5


def export_onnx(path, net, classes, front_end=False):
    """Write a network as an ONNX file, once onnxruntime (where installed) has agreed with the network.

    Parameters
    ----------
    path : str or path-like
        An old file stays until the new one is complete.
    net : ACDNet
    classes : sequence of str
        Names of the outputs, in order.
    front_end : bool
        Put STFT and compression into the model: it takes 16 kHz waveforms (clips, samples) then.

    Returns
    -------
    float or None
        What :func:`verify` found; None where onnxruntime is not installed.

    Raises
    ------
    AcdrefError
        If the network is another than ACDnet, the package ``onnx`` is not installed, `classes` and the
        network's outputs differ in number, or onnxruntime does not agree.
    FileError
        If the file cannot be written.
    """
    model = onnx_model(net, classes, front_end).SerializeToString()
    try:
        difference = verify(model, net, front_end)
    except ImportError:
        difference = None
    with replacing(path) as temporary:
        temporary.write_bytes(model)
    return difference


def onnx_model(net, classes, front_end=False):
    """The model that :func:`export_onnx` writes, as ``onnx.ModelProto``; arguments and errors as there."""
    try:
        import onnx
    except ImportError:
        raise AcdrefError("the package onnx is not installed (pip install 'acdref[onnx]')") from None
    if not isinstance(net, ACDNet):
        raise AcdrefError("only ACDnet can be exported; these are weights of another network")
    config = net.config
    if len(classes) != config.classes:
        raise AcdrefError(f"{len(classes)} class names for a network with {config.classes} outputs")
    if front_end and (config.bins, config.inputs) != (BINS, 2):
        raise AcdrefError(f"the front end makes {BINS} bins, the network takes {config.bins}")
    float32 = onnx.TensorProto.FLOAT
    graph = _Graph()
    if front_end:
        name, shape = "waveform", ("clips", "samples")
        x = _front_end(graph, name)
    else:
        name, shape = "features", ("clips", "frames", config.bins, config.inputs)
        x = name
    _network(graph, net, x)
    tensor = onnx.helper.make_tensor_value_info
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            graph.nodes,
            "acdnet",
            [tensor(name, float32, shape)],
            [tensor(name, float32, ("clips", config.classes)) for name in ("logits", "probabilities")],
            initializer=graph.constants,
        ),
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="acdref",
        producer_version=__version__,
    )
    onnx.helper.set_model_props(model, metadata(net, classes))
    onnx.checker.check_model(model, full_check=True)
    return model


def metadata(net, classes):
    """What a user of the model has to know, as texts.

    Returns
    -------
    dict of str to str
        ``classes`` (a JSON list, in the order of the outputs), ``sample_rate`` (Hz), ``frame`` and ``hop``
        (samples), ``exponent`` (of the magnitudes), ``min_frames`` and ``min_samples`` (the shortest clip).

    Examples
    --------
    >>> from acdref.nets import ACDNet, ACDNetConfig
    >>> metadata(ACDNet(ACDNetConfig(classes=2)), ["cat", "dog"])["classes"]
    '["cat", "dog"]'
    """
    frames = net.config.min_frames
    return {
        "classes": json.dumps(list(classes)),
        "sample_rate": str(SAMPLE_RATE),
        "frame": str(FRAME),
        "hop": str(HOP),
        "exponent": str(EXPONENT),
        "min_frames": str(frames),
        "min_samples": str(_samples(frames)),
    }


def verify(model, net, front_end=False):
    """Compare a model, run by onnxruntime, with the network that it was made of.

    Parameters
    ----------
    model : bytes
        An ONNX file's contents.
    net : ACDNet
    front_end : bool
        As it was exported.

    Returns
    -------
    float
        Largest difference between logits, relative to the largest logit (but at least 1), for noise of two
        lengths: one clip of the shortest, two of another.

    Raises
    ------
    ImportError
        If onnxruntime is not installed.
    AcdrefError
        If onnxruntime cannot run the model, or the difference is above :data:`TOLERANCE`.
    """
    import onnxruntime

    rng = np.random.default_rng(0)
    config = net.config
    differences = []
    try:
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        for clips, frames in ((1, config.min_frames), (2, config.min_frames + 37)):
            if front_end:
                samples = (0.1 * rng.standard_normal((clips, _samples(frames) + 100))).astype(np.float32)
                inputs, x = {"waveform": samples}, features(samples)
            else:
                x = rng.standard_normal((clips, frames, config.bins, config.inputs), np.float32)
                inputs = {"features": x}
            expected, _ = net.forward(x)
            (found,) = session.run(["logits"], inputs)
            differences.append(np.abs(found - expected).max() / max(1, np.abs(expected).max()))
    except Exception as error:  # what onnxruntime raises has no common type
        raise AcdrefError(f"onnxruntime cannot run the model: {' '.join(str(error).split())}") from None
    difference = float(np.max(differences))
    if not difference <= TOLERANCE:
        raise AcdrefError(f"onnxruntime's logits are off by {difference:.1e}, more than {TOLERANCE:g}")
    return difference


def _samples(frames):
    """The fewest samples that make so many frames."""
    return FRAME + (frames - 1) * HOP


class _Graph:
    """Nodes and constants, as they come; a value is known by its name."""

    def __init__(self):
        self.nodes = []
        self.constants = []

    def add(self, op, *inputs, output=None, **attributes):
        """Append a node with one output; returns the name of that, which is made up by default."""
        from onnx.helper import make_node

        output = output or f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(make_node(op, inputs, [output], **attributes))
        return output

    def constant(self, value, dtype=np.float32):
        """A constant array; returns its name."""
        from onnx.numpy_helper import from_array

        name = f"constant_{len(self.constants)}"
        self.constants.append(from_array(np.ascontiguousarray(value, dtype), name))
        return name

    def integers(self, *values):
        """A constant list of integers; returns its name."""
        return self.constant(values, np.int64)


def _front_end(graph, waveform):
    """:func:`acdref.features.features`; the transform in float64 here too, and for the same reason."""
    from onnx import TensorProto

    signal = graph.add("Cast", waveform, to=TensorProto.DOUBLE)
    signal = graph.add("Unsqueeze", signal, graph.integers(-1))  # (N, samples, 1)
    window = 0.5 - 0.5 * np.cos(2 * np.pi / FRAME * np.arange(FRAME))
    spectra = graph.add(
        "STFT", signal, graph.constant(HOP, np.int64), graph.constant(window, np.float64), onesided=1
    )  # (N, T, bins, 2)
    spectra = graph.add("Cast", spectra, to=TensorProto.FLOAT)
    power = graph.add("ReduceSumSquare", spectra, graph.integers(-1), keepdims=1)
    power = graph.add("Max", power, graph.constant(POWER_FLOOR))
    return graph.add("Mul", spectra, graph.add("Pow", power, graph.constant((EXPONENT - 1) / 2)))


def _network(graph, net, x):
    """Features (N, T, F, 2) to the graph's outputs."""
    params = net.params
    folded = {
        layer.name: [
            a.reshape(params[f"{layer.name}.{key}"].shape)
            for key, a in zip(("weight", "bias"), layer.folded(net), strict=True)
        ]
        for layer in net.layers
        if isinstance(layer, Conv)
    }
    x = graph.add("Transpose", x, perm=[0, 3, 1, 2])  # (N, 2, T, F)
    weight, bias = folded["stem.conv"]
    x = _conv(graph, x, weight.transpose(3, 2, 0, 1), bias, reach=1)
    x = _prelu(graph, x, params["stem.conv_prelu.slope"])
    for number, block in enumerate(net.config.blocks, 1):
        name = f"block{number}"
        weight, bias = folded[f"{name}.depthwise"]
        weight = weight.transpose(2, 0, 1)[:, None]
        x = _conv(graph, x, weight, bias, reach=block.dilation, group=len(weight))
        x = _prelu(graph, x, params[f"{name}.depthwise_prelu.slope"])
        x = _pointwise(graph, x, *folded[f"{name}.pointwise"])
        x = _prelu(graph, x, params[f"{name}.pointwise_prelu.slope"])
        if block.attention:
            x = graph.add("Add", x, _attention(graph, net, x, f"{name}.attention"))
        x = graph.add("MaxPool", x, kernel_shape=block.pool, strides=block.pool)
    x = graph.add("ReduceMean", x, graph.integers(2), keepdims=0)  # (N, C, F)
    x = graph.add("Flatten", x)
    weight, bias = graph.constant(params["dense.weight"]), graph.constant(params["dense.bias"])
    logits = graph.add("Gemm", x, weight, bias, output="logits")
    graph.add("Sigmoid", logits, output="probabilities")


def _conv(graph, x, weight, bias, reach, group=1):
    """3x3, valid in time, same in frequency."""
    return graph.add(
        "Conv",
        x,
        graph.constant(weight),
        graph.constant(bias),
        dilations=[reach, reach],
        pads=[0, reach, 0, reach],
        group=group,
    )


def _pointwise(graph, x, weight, bias):
    """1x1; weight (in, out)."""
    return graph.add("Conv", x, graph.constant(weight.T[:, :, None, None]), graph.constant(bias))


def _prelu(graph, x, slope):
    """``slope x + (1 - slope) relu(x)``, for a slope of either sign.

    ONNX has PRelu; but onnxruntime's took more time than all of the convolutions together.
    """
    slope = slope[:, None, None]
    negative = graph.add("Mul", x, graph.constant(slope))
    positive = graph.add("Mul", graph.add("Relu", x), graph.constant(1 - slope))
    return graph.add("Add", negative, positive)


def _attention(graph, net, x, name):
    """The residual branch of a map (N, C, T, F)."""
    params = net.params

    def project(y, part):
        return _pointwise(graph, y, params[f"{name}.{part}.weight"], params[f"{name}.{part}.bias"])

    def flat(y):  # (N, D, T F)
        return graph.add("Reshape", y, graph.integers(0, 0, -1))

    y = _group_norm(graph, x, params[f"{name}.norm.gamma"], params[f"{name}.norm.beta"])
    q, k, v = (flat(project(y, part)) for part in ("query", "key", "value"))
    if net.config.attention == "separable":
        scores = graph.add("Softmax", q, axis=2)  # (N, 1, T F)
        context = graph.add("ReduceSum", graph.add("Mul", scores, k), graph.integers(2), keepdims=1)
        mixed = graph.add("Mul", graph.add("Relu", v), context)
    else:
        q, k = graph.add("Softmax", q, axis=1), graph.add("Softmax", k, axis=2)
        context = graph.add("MatMul", v, graph.add("Transpose", k, perm=[0, 2, 1]))  # (N, D_v, D_k)
        mixed = graph.add("MatMul", context, q)  # (N, D_v, T F)
    shape = graph.add("Concat", graph.integers(0, 0), graph.add("Shape", x, start=2), axis=0)
    return project(graph.add("Reshape", mixed, shape), "out")


def _group_norm(graph, x, gamma, beta):
    """One group: the mean and the variance of a whole map (N, C, T, F).

    Bins first, then frames, then channels: each sum is short, and so exact to float32.  In one go onnxruntime
    loses four digits where the map is the same everywhere, as it is in silence.
    """

    def mean(y):  # (N, 1, 1, 1)
        for axis in (3, 2, 1):
            y = graph.add("ReduceMean", y, graph.integers(axis))
        return y

    y = graph.add("Sub", x, mean(x))
    variance = graph.add("Add", mean(graph.add("Mul", y, y)), graph.constant(_GROUP_NORM_EPS))
    scale = graph.add(
        "Div", graph.constant(gamma[:, None, None]), graph.add("Sqrt", variance)
    )  # (N, C, 1, 1)
    return graph.add("Add", graph.add("Mul", y, scale), graph.constant(beta[:, None, None]))
