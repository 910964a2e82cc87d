"""Weights as kernels want them, and their gradients as the network has them."""

from numpy.typing import NDArray

from acdref.ops.layout import packed, padded


def matrix(weight: NDArray) -> NDArray:
    """A weight whose last axis is the output channel as a matrix: of a 3x3 window, (9 C_in, C_out)."""
    return weight.reshape(-1, weight.shape[-1])


def arranged(name: str, weight: NDArray, bias: NDArray) -> tuple[NDArray, NDArray]:
    """Weight and bias of the layer `name` as kernels want them.

    Channels are padded with zeros to whole vectors; matrices are packed, depthwise weights flat.
    """
    weight = padded(matrix(weight), (0, 1) if name.endswith("pointwise") else (1,))
    return weight.reshape(-1) if name.endswith("depthwise") else packed(weight), padded(bias)


def store(params: dict[str, NDArray], grads: dict[str, NDArray], name: str, **found: NDArray) -> None:
    """Store gradients of a layer's parameters, without what only filled vectors, shaped as these are."""
    for key, value in found.items():
        param = params[f"{name}.{key}"]
        rows, columns = matrix(param).shape
        value = matrix(value)[:rows, :columns]
        grads[f"{name}.{key}"] = value.reshape(param.shape).astype(param.dtype)
