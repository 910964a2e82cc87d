"""ONNX graphs through onnxruntime; whatever is wrong with one is said in one line."""

import os
import re
from collections.abc import Sequence
from os import PathLike
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from acdref.errors import AcdrefError, TeacherError
from acdref.files import patient

_DTYPES = {f"tensor({name})": name for name in ("float16", "double", "int64", "int32", "bool")}
_DTYPES["tensor(float)"] = "float32"  # NumPy's float is a double

_NO_GRAPHS = {
    b"version https://git-lfs": "a Git LFS pointer, not the model itself (git lfs pull fetches it)",
    (b"<!doctype", b"<html", b"<?xml"): "a web page, not the model (the download failed)",
    b"{": "JSON text, not an ONNX model",
    b"pk": "a zip archive (a torch checkpoint?), not an ONNX model",
}
"""How other files begin, in lower case, and what they are."""


class Graph:
    """An ONNX graph, run on one core.

    Parameters
    ----------
    path : str or path-like

    Attributes
    ----------
    path : str
    inputs : dict of str to (dtype name, shape)
        What the graph declares; a shape has None where any size fits.
    outputs : tuple of str

    Raises
    ------
    AcdrefError
        If onnxruntime is not installed.
    TeacherError
        If the file is no graph that it can run.
    """

    def __init__(self, path: str | PathLike) -> None:
        ort = runtime()
        self.path = os.fspath(path)
        problem = _problem(self.path)
        if problem:
            raise TeacherError(self.path, problem)
        options = ort.SessionOptions()
        # With more threads the last bits of some graphs depend on how many. Several threads may run a graph.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(self.path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's exceptions have no common base
            raise TeacherError(self.path, _load_problem(error, ort)) from None
        self.inputs = {
            node.name: (node.type, tuple(d if isinstance(d, int) else None for d in node.shape))
            for node in self._session.get_inputs()
        }
        self.outputs = tuple(node.name for node in self._session.get_outputs())

    def run(self, outputs: Sequence[str], feed: dict[str, NDArray]) -> list[NDArray]:
        """Run the graph.

        Parameters
        ----------
        outputs : sequence of str
        feed : dict of str to ndarray
            Of these, what the graph declares is fed, as the dtype that it declares.

        Returns
        -------
        list of ndarray

        Raises
        ------
        TeacherError
            If the run fails, or gives values that are not finite.
        """
        feed = {name: feed[name].astype(_DTYPES[kind], copy=False) for name, (kind, _) in self.inputs.items()}
        try:
            results = self._session.run(list(outputs), feed)
        except Exception as error:
            raise TeacherError(self.path, f"does not run: {_reason(error)}") from None
        for name, values in zip(outputs, results, strict=True):
            if not np.isfinite(values).all():
                raise TeacherError(self.path, f"gives {name} with values that are not finite")
        return results

    def embeds(self, name: str, feed: dict[str, NDArray]) -> NDArray:
        """Embeddings of a batch.

        Parameters
        ----------
        name : str
            Of the output that has them, see :meth:`output`.
        feed : dict of str to (B, ...) ndarray

        Returns
        -------
        (B, D) array

        Raises
        ------
        TeacherError
            If the run fails, or gives something else.
        """
        name, count = self.output(name), len(next(iter(feed.values())))
        (embeds,) = self.run([name], feed)
        if embeds.ndim != 2 or len(embeds) != count:
            raise TeacherError(self.path, f"gives {name} of shape {embeds.shape}, not ({count}, D)")
        return embeds

    def check(self, shapes: dict) -> None:
        """Refuse a graph whose inputs are not those that acdref can feed.

        Parameters
        ----------
        shapes : dict of str to (shape, required)
            Inputs that are supported, with the shape that they will be fed (None: any size), and whether
            the graph must have them.

        Raises
        ------
        TeacherError
            Naming what the graph declares and what is supported.
        """
        wanted = ", ".join(f"{name} {_shape(shape)}" for name, (shape, _) in shapes.items())
        declared = ", ".join(f"{name} {kind} {_shape(shape)}" for name, (kind, shape) in self.inputs.items())
        fits = all(required <= (name in self.inputs) for name, (_, required) in shapes.items())
        for name, (kind, shape) in self.inputs.items():
            fits = fits and name in shapes and kind in _DTYPES and _compatible(shape, shapes[name][0])
        if not fits:
            raise TeacherError(self.path, f"declares the inputs {declared}, but acdref feeds {wanted}")

    def output(self, name: str) -> str:
        """The output that has a name, or else the only one."""
        if name in self.outputs:
            return name
        if len(self.outputs) == 1:
            return self.outputs[0]
        raise TeacherError(self.path, f"has no output {name} (its outputs: {', '.join(self.outputs)})")


def runtime() -> ModuleType:
    """The module onnxruntime; AcdrefError if it cannot be imported."""
    try:
        import onnxruntime
    except ImportError as error:
        absent = isinstance(error, ModuleNotFoundError)
        cause = "is not installed" if absent else f"cannot be imported ({error})"
        raise AcdrefError(f"onnxruntime {cause}: pip install 'acdref[teacher]'") from None
    return onnxruntime


def _problem(path):
    """What, by its first bytes, is wrong with a file that should be a graph; or None."""
    if os.path.isdir(path):
        return "a directory, not an ONNX model"
    try:
        with open(path, "rb", opener=patient) as file:
            head = file.read(512)
    except OSError as error:
        return (error.strerror or str(error)).lower()
    if not head:
        return "an empty file"
    start = head.lstrip().lower()
    return next((cause for begins, cause in _NO_GRAPHS.items() if start.startswith(begins)), None)


def _load_problem(error, ort):
    reason = _reason(error)
    kind = type(error).__name__
    version = ort.__version__
    if kind == "InvalidProtobuf":
        return "no ONNX model, or cut short (it is not the protobuf that it should be)"
    if "opset" in reason.lower() or "IR version" in reason:
        return f"made with a newer ONNX than onnxruntime {version} knows: {reason}"
    if "external data" in reason.lower() or ("External" in reason and "data" in reason):
        return f"its external data file is missing or does not fit: {reason}"
    if kind == "InvalidGraph" or "is not a registered function/op" in reason:
        return f"has an operator that onnxruntime {version} does not know: {reason}"
    return f"onnxruntime {version} cannot load it: {reason}"


def _reason(error):
    """onnxruntime's message in one line, without its codes and without source files."""
    text = " ".join(str(error).split())
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : (?:Load model from .* failed: ?)?", "", text)
    return re.sub(r"\S+\.(?:cc|h):\d+ \S+(?: \[.*?\])? ?", "", text)[:300].rstrip(". ")


def _shape(shape):
    return "(" + ", ".join("?" if d is None else str(d) for d in shape) + ")"


def _compatible(declared, fed):
    if len(declared) != len(fed):
        return False
    return all(None in (a, b) or a == b for a, b in zip(declared, fed, strict=True))
