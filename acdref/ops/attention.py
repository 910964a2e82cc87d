"""Attention whose cost grows linearly with the number of positions P.

Both kinds take y (N, P, C), one row for each of a clip's positions (time and frequency flattened), and a dict
of parameters; they return their output and what the backward pass needs.  Normalisation before and the
residual connection after belong to the network.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from acdref.matmul import matmul
from acdref.ops import threads
from acdref.ops.batch import WHOLE, Batch
from acdref.ops.norm import group_statistics, scale_and_shift
from acdref.ops.pointwise import pointwise, pointwise_input_gradient, pointwise_weight_gradient
from acdref.ops.softmax import (
    softmax_channels,
    softmax_channels_backward,
    softmax_positions,
    softmax_positions_backward,
)

_STRIP = 2**16  # numbers of a map that NumPy attends to together


def linear_attention(
    y: NDArray, params: dict[str, NDArray], *, backend: str = "numpy"
) -> tuple[NDArray, tuple]:
    """Efficient attention: keys summarise all positions, queries read the summary.

    Parameters
    ----------
    y : (N, P, C) array
    params : dict
        ``query``, ``key``, ``value``: ``.weight`` (C, D), ``.bias`` (D,); ``out``: ``.weight`` (D, C),
        ``.bias`` (C,).
    backend : {"numpy", "numba"}

    Returns
    -------
    out : (N, P, C) array
    tape : tuple
        For :func:`linear_attention_backward`.

    Notes
    -----
    ``q = softmax_channels(y W_q + b_q)``, ``k = softmax_positions(y W_k + b_k)``, ``v = y W_v + b_v``,
    ``context = k^T v`` (D x D for each clip), ``out = (q context) W_o + b_o``.
    """
    q = softmax_channels(_project(y, params, "query", backend))
    k = softmax_positions(_project(y, params, "key", backend))
    v = _project(y, params, "value", backend)
    context = _contexts(k, v)  # (N, D, D)
    mixed = _per_clip(q, context)  # (N, P, D)
    return _project(mixed, params, "out", backend), (q, k, v, context)


def attended(x: NDArray, gamma: NDArray, beta: NDArray, params: dict[str, NDArray]) -> NDArray:
    """``x + linear_attention(group_norm(x))`` at inference, a few positions at a time, in NumPy.

    Parameters
    ----------
    x : (N, T, F, C) array
    gamma, beta : (C,) arrays
        Of :func:`acdref.ops.norm.group_norm`.
    params : dict
        Of :func:`linear_attention`.

    Returns
    -------
    (N, T, F, C) array

    Notes
    -----
    The normalisation, a scale and a shift once its statistics are known, goes into the projections.  A
    softmax is blind to a constant, so keys need no bias; and it sums to 1.  So ``k^T (y W_v + b_v)`` is
    ``(k^T y) W_v + b_v``, which spares all positions their values, and ``(q context) W_o + b_o`` is
    ``q (context W_o + b_o)``.
    """
    y = np.empty(x.shape, x.dtype)
    for clip, out, *statistics in zip(x, y, *group_statistics(x), strict=True):
        flat, flat_out = (a.reshape(-1, x.shape[-1]) for a in (clip, out))  # (P, C)
        _attend(flat, scale_and_shift(gamma, beta, statistics), params, flat_out)
    return y


def _attend(x, affine, params, out):
    scale, shift = affine
    query, key = (scale[:, None] * params[f"{name}.weight"] for name in ("query", "key"))  # (C, D)
    strips = [slice(*cut) for cut in threads.cuts(len(x), -(-x.size // _STRIP))]
    top: Any = -np.inf  # of each channel of the keys, as far as seen: sums are of exponentials relative to it
    total, seen = np.zeros(key.shape[1]), np.zeros(key.shape[::-1], x.dtype)  # (D,), (D, C)
    for strip in strips:
        k = matmul(x[strip], key)  # (p, D)
        before, top = top, np.maximum(top, k.max(0))
        k = np.exp(k - top)
        less = np.exp(before - top)
        total = less * total + k.sum(0, dtype=np.float64)
        seen = less[:, None] * seen + matmul(k.T, x[strip])
    y = scale * (seen / total[:, None]).astype(x.dtype) + shift  # (D, C): what each key sees of all positions
    mixed = _project(_project(y, params, "value", "numpy"), params, "out", "numpy")  # (D, C)
    bias = params["query.bias"] + matmul(shift[None], params["query.weight"])[0]  # (D,)
    for strip in strips:
        q = softmax_channels(pointwise(x[strip], query, bias))  # (p, D)
        np.add(x[strip], matmul(q, mixed), out=out[strip])


def linear_attention_backward(
    dout: NDArray,
    y: NDArray,
    params: dict[str, NDArray],
    tape: tuple,
    *,
    backend: str = "numpy",
    batch: Batch = WHOLE,
) -> tuple[NDArray, dict[str, NDArray]]:
    """Gradients (dy, grads) of :func:`linear_attention`; grads has the keys of `params`."""
    q, k, v, context = tape
    grads: dict[str, NDArray] = {}
    mixed = _per_clip(q, context)  # cheaper to make again than to keep
    dmixed = _project_backward(dout, mixed, params, "out", grads, (backend, batch))
    dcontext = _contexts(q, dmixed)
    dq = _per_clip(dmixed, _transposed(context))
    dk = _per_clip(v, _transposed(dcontext))
    dv = _per_clip(k, dcontext)
    dq = softmax_channels_backward(dq, q)
    dk = softmax_positions_backward(dk, k)
    dy: Any = None
    for name, dz in (("query", dq), ("key", dk), ("value", dv)):
        dy = _project_backward(dz, y, params, name, grads, (backend, batch), dy)
    return dy, grads


def separable_attention(
    y: NDArray, params: dict[str, NDArray], *, backend: str = "numpy"
) -> tuple[NDArray, tuple]:
    """MobileViTv2's separable self-attention: one score for each position, one context vector for a clip.

    Parameters
    ----------
    y : (N, P, C) array
    params : dict
        ``query.weight`` (C, 1), ``key.weight`` and ``value.weight`` (C, D), ``out.weight`` (D, C); a
        ``.bias`` each.
    backend : {"numpy", "numba"}

    Returns
    -------
    out, tape : as :func:`linear_attention`

    Notes
    -----
    ``s = softmax_positions(y W_q + b_q)``, ``context = sum_p s_p key_p``,
    ``out = (relu(value) * context) W_o + b_o``.
    """
    s = softmax_positions(_project(y, params, "query", backend))  # (N, P, 1)
    k = _project(y, params, "key", backend)
    v = _project(y, params, "value", backend)
    context = _contexts(s, k)  # (N, 1, D)
    mixed = np.maximum(v, 0) * context
    return _project(mixed, params, "out", backend), (s, k, v, context)


def separable_attention_backward(
    dout: NDArray,
    y: NDArray,
    params: dict[str, NDArray],
    tape: tuple,
    *,
    backend: str = "numpy",
    batch: Batch = WHOLE,
) -> tuple[NDArray, dict[str, NDArray]]:
    """Gradients (dy, grads) of :func:`separable_attention`; grads has the keys of `params`."""
    s, k, v, context = tape
    grads: dict[str, NDArray] = {}
    mixed = np.maximum(v, 0) * context
    dmixed = _project_backward(dout, mixed, params, "out", grads, (backend, batch))
    dcontext = (dmixed * np.maximum(v, 0)).sum(1, keepdims=True)
    dv = np.where(v > 0, dmixed * context, 0)
    dk = s * dcontext
    ds = (k * dcontext).sum(-1, keepdims=True)
    ds = softmax_positions_backward(ds, s)
    dy: Any = None
    for name, dz in (("query", ds), ("key", dk), ("value", dv)):
        dy = _project_backward(dz, y, params, name, grads, (backend, batch), dy)
    return dy, grads


def _project(y, params, name, backend):
    return pointwise(y, params[f"{name}.weight"], params[f"{name}.bias"], backend=backend)


def _project_backward(dz, y, params, name, grads, how, dy=None):
    """Store the projection's gradients; return its part of dy, added to `dy` if that is given."""
    backend, batch = how
    found = pointwise_weight_gradient(dz, y, backend=backend, batch=batch)
    grads[f"{name}.weight"], grads[f"{name}.bias"] = found
    return pointwise_input_gradient(dz, params[f"{name}.weight"], dy, backend=backend)


def _contexts(a, b):
    """a^T b for each clip: (N, P, D), (N, P, E) -> (N, D, E)."""
    return np.stack([matmul(clip_a.T, clip_b) for clip_a, clip_b in zip(a, b, strict=True)])  # (N, D, E)


def _per_clip(a, matrix):
    """Each clip times a matrix of its own: (N, P, D), (N, D, E) -> (N, P, E)."""
    return np.stack([matmul(clip, weight) for clip, weight in zip(a, matrix, strict=True)])  # (N, P, E)


def _transposed(matrix):
    return np.ascontiguousarray(matrix.swapaxes(1, 2))  # (N, E, D)


ATTENTION = {
    "linear": (linear_attention, linear_attention_backward),
    "separable": (separable_attention, separable_attention_backward),
}
"""Forward and backward by name."""
