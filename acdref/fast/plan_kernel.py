"""A sequence of layers as a table of steps, and the kernel that works through it.

A step is a row of :data:`STEP`: a matrix product, a window that moves over a map (depthwise convolution,
pooling, mean), or the empty places around a map.  Everything lies in few arrays: `maps` holds all maps of all
layers, `weights` all parameters, and `tables` where each position of a map begins, so that a tile takes any
positions, across rows and clips, and a convolution is a product on the map itself.

Several threads may work through one table: each takes the next task of the present step, and goes on to the
next step when all are done.  Tasks are cut by shape and no sum is shared between them, so results do not
depend on the threads.
"""

import os
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from acdref.ops.kernel import compile_function
from acdref.ops.layout import LANES
from acdref.ops.microkernel import ROWS
from acdref.ops.vectors import TAPS, vector_code

PRODUCT, TAPS_3X3, LARGEST, MEAN, FRAME = range(5)
"""Kinds of step."""
CLIPPED, ELU, PRELU = range(3)
"""Activations: clipped to two bounds (ReLU and ReLU6, or none), or a pass over what is still in the cache."""

_FIELDS = (
    *("kind", "tasks"),  # a task is `block` of the `positions`, and a `share` of the channels
    *("positions", "block", "channels", "share"),
    *("a", "a_table", "z", "z_table", "c", "c_table"),  # input, what is added, output: in maps and tables
    *("b", "bias", "activation", "bounds", "slope"),  # in weights
    # The window: `groups` rows that lie `apart`, of `depth` numbers, or `depth` bins `reach` apart.
    *("groups", "depth", "apart", "reach"),
    *("rows", "row", "top", "side"),  # of a frame: rows of a clip and numbers in each, and empty ones around
)
STEP = np.dtype([(field, np.int64) for field in _FIELDS])
"""Where a step's arrays are, and its sizes."""

SLICE = 256
"""How much of a product's depth goes through together: 16 columns so deep stay in the nearest cache."""
_LINE = 8  # counters of 8 bytes in a cache line
_PATIENCE = 2**12  # looks at a counter


