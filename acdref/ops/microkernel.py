"""The matrix product of all 1x1 convolutions, as a register tile with explicit vectors.

One tile computes ``C[i, j] = Z[i, j] + sum_k A[i, k] B[k, j]`` for ROWS (or 1) rows i and 16 columns j.  Rows
and depth of A have any stride, so the same tile serves x W, dy W^T and x^T dy.
"""

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from acdref.ops.kernel import compile_function
from acdref.ops.vectors import LANES, Emitter, host_has

BLOCK = 96  # rows of A that stay in the cache while all columns of B pass; a multiple of every tile height
ROWS = 8 if host_has("avx512f") else 6  # 8 keep both units of AVX-512 busy, 6 are what 16 registers hold


def _tile(rows):
    """The intrinsic ``tile(a, a0, a_row, a_depth, b, b0, z, z0, z_row, c, c0, c_row, depth)``.

    a, b, z, c are flat arrays of one dtype; a0, b0, z0, c0 offsets of the tile's first element; *_row and
    a_depth strides in elements; b is packed, 16 numbers for each k.  ``z_row = 0`` adds one row of biases.
    """

    @intrinsic
    def tile(typingctx, a, a0, a_row, a_depth, b, b0, z, z0, z_row, c, c0, c_row, depth):
        n = types.intp
        signature = types.void(a, n, n, n, b, n, z, n, n, c, n, n, n)

        def codegen(context, builder, signature, args):
            a, a0, a_row, a_depth, b, b0, z, z0, z_row, c, c0, c_row, depth = args
            emit = Emitter(context, builder, signature.args[0].dtype)
            a, b, z, c = (emit.data(signature.args[i], args[i]) for i in (0, 4, 6, 9))

            def row(start, stride, i):
                return builder.add(start, builder.mul(ir.Constant(start.type, i), stride))

            totals = [emit.total(emit.load(z, row(z0, z_row, i))) for i in range(rows)]
            starts = [row(a0, a_row, i) for i in range(rows)]
            with cgutils.for_range(builder, depth) as loop:
                columns = emit.load(b, row(b0, loop.index, LANES))
                along = builder.mul(loop.index, a_depth)
                for start, total in zip(starts, totals, strict=True):
                    emit.multiply_add(emit.spread(a, builder.add(start, along)), columns, total)
            for i, total in enumerate(totals):
                emit.store(emit.value(total), c, row(c0, c_row, i))
            return context.get_dummy_value()

        return signature, codegen

    return tile


tile = _tile(ROWS)
tile_row = _tile(1)


@compile_function
def product(a, a0, a_row, a_depth, b, z, z0, z_row, c, c0, c_row, rows, depth, columns):
    """C = Z + A B for `rows` x `depth` times `depth` x `columns`; b is packed, the rest strided."""
    full = columns // LANES
    left = columns - full * LANES
    for block in range(0, rows, BLOCK):
        stop = min(block + BLOCK, rows)
        for panel in range(full):
            b0 = panel * depth * LANES
            j = panel * LANES
            i = block
            while i + ROWS <= stop:
                tile(
                    a, a0 + i * a_row, a_row, a_depth, b, b0,
                    z, z0 + i * z_row + j, z_row, c, c0 + i * c_row + j, c_row, depth,
                )  # fmt: skip
                i += ROWS
            while i < stop:
                tile_row(
                    a, a0 + i * a_row, a_row, a_depth, b, b0,
                    z, z0 + i * z_row + j, z_row, c, c0 + i * c_row + j, c_row, depth,
                )  # fmt: skip
                i += 1
        if left:
            b0 = full * depth * LANES
            j = full * LANES
            for i in range(block, stop):
                for column in range(left):
                    total = z[z0 + i * z_row + j + column]
                    for k in range(depth):
                        total += a[a0 + i * a_row + k * a_depth] * b[b0 + k * LANES + column]
                    c[c0 + i * c_row + j + column] = total


@compile_function
def weight_gradient(x, dy, start, stop, depth, columns, piece, packed, dweight, dbias):
    """Add x^T dy to dweight and sum dy to dbias, over positions [start, stop); `packed` is scratch."""
    for first in range(start, stop, piece):
        count = min(piece, stop - first)
        for p in range(count):
            for j in range(columns):
                value = dy[(first + p) * columns + j]
                packed[((j // LANES) * count + p) * LANES + j % LANES] = value
                dbias[j] += value
        product(
            x, first * depth, 1, depth, packed, dweight, 0, columns,
            dweight, 0, columns, depth, count, columns,
        )  # fmt: skip


def pack(b):
    """(K, M) -> flat panels of 16 columns, [column panel][k][16], the last panel filled with zeros."""
    depth, columns = b.shape
    panels = -(-columns // LANES)
    packed = np.zeros((panels, depth, LANES), b.dtype)
    for panel in range(panels):
        part = b[:, panel * LANES : (panel + 1) * LANES]
        packed[panel, :, : part.shape[1]] = part
    return packed.reshape(-1)
