"""Any network's layers at inference: laid out once for a shape, and run by one call of a compiled kernel.

:func:`run` cuts a sequence of layers into stretches that :mod:`acdref.fast.plan_kernel` knows and layers that
run by themselves.  Of a stretch are kept, until the network's weights change, the weights as the kernel wants
them, normalisation folded in, and each :class:`Plan`: where each map of a batch of some shape lies, and the
table of steps.

Sums are in the same order for any batch and number of threads.
"""

import itertools
import os
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from acdref.fast import plan_kernel as kernels
from acdref.fast.kept import kept
from acdref.fast.tasks import scratch
from acdref.nets.layers import Conv, Dense, Dropout, Layer, MaxPool, Mean, Residual
from acdref.ops import threads
from acdref.ops.conv2d import STEP, Geometry, Pair
from acdref.ops.layout import LANES, packed, padded, whole
from acdref.ops.memory import aligned

# Numbers in the largest map of the clips that go through together; in maps that a thread keeps; tasks of a
# step at least; positions of a product's task, and numbers of a window's; plans of a stretch that are kept.
_TOGETHER, _KEPT, _TASKS, _BLOCK, _NUMBERS, _PLANS = 2**22, 2**24, 16, 96, 2**13, 6
_BOUNDS = {"relu": (0.0, np.inf), "relu6": (0.0, 6.0)}


class Op(NamedTuple):
    """A layer as a step: maps are numbers, 0 the input.  A window of 0 is an axis as a whole."""

    kind: int
    layer: Layer
    source: int
    result: int
    window: Pair = (1, 1)
    geometry: Geometry = STEP
    added: int | None = None
    activation: str | None = None


def run(layers: Sequence[Layer], net: Any, x: NDArray) -> NDArray:
    """The output of layers at inference, as :func:`acdref.nets.layers.forward` gives it."""
    for stretch in kept(net, layers, _cut):
        x = stretch.run(net, x)
    return x


def _cut(layers, net):
    """Stretches of steps, as long as can be, and layers that run by themselves."""
    found, ops = [], _Ops()
    for layer in layers:
        if not ops.take(layer):
            found += [Stretch(ops.found, net)] if ops.found else []
            found.append(_Single(layer))
            ops = _Ops()
    return [*found, Stretch(ops.found, net)] if ops.found else found


class _Single(NamedTuple):
    """A layer that runs by itself."""

    layer: Layer

    def run(self, net, x):
        return self.layer.inference(net)(x)


class _Unknown(Exception):
    """A layer that the kernel has no steps for."""


class _Ops:
    """Layers that become steps, one after the other."""

    def __init__(self):
        self.found, self._maps, self._last = list[Op](), itertools.count(1), 0

    def take(self, layer):
        """Append a layer if it can become steps; whether it can."""
        before = len(self.found)
        try:
            self._last = self._append(layer, self._last)
        except _Unknown:
            del self.found[before:]
            return False
        return True

    def _append(self, layer, source, added=None, activation=None):
        """Append a layer that reads a map; the map that it writes."""
        if isinstance(layer, Dropout):
            return source
        if isinstance(layer, Residual):
            return self._append_residual(layer, source)
        if isinstance(layer, Conv):
            kind, window, geometry = kernels.PRODUCT, layer.size, layer.geometry
            if layer.depthwise:
                kind = kernels.TAPS_3X3
            known = window == (3, 3) if layer.depthwise else geometry.dilation[1] == 1
            if layer.norm_last or not known:
                raise _Unknown
            activation = activation or layer.activation
        elif isinstance(layer, Dense):
            kind, window, geometry = kernels.PRODUCT, (1, 1), STEP
        elif isinstance(layer, MaxPool):
            kind, window = kernels.LARGEST, layer.window
            geometry = Geometry(layer.stride or window, layer.padding)
        elif isinstance(layer, Mean):
            kind, window, geometry = kernels.MEAN, tuple(int(axis not in layer.axes) for axis in (1, 2)), STEP
        else:
            raise _Unknown
        result = next(self._maps)
        self.found.append(Op(kind, layer, source, result, window, geometry, added, activation))
        return result

    def _append_residual(self, layer, source):
        *body, last = layer.body
        known = all(isinstance(part, Conv | Dropout) for part in (*layer.body, *layer.shortcut))
        if not known or not isinstance(last, Conv) or last.depthwise or last.activation:
            raise _Unknown
        around = inner = source
        for part in layer.shortcut:
            around = self._append(part, around)
        for part in body:
            inner = self._append(part, inner)
        return self._append(last, inner, around, layer.activation)