@intrinsic
def _add(typingctx, counters, i):
    """Add 1 to a counter that other threads see at once; its value before."""

    def codegen(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        place = builder.gep(data, [arguments[1]], source_etype=ir.IntType(64))
        return builder.atomic_rmw("add", place, ir.Constant(ir.IntType(64), 1), "seq_cst")

    return types.int64(counters, types.int64), codegen


@intrinsic
def _count(typingctx, counters, i):
    """A counter as other threads left it."""

    def codegen(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        place = builder.gep(data, [arguments[1]], source_etype=ir.IntType(64))
        return builder.load_atomic(place, "acquire", 8, typ=ir.IntType(64))

    return types.int64(counters, types.int64), codegen


@intrinsic
def _give_way(typingctx):
    """Let another thread have the core, where the system has a call for it."""

    def codegen(context, builder, signature, arguments):
        if os.name == "posix":
            kind = ir.FunctionType(ir.IntType(32), [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "sched_yield"), [])
        return context.get_dummy_value()

    return types.void(), codegen


def _entry(emit, tables, i):
    """A number of an integer array."""
    word = ir.IntType(64)
    return emit.builder.load(emit.builder.gep(tables, [i], source_etype=word), typ=word)


def _tile(rows):
    """C = clipped(bias + Z + A B) for so many positions and 16 columns, as a function that kernels call.

    `at` is where a, z, c, b, bias and the bounds are, `entries` where the tables of a, z and c are.
    """

    @vector_code
    def tile(emit, maps, weights, tables, at, entries, groups, depth, apart):
        builder = emit.builder
        a, z, c, b, bias, bounds = at

        def places(start, table):
            return [builder.add(start, _entry(emit, tables, emit.at(table, (row, 1)))) for row in range(rows)]

        starts = places(a, entries[0])
        bias = emit.load(weights, bias)
        totals = [emit.total(builder.fadd(emit.load(maps, place), bias)) for place in places(z, entries[1])]
        with emit.loop(groups) as group:
            first, group_start = builder.mul(group, depth), builder.mul(group, apart)
            with emit.loop(depth) as k:
                columns = emit.load(weights, emit.at(b, (builder.add(first, k), LANES)))
                along = builder.add(group_start, k)
                for start, total in zip(starts, totals, strict=True):
                    emit.multiply_add(emit.spread(maps, builder.add(start, along)), columns, total)
        lowest, highest = (emit.spread(weights, emit.at(bounds, (i, 1))) for i in range(2))
        for place, total in zip(places(c, entries[2]), totals, strict=True):
            # A NaN is neither larger nor smaller, and stays.
            v = emit.smaller(highest, emit.larger(lowest, emit.value(total)))
            emit.store(v, maps, place)

    return tile


_tile_whole = _tile(ROWS)
_tile_four = _tile(4)
_tile_one = _tile(1)


@vector_code
def _elu(emit, maps, tables, c, entry, positions):
    """ELU of 16 channels, in place."""
    with emit.loop(positions) as i:
        place = emit.builder.add(c, _entry(emit, tables, emit.builder.add(entry, i)))
        v = emit.load(maps, place)
        below = emit.builder.fsub(emit.exp(emit.smaller(emit.constant(0), v)), emit.constant(1))
        emit.store(emit.builder.select(emit.positive(v), v, below), maps, place)


@vector_code
def _prelu(emit, maps, weights, tables, slope, c, entry, positions):
    """PReLU of 16 channels, in place."""
    slope = emit.load(weights, slope)
    with emit.loop(positions) as i:
        place = emit.builder.add(c, _entry(emit, tables, emit.builder.add(entry, i)))
        emit.store(emit.prelu(emit.load(maps, place), slope), maps, place)


@vector_code(lanes=TAPS)
def _taps(emit, maps, weights, tables, at, entries, positions, apart, reach, channels):
    """Depthwise 3x3 convolution, clipped, of TAPS channels; `at` and `entries` as a tile's without z."""
    builder = emit.builder
    a, c, b, bias, bounds = at
    taps = [emit.load(weights, emit.at(b, (channels, place))) for place in range(9)]
    bias = emit.load(weights, bias)
    lowest, highest = (emit.spread(weights, emit.at(bounds, (i, 1))) for i in range(2))
    with emit.loop(positions) as i:
        start = builder.add(a, _entry(emit, tables, builder.add(entries[0], i)))
        total = bias
        for row in range(3):
            for column in range(3):
                seen = emit.load(maps, emit.at(start, (apart, row), (reach, column)))
                total = emit.fma(seen, taps[3 * row + column], total)
        total = emit.smaller(highest, emit.larger(lowest, total))
        emit.store(total, maps, builder.add(c, _entry(emit, tables, builder.add(entries[1], i))))


def _windows(combine, begin, finish):
    """16 channels of a pool over windows at any positions, as a function that kernels call."""

    @vector_code
    def pool(emit, maps, tables, at, entries, positions, window):
        builder = emit.builder
        (a, c), (groups, depth, apart, reach) = at, window
        count = emit.splat(builder.sitofp(builder.mul(groups, depth), emit.element))
        with emit.loop(positions) as i:
            start = builder.add(a, _entry(emit, tables, builder.add(entries[0], i)))
            total = emit.total(begin(emit, maps, start))
            with emit.loop(groups) as group:
                row = emit.total(begin(emit, maps, start))
                with emit.loop(depth) as k:
                    seen = emit.load(maps, emit.at(start, (group, apart), (k, reach)))
                    emit.set(row, combine(emit, emit.value(row), seen))
                emit.set(total, combine(emit, emit.value(total), emit.value(row)))
            place = builder.add(c, _entry(emit, tables, builder.add(entries[1], i)))
            emit.store(finish(emit, emit.value(total), count), maps, place)

    return pool


_largest = _windows(
    lambda emit, a, b: emit.maximum(a, b),
    lambda emit, maps, start: emit.load(maps, start),
    lambda emit, total, count: total,
)
_mean = _windows(
    lambda emit, a, b: emit.builder.fadd(a, b),
    lambda emit, maps, start: emit.constant(0),
    lambda emit, total, count: emit.builder.fdiv(total, count),
)


@compile_function(part=True)
def _panel(maps, weights, tables, at, entries, count, groups, depth, apart):
    """A tile after the other, for `count` positions and 16 columns."""
    i = 0
    while i < count:
        rest = count - i
        here = entries[0] + i, entries[1] + i, entries[2] + i
        if rest >= ROWS and (ROWS == 8 or not 8 <= rest < 10):
            _tile_whole(maps, weights, tables, at, here, groups, depth, apart)
            i += ROWS
        elif rest >= 4:
            _tile_four(maps, weights, tables, at, here, groups, depth, apart)
            i += 4
        else:
            _tile_one(maps, weights, tables, at, here, groups, depth, apart)
            i += 1


@compile_function(part=True)
def _product(step, first, count, j, maps, weights, tables):
    """16 columns from j on of a convolution at `count` positions: slice by slice of its depth."""
    groups, depth, apart = step.groups, step.depth, step.apart
    together = max(1, min(groups, SLICE // depth))  # of short rows, several at a time
    deep = -(-depth // max(1, -(-depth // SLICE)))
    a_entry, c_entry = step.a_table + first, step.c_table + first
    z, z_entry, bias = step.z + j, step.z_table + first, step.bias + j
    c, panel = step.c + j, step.b + j * groups * depth
    for group in range(0, groups, together):
        for k in range(0, depth, deep):
            last = group + together >= groups and k + deep >= depth
            # Only behind the last slice it is clipped; weights begin with zeros, and bounds without end.
            bounds = step.bounds if last else LANES
            at = step.a + group * apart + k, z, c, panel + (group * depth + k) * LANES, bias, bounds
            shape = min(together, groups - group), min(deep, depth - k), apart
            _panel(maps, weights, tables, at, (a_entry, z_entry, c_entry), count, *shape)
            z, z_entry, bias = c, c_entry, 0
    if step.activation == ELU:
        _elu(maps, tables, c, c_entry, count)
    elif step.activation == PRELU:
        _prelu(maps, weights, tables, step.slope + j, c, c_entry, count)


@compile_function(part=True)
def _positions(step, task, maps, weights, tables):
    """A task of a step that is cut by positions and channels."""
    shares = -(-step.channels // step.share)
    first, start = task // shares * step.block, task % shares * step.share
    count, stop = min(step.block, step.positions - first), min(start + step.share, step.channels)
    a_entry, c_entry = step.a_table + first, step.c_table + first
    if step.kind == PRODUCT:
        for j in range(start, stop, LANES):
            _product(step, first, count, j, maps, weights, tables)
    elif step.kind == TAPS_3X3:
        for j in range(start, stop, TAPS):
            at = step.a + j, step.c + j, step.b + j, step.bias + j, step.bounds
            shape = step.apart, step.reach, step.channels
            _taps(maps, weights, tables, at, (a_entry, c_entry), count, *shape)
        for j in range(start, stop if step.activation == PRELU else start, LANES):
            _prelu(maps, weights, tables, step.slope + j, step.c + j, c_entry, count)
        for j in range(start, stop if step.activation == ELU else start, LANES):
            _elu(maps, tables, step.c + j, c_entry, count)
    else:
        window = step.groups, step.depth, step.apart, step.reach
        for j in range(start, stop, LANES):
            at = step.a + j, step.c + j
            if step.kind == LARGEST:
                _largest(maps, tables, at, (a_entry, c_entry), count, window)
            else:
                _mean(maps, tables, at, (a_entry, c_entry), count, window)


@compile_function(part=True)
def _frame(step, clip, maps, weights):
    """Fill what is around a clip's map: rows above and below, numbers on both sides of each row."""
    fill, size = weights[step.bounds], step.rows * step.row
    start = step.c + clip * size
    above, below = start + step.top * step.row, start + size - step.top * step.row
    maps[start:above] = fill
    maps[below : start + size] = fill
    if step.side:
        for first in range(above, below, step.row):
            maps[first : first + step.side] = fill
            maps[first + step.row - step.side : first + step.row] = fill


@compile_function
def work(steps, maps, weights, tables, counters):
    """Work through a table of steps, perhaps beside other threads that do the same.

    Parameters
    ----------
    steps : (S,) array of STEP
    maps, weights : flat arrays of one float dtype
        Weights begin with 16 zeros, and -inf and inf.
    tables : flat int64 array
    counters : (16 S,) int64 array, zero at first
        Tasks that were begun, and done, of each step.
    """
    for s in range(len(steps)):
        step, begun, done = steps[s], 2 * s * _LINE, (2 * s + 1) * _LINE
        while True:
            task = _add(counters, begun)
            if task >= step.tasks:
                break
            if step.kind == FRAME:
                _frame(step, task, maps, weights)
            else:
                _positions(step, task, maps, weights, tables)
            _add(counters, done)
        spins = 0
        while _count(counters, done) < step.tasks:
            spins += 1
            if spins % _PATIENCE == 0:  # on a busy machine, the other thread may be waiting for this core
                _give_way()


def counters(steps: Any) -> Any:
    """What :func:`work` counts in, for one run."""
    return np.zeros(2 * _LINE * len(steps), np.int64)
