"""The matrix product of all 1x1 convolutions, as a register tile with explicit vectors.

One tile computes ``C[i, j] = Z[i, j] + sum_k A[i, k] B[k, j]`` for ROWS (or 4, or 1) rows i and 16 columns j.
The matrices are parts of flat arrays of one dtype; with each of them travels where it is, in elements:

* ``a = (array, first, row, depth)``: its first element, the distance of rows, and that along the depth.  Both
  may be any number, so that the same tile serves x W, dy W^T and x^T dy.
* ``z`` and ``c = (array, first, row)``; in z, rows that are 0 apart add one row of biases.
* ``b`` is packed, by :func:`acdref.ops.layout.packed`.
* ``shape = (rows, depth, columns)`` of the product.

The depth may be cut into `groups` that lie `apart` in A, so that the tile serves a small convolution on the
map itself: a group is a row of the window.
"""

from acdref.ops.kernel import compile_function
from acdref.ops.layout import LANES
from acdref.ops.vectors import target_has, vector_code

BLOCK = 96  # rows of A that stay in the cache while all columns of B pass; a multiple of every tile height
ROWS = 8 if target_has("avx512f") else 6  # 8 keep both units of AVX-512 busy, 6 are what 16 registers hold


def _tile(rows):
    """The tile of so many rows, as a function that kernels call, for rows from i and columns from j on.

    What lies `ahead` elements behind the rows of A is asked for, if rows follow each other: it will be read
    soon, and may be far away.  0 asks for nothing new.
    """

    @vector_code
    def tile(emit, a, b, z, c, i, j, depth, groups, apart, ahead):
        builder = emit.builder
        (a, a0, a_row, a_depth), (z, z0, z_row), (c, c0, c_row) = a, z, c
        a0, z0, c0 = emit.at(a0, (i, a_row)), emit.at(z0, (i, z_row), (j, 1)), emit.at(c0, (i, c_row), (j, 1))
        b0 = builder.mul(builder.mul(j, groups), depth)
        for row in range(rows):  # of the next tile but one
            emit.prefetch(c, emit.at(c0, (c_row, 2 * rows + row)), write=True)
        totals = [emit.total(emit.load(z, emit.at(z0, (z_row, row)))) for row in range(rows)]
        starts = [emit.at(a0, (a_row, row)) for row in range(rows)]
        with emit.loop(groups) as group:
            first, group_start = builder.mul(group, depth), builder.mul(group, apart)
            with emit.loop(depth) as k:
                columns = emit.load(b, emit.at(b0, (builder.add(first, k), LANES)))
                along = emit.at(group_start, (k, a_depth))
                emit.prefetch(a, emit.at(builder.add(a0, ahead), (k, rows)))
                for start, total in zip(starts, totals, strict=True):
                    emit.multiply_add(emit.spread(a, builder.add(start, along)), columns, total)
        for row, total in enumerate(totals):
            emit.store(emit.value(total), c, emit.at(c0, (c_row, row)))

    return tile


tile = _tile(ROWS)
tile_four = _tile(4)  # the fewest rows that keep both units busy
tile_row = _tile(1)


@vector_code
def pack_panel(emit, x, x0, x_row, rows, y, y0):
    """Put 16 columns of `rows` rows one after the other."""
    with emit.loop(rows) as i:
        emit.store(emit.load(x, emit.at(x0, (i, x_row))), y, emit.at(y0, (i, LANES)))


@compile_function
def panels(a, b, z, c, shape, groups, apart, ahead):
    """C = Z + A B for whole panels of 16 columns; A's depth comes in `groups` of the depth in `shape`."""
    rows, depth, columns = shape
    for block in range(0, rows, BLOCK):
        stop = min(block + BLOCK, rows)
        for j in range(0, columns - LANES + 1, LANES):
            i = block
            while i < stop:
                rest = stop - i
                if rest >= ROWS and (ROWS == 8 or not 8 <= rest < 10):
                    tile(a, b, z, c, i, j, depth, groups, apart, ahead)
                    i += ROWS
                elif rest >= 4:  # 8 and 9 rows are two of these, not a tile and single rows
                    tile_four(a, b, z, c, i, j, depth, groups, apart, ahead)
                    i += 4
                else:
                    tile_row(a, b, z, c, i, j, depth, groups, apart, ahead)
                    i += 1


@compile_function(part=True)
def panel_product(a, b, z, c, shape):
    """C = Z + A B for whole panels of 16 columns."""
    panels(a, b, z, c, shape, 1, 0, 0)


@compile_function
def product(a, b, z, c, shape):
    """:func:`panel_product` for any number of columns."""
    panels(a, b, z, c, shape, 1, 0, 0)
    (a, a0, a_row, a_depth), (z, z0, z_row), (c, c0, c_row) = a, z, c
    rows, depth, columns = shape
    j = columns // LANES * LANES
    for i in range(rows):
        for column in range(j, columns):
            total = z[z0 + i * z_row + column]
            for k in range(depth):
                total += a[a0 + i * a_row + k * a_depth] * b[j * depth + k * LANES + column - j]
            c[c0 + i * c_row + column] = total


@compile_function
def pack_rows(b, b0, depth, columns, packed):
    """Write `depth` rows of a flat row-major matrix, from element b0 on, as panels of 16 columns."""
    full = columns // LANES
    for panel in range(full):
        pack_panel(b, b0 + panel * LANES, columns, depth, packed, panel * depth * LANES)
    for k in range(depth if full * LANES < columns else 0):
        source, target = b0 + k * columns + full * LANES, (full * depth + k) * LANES
        for lane in range(columns - full * LANES):
            packed[target + lane] = b[source + lane]


@compile_function
def weight_gradient(x, dy, start, stop, shape, piece, packed, dweight, dbias):
    """Add x^T dy to dweight and sum dy to dbias, over positions [start, stop); `packed` is scratch.

    `shape` is (depth, columns), dweight's.
    """
    depth, columns = shape
    for first in range(start, stop, piece):
        count = min(piece, stop - first)
        pack_rows(dy, first * columns, count, columns, packed)
        for p in range(first, first + count):
            for j in range(columns):
                dbias[j] += dy[p * columns + j]
        total = dweight, 0, columns
        product((x, first * depth, 1, depth), packed, total, total, (depth, count, columns))