class Stretch:
    """Steps, with the weights and the plans that are kept of them."""

    def __init__(self, ops: list[Op], net: Any):
        self._ops = ops
        self._weights, self._at = _packed(ops, net)
        self._plans: dict[tuple, Plan] = {}
        self._lock = threading.Lock()

    def run(self, net: Any, x: NDArray) -> NDArray:
        """The last map, without the axes that are gone."""
        gone = {2: (1, 2), 3: (2,), 4: ()}[x.ndim]
        maps = np.expand_dims(x, gone)  # (N, T, F, C)
        together, parts = max(1, _TOGETHER // self._plan(maps[:1]).largest), []
        for first in range(0, len(x), together):
            part = maps[first : first + together]
            parts.append(self._plan(part).run(self._weights, part))  # (n, T', F', C')
        y = parts[0] if len(parts) == 1 else np.concatenate(parts)  # (N, T', F', C')
        for op in self._ops:
            gone += op.layer.axes if isinstance(op.layer, Mean) else ()
        return y.squeeze(gone)  # (N, ..., C')

    def _plan(self, x):
        key = (*x.shape, x.dtype)
        with self._lock:
            plan = self._plans.pop(key, None) or Plan(self._ops, self._at, x.shape)
            self._plans[key] = plan  # the last used is last
            while len(self._plans) > _PLANS:
                del self._plans[next(iter(self._plans))]
        return plan


def _packed(ops, net):
    """Weights of some steps as the kernel wants them, flat, and where each step's are.

    They begin with 16 zeros, -inf and inf; a step may have ``b``, ``bias``, ``bounds`` and ``slope``.
    """
    dtype = net.params[next(iter(net.params))].dtype
    found: list[dict[str, NDArray]] = [{} for _ in ops]
    exact = _exact(ops)
    threads.run(lambda i: found[i].update(_arrays(ops[i], net, exact)), len(ops))
    start = np.zeros(2 * LANES, dtype)
    start[LANES : LANES + 2] = -np.inf, np.inf
    parts, size, at = [start], len(start), list[dict[str, int]]()
    for arrays in found:
        at.append({})
        for name, array in arrays.items():
            at[-1][name] = size
            parts.append(padded(array.ravel()))
            size += len(parts[-1])
    flat = aligned((size,), dtype)
    return np.concatenate(parts, out=flat), at


def _exact(ops):
    """Whether the input's channels are as they come: only products read it."""
    return all(op.kind == kernels.PRODUCT for op in ops if op.source == 0) and all(
        op.added != 0 for op in ops
    )


def _arrays(op, net, exact):
    """A step's weights: normalisation folded in, channels filled up, matrices packed."""
    if op.kind not in (kernels.PRODUCT, kernels.TAPS_3X3):
        return {}
    layer, found = op.layer, {}
    if isinstance(layer, Dense):
        weight, bias = net.params[f"{layer.name}.weight"][None, None], net.params[f"{layer.name}.bias"]
    else:
        weight, bias = layer.folded(net)  # (kt, kf, in, out), (out,)
        if op.activation == "prelu":
            found["slope"] = padded(layer.slope(net))
    if op.kind == kernels.TAPS_3X3:
        found["b"] = padded(weight)
    else:
        weight = weight if exact and op.source == 0 else padded(weight, (2,))
        found["b"] = packed(weight.reshape(-1, weight.shape[-1]))  # (kt kf in, out)
    found["bias"] = padded(bias)
    if op.activation in _BOUNDS:
        found["bounds"] = np.array(_BOUNDS[op.activation], weight.dtype)
    return found


class _Map(NamedTuple):
    """A map's frames, bins and channels, the empty places on each side of it, and the channels that count."""

    sizes: Pair
    pad: Pair
    channels: int
    real: int

    @property
    def row(self):
        """Numbers from row to row."""
        return (self.sizes[1] + 2 * self.pad[1]) * self.channels

    @property
    def rows(self):
        """Rows of a clip."""
        return self.sizes[0] + 2 * self.pad[0]

    @property
    def size(self):
        """Numbers of a clip."""
        return self.rows * self.row


class Plan:
    """Maps and steps for a batch (N, T, F, C) of some shape.

    Attributes
    ----------
    largest : int
        Numbers in the largest map of a clip.
    """

    def __init__(self, ops: list[Op], at: list[dict[str, int]], shape: tuple[int, ...]):
        self._clips, self._ops = shape[0], ops
        self._maps = _maps(ops, shape)
        self.largest = max(m.size for m in self._maps)
        self._first, self._size = _placed(ops, [shape[0] * m.size for m in self._maps])
        self._most = max(m.channels for m in self._maps)
        self._first = [self._most + first for first in self._first]
        self._tables, self._entries, self._filled = list[NDArray](), dict[tuple, int](), 0
        steps = [step for op, places in zip(ops, at, strict=True) for step in self._steps(op, places)]
        names = kernels.STEP.names or ()
        rows = [tuple(step.get(name, 0) for name in names) for step in steps]
        self._rows = np.array(rows, kernels.STEP)
        self._table = np.concatenate(self._tables)

    def run(self, weights: NDArray, x: NDArray) -> NDArray:
        """The last map, (N, T', F', C')."""
        size = self._most + self._size
        maps = scratch("plan", (size,), x.dtype) if size <= _KEPT else aligned((size,), x.dtype)
        maps[: self._most] = 0
        given = self._view(maps, 0)
        given[...] = -np.inf if _fill(self._ops, 0) else 0
        (pt, pf), (rows, bins) = self._maps[0].pad, self._maps[0].sizes
        inside = given[:, pt : pt + rows, pf : pf + bins]
        inside[...] = 0
        inside[..., : x.shape[3]] = x
        arguments = self._rows, maps, weights, self._table, kernels.counters(self._rows)
        workers = min(threads.get_threads(), os.cpu_count() or 1)
        threads.run(lambda _: kernels.work(*arguments), workers)
        return self._view(maps, -1)[..., : self._maps[-1].real].copy()

    def _view(self, maps, number):
        """A map with what is around it, (N, T + 2 pad, F + 2 pad, C)."""
        m, first = self._maps[number], self._first[number]
        shape = self._clips, m.rows, -1, m.channels
        return maps[first : first + self._clips * m.size].reshape(shape)

    def _steps(self, op, at):
        """The rows of the table for a step: before a map is written, what is around it."""
        source, result, (st, sf) = self._maps[op.source], self._maps[op.result], op.geometry.dilation
        step = {"kind": op.kind, "c": self._first[op.result], "a": self._first[op.source], "bounds": LANES}
        step |= at
        step["activation"] = {"elu": kernels.ELU, "prelu": kernels.PRELU}.get(op.activation, kernels.CLIPPED)
        step["positions"] = positions = self._clips * result.sizes[0] * result.sizes[1]
        step["channels"] = result.channels
        step["a_table"] = self._entry(source, op.geometry, result.sizes)
        step["c_table"] = self._entry(result, STEP, result.sizes)
        kt, kf = _window(op, source.sizes)
        step |= {"groups": kt, "depth": kf, "apart": st * source.row, "reach": sf * source.channels}
        if op.kind == kernels.PRODUCT:
            step["depth"] = kf * source.channels
            if step["depth"] == step["apart"]:  # rows follow each other
                step["groups"], step["depth"] = 1, kt * step["depth"]
            step["z_table"] = self._zeros(positions)
            if op.added is not None:
                step["z"] = self._first[op.added]
                step["z_table"] = self._entry(self._maps[op.added], STEP, result.sizes)
        block = _BLOCK if op.kind == kernels.PRODUCT else max(1, _NUMBERS // result.channels)
        blocks = -(-positions // block)
        panels = result.channels // LANES
        step["block"], step["share"] = block, -(-panels // min(panels, -(-_TASKS // blocks))) * LANES
        step["tasks"] = blocks * -(-result.channels // step["share"])
        return [*self._frame(op.result, result), step]

    def _frame(self, number, m):
        """The step that fills what is around a map."""
        if m.pad == (0, 0):
            return []
        place = {"c": self._first[number], "bounds": _fill(self._ops, number), "row": m.row, "rows": m.rows}
        around = {"top": m.pad[0], "side": m.pad[1] * m.channels}
        return [{"kind": kernels.FRAME, "tasks": self._clips} | place | around]

    def _entry(self, m, geometry, sizes):
        """Where a table begins of the places of a window on a map."""
        key = m, geometry, sizes
        if key not in self._entries:
            t, f = (
                np.arange(count) * stride + pad - padding
                for count, stride, pad, padding in zip(
                    sizes, geometry.stride, m.pad, geometry.padding, strict=True
                )
            )
            clips = np.arange(self._clips)[:, None, None] * m.size
            table = clips + t[:, None] * m.row + f * m.channels  # (N, T', F')
            self._append(key, table.ravel())
        return self._entries[key]

    def _zeros(self, positions):
        if positions not in self._entries:
            self._append(positions, np.zeros(positions, np.int64))
        return self._entries[positions]

    def _append(self, key, table):
        self._entries[key] = self._filled
        self._tables.append(table.astype(np.int64))
        self._filled += len(table)


def _window(op, sizes):
    """A step's window on a map of so many frames and bins."""
    return tuple(window or size for window, size in zip(op.window, sizes, strict=True))


def _fill(ops, number):
    """Where in the weights is what fills the places around a map: zero, or -inf where a pool sees them."""
    return LANES * any(op.kind == kernels.LARGEST for op in ops if op.source == number)


def _maps(ops, shape):
    """All maps, from the input's on."""
    real = shape[3]
    maps = [_Map(shape[1:3], (0, 0), real if _exact(ops) else whole(real), real)]
    for op in ops:
        source = maps[op.source]
        pad = tuple(map(max, zip(source.pad, op.geometry.padding, strict=True)))
        maps[op.source] = source._replace(pad=pad)
        real = source.real if op.kind in (kernels.LARGEST, kernels.MEAN) else op.layer.outputs
        sizes = op.geometry.sizes((1, *source.sizes), _window(op, source.sizes))
        maps.append(_Map(sizes, (0, 0), whole(real), real))
    return maps


def _placed(ops, sizes):
    """Where each map lies, so that those of one time do not overlap; and the size of it all."""
    last = [max((i for i, op in enumerate(ops) if number in (op.source, op.added)), default=len(ops))
            for number in range(len(sizes))]  # fmt: skip
    sizes, first, living = list(map(whole, sizes)), list[int](), list[int]()
    for number, size in enumerate(sizes):
        living = [other for other in living if last[other] >= number - 1]
        start = 0
        for other in sorted(living, key=lambda other: first[other]):
            if start + size <= first[other]:
                break
            start = max(start, first[other] + sizes[other])
        first.append(start)
        living.append(number)
    return first, max(a + b for a, b in zip(first, sizes, strict=True))
