"""Explicit vectors of 16 numbers for kernels: what LLVM would not find in a loop by itself.

LLVM maps a vector to one AVX-512, two AVX2 or four NEON registers (twice as many in float64).

This file and those that use it import Numba at their head, because an intrinsic must exist before a kernel
that uses it compiles; they are themselves imported only when their first kernel runs.
"""

import contextlib
import functools
import math
import re
from collections.abc import Callable

from llvmlite import binding, ir
from numba.core import cgutils, types
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from acdref.ops.layout import LANES

# Taylor's series of exp(r), highest power first: for |r| <= ln(2) / 2 its relative error is 5e-9.
_EXP_COEFFICIENTS = [1 / math.factorial(n) for n in range(7, -1, -1)]
# Bytes of decoded instructions that a processor keeps and hands out together.
_CODE_LINE = 64
# Adding 1.5 * 2^23 rounds a float32 to a whole number and leaves that number in the lowest bits; with 127
# more, these are the exponent of that power of two.
_ROUNDER = 12582912.0 + 127
_LN2_HIGH, _LN2_LOW = 0.693145751953125, 1.428606765330187e-06
# The lowest's power of two, -127, has the exponent 0: it is 0.
_EXP_LOWEST, _EXP_HIGHEST = -88.0, 88.0


# What a target's code holds if the target has a feature, by LLVM's name of it.
_SIGNS = {
    "avx512f": r"vfmadd.*zmm",
    "avx2": r"vpadd.*[yz]mm",
    "fma": r"vfmadd|\bfmla",
    "neon": r"\bfmla",
}
_PROBE = """
declare <16 x float> @llvm.fma.v16f32(<16 x float>, <16 x float>, <16 x float>)
define <16 x float> @f(<16 x float> %a, <16 x float> %b, <16 x float> %c) {
  %d = call <16 x float> @llvm.fma.v16f32(<16 x float> %a, <16 x float> %b, <16 x float> %c)
  ret <16 x float> %d
}
define <16 x i32> @g(<16 x i32> %a, <16 x i32> %b) {
  %c = add <16 x i32> %a, %b
  ret <16 x i32> %c
}
"""


@functools.cache
def _code():
    """What becomes of vectors on the processor that Numba compiles for, NUMBA_CPU_NAME's maybe."""
    # Its name and list of features, which may be empty, do not say what it has; the code for it does.
    return cpu_target.target_context.codegen()._tm.emit_assembly(binding.parse_assembly(_PROBE))


def target_has(feature: str) -> bool:
    """Whether the processor that Numba compiles for has avx512f, avx2, fma or neon."""
    return re.search(_SIGNS[feature], _code()) is not None


TAPS = 16 if target_has("avx512f") else 8
"""Numbers in a vector where nine weights have to stay in registers."""


def vector_code(write: Callable | None = None, *, lanes: int = LANES) -> Callable:
    """Decorator: a function that kernels call, of instructions that ``write(emit, *arguments)`` writes there.

    `emit` is an :class:`Emitter` for the dtype of the first array.  Arrays reach `write` as pointers to their
    first elements, tuples as lists of what is in them, all else as integers.  Nothing is returned.
    """
    if write is None:
        return functools.partial(vector_code, lanes=lanes)

    @intrinsic
    @functools.wraps(write)
    def function(typingctx, *kinds):
        signature = types.void(*map(_argument, kinds))
        dtype = next(kind.dtype for kind in _flat(kinds) if isinstance(kind, types.Array))

        def codegen(context, builder, signature, arguments):
            emit = Emitter(context, builder, dtype, lanes)
            write(emit, *map(emit.argument, signature.args, arguments))
            return context.get_dummy_value()

        return signature, codegen

    return function


def _argument(kind):
    """The Numba type as which an argument of that type is passed."""
    if isinstance(kind, types.BaseTuple):
        return types.BaseTuple.from_types([_argument(part) for part in kind])
    return kind if isinstance(kind, types.Array) else types.intp


def _flat(kinds):
    for kind in kinds:
        yield from _flat(kind) if isinstance(kind, types.BaseTuple) else [kind]


class Emitter:
    """Writes vector instructions into a function that Numba compiles.

    Parameters
    ----------
    context, builder
        As an intrinsic's code generator gets them.
    dtype : Numba float type
    lanes : int
        Numbers in a vector.
    """

    def __init__(self, context, builder, dtype, lanes=LANES):
        self.context, self.builder, self.lanes = context, builder, lanes
        self.element = context.get_value_type(dtype)
        self.vector = ir.VectorType(self.element, lanes)
        self.single = isinstance(self.element, ir.FloatType)
        self.integers = ir.VectorType(ir.IntType(dtype.bitwidth), self.lanes)
        self.alignment = dtype.bitwidth // 8

    def argument(self, kind, value):
        """An argument of Numba type `kind` as :func:`vector_code` hands it over."""
        if isinstance(kind, types.BaseTuple):
            return list(map(self.argument, kind, cgutils.unpack_tuple(self.builder, value)))
        return self.data(kind, value) if isinstance(kind, types.Array) else value

    def data(self, kind, array):
        """Pointer to the first element of an array argument of Numba type `kind`."""
        return self.context.make_array(kind)(self.context, self.builder, array).data

    def at(self, start, *steps):
        """``start + sum of a * b over steps (a, b)``: an offset.  Numbers known now may be plain ints."""
        for count, stride in steps:
            if isinstance(count, int):
                count = start.type(count)
            if isinstance(stride, int):
                stride = start.type(stride)
            start = self.builder.add(start, self.builder.mul(count, stride))
        return start

    def place(self, data, offset):
        """Pointer to an element, as it stands: LLVM derives no other pointers from it in advance.

        Left to itself it keeps a running pointer for each load of a loop, and runs out of registers.
        """
        pointer = self.builder.gep(data, [offset], source_etype=self.element)
        same = ir.InlineAsm(ir.FunctionType(pointer.type, [pointer.type]), "", "=r,0")
        return self.builder.call(same, [pointer])

    @contextlib.contextmanager
    def loop(self, count):
        """What is written in the ``with`` block is repeated `count` times; gives the index."""
        with cgutils.for_range(self.builder, count) as loop:
            yield loop.index
            last = self.builder.basic_block
        # Else its place among the processor's lines is chance: that of the same code, compiled or loaded.
        module = self.builder.module
        align = module.add_metadata(["llvm.loop.align", ir.IntType(32)(_CODE_LINE)])
        node = module.add_metadata([align, ir.IntType(32)(len(module.metadata))])
        node.operands = node, align  # as LLVM wants it, a loop's node begins with itself
        last.terminator.set_metadata("llvm.loop", node)

    def _pointer(self, data, offset):
        element = self.builder.gep(data, [offset], source_etype=self.element)
        return self.builder.bitcast(element, self.vector.as_pointer())

    def load(self, data, offset):
        """A vector of numbers from `offset` (in elements) on."""
        value = self.builder.load(self._pointer(data, offset), typ=self.vector)
        value.align = self.alignment
        return value

    def store(self, value, data, offset):
        """Store a vector from `offset` on."""
        self.builder.store(value, self._pointer(data, offset)).align = self.alignment

    def prefetch(self, data, offset, write=False):
        """Ask for the cache line that holds an element, which may lie beyond the array's end."""
        byte, number = ir.IntType(8), ir.IntType(32)
        function = self.builder.module.declare_intrinsic(
            "llvm.prefetch",
            [byte.as_pointer()],
            ir.FunctionType(ir.VoidType(), [byte.as_pointer(), *[number] * 3]),
        )
        place = self.builder.gep(data, [offset], source_etype=self.element)
        kind = number(int(write)), number(3), number(1)  # to all levels of the cache, that of data
        self.builder.call(function, [self.builder.bitcast(place, byte.as_pointer()), *kind])

    def spread(self, data, offset):
        """One number of an array in every lane."""
        return self.splat(
            self.builder.load(self.builder.gep(data, [offset], source_etype=self.element), typ=self.element)
        )

    def splat(self, scalar):
        """A scalar in every lane: a number, or an integer as wide as the numbers."""
        undefined = ir.Constant(ir.VectorType(scalar.type, self.lanes), ir.Undefined)
        first = self.builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
        return self.builder.shuffle_vector(first, undefined, self._numbers([0] * self.lanes))

    @staticmethod
    def _numbers(numbers):
        return ir.Constant(ir.VectorType(ir.IntType(32), len(numbers)), list(numbers))

    def constant(self, number):
        """A number known now, in every lane."""
        return ir.Constant(self.vector, [float(number)] * self.lanes)

    def fma(self, a, b, c):
        """a b + c, rounded once where the processor can."""
        if not target_has("fma"):  # `llvm.fma` would call a slow routine
            return self.builder.fadd(self.builder.fmul(a, b), c)
        signature = ir.FunctionType(self.vector, (self.vector,) * 3)
        name = f"llvm.fma.v{self.lanes}{'f32' if self.single else 'f64'}"
        function = cgutils.get_or_insert_function(self.builder.module, signature, name)
        return self.builder.call(function, (a, b, c))

    def multiply_add(self, a, b, total):
        """total += a b, for a total from :meth:`total`."""
        self.set(total, self.fma(a, b, self.value(total)))

    def add(self, a, total):
        """total += a."""
        self.set(total, self.builder.fadd(self.value(total), a))

    def total(self, start):
        """A running value that begins with `start` and lives in a register."""
        variable = cgutils.alloca_once(self.builder, self.vector)
        self.builder.store(start, variable)
        return variable

    def integer_total(self):
        """:meth:`total` for integers, as wide as the numbers, that begin with 0."""
        variable = cgutils.alloca_once(self.builder, self.integers)
        self.builder.store(ir.Constant(self.integers, [0] * self.lanes), variable)
        return variable

    def value(self, total):
        """A running value's present value."""
        return self.builder.load(total, typ=total.allocated_type)

    def set(self, total, value):
        """Give a running value another value."""
        self.builder.store(value, total)

    def positive(self, v):
        """Whether v > 0, for ``builder.select``."""
        return self.builder.fcmp_ordered(">", v, self.constant(0))

    def prelu(self, v, slope):
        """v where v > 0, slope v elsewhere (NaN stays)."""
        return self.builder.fmul(v, self.builder.select(self.positive(v), self.constant(1), slope))

    def larger(self, a, b):
        """a where a > b, b elsewhere, also where either is NaN: one instruction."""
        return self.builder.select(self.builder.fcmp_ordered(">", a, b), a, b)

    def smaller(self, a, b):
        """a where a < b, b elsewhere, also where either is NaN: one instruction."""
        return self.builder.select(self.builder.fcmp_ordered("<", a, b), a, b)

    def maximum(self, a, b):
        """The larger of each pair; NaN where either is NaN."""
        # The two orders differ only where one is NaN, or by the sign of 0: a NaN's ones survive the or.
        bits = (self.builder.bitcast(v, self.integers) for v in (self.larger(a, b), self.larger(b, a)))
        return self.builder.bitcast(self.builder.or_(*bits), self.vector)

    def across(self, combine, v):
        """One number from those of a vector, by halves: ``combine`` is fadd's or :meth:`larger`'s kind."""
        undefined = ir.Constant(self.vector, ir.Undefined)
        half = self.lanes // 2
        while half:
            low, high = (
                self.builder.shuffle_vector(v, undefined, self._numbers(range(start, start + half)))
                for start in (0, half)
            )
            v, undefined = combine(low, high), ir.Constant(low.type, ir.Undefined)
            half //= 2
        return self.builder.extract_element(v, ir.Constant(ir.IntType(32), 0))

    def exp(self, v):
        """exp(v) to 1e-7 in float32 (0 below -87.7, for softmax), the C library's in float64; NaN stays."""
        builder = self.builder
        if not self.single:
            signature = ir.FunctionType(self.element, (self.element,))
            function = cgutils.get_or_insert_function(builder.module, signature, "llvm.exp.f64")
            result = v
            for lane in range(self.lanes):
                index = ir.Constant(ir.IntType(32), lane)
                one = builder.call(function, (builder.extract_element(v, index),))
                result = builder.insert_element(result, one, index)
            return result
        bounded = self.larger(self.constant(_EXP_LOWEST), self.smaller(self.constant(_EXP_HIGHEST), v))
        shifted = self.fma(bounded, self.constant(1 / math.log(2)), self.constant(_ROUNDER))
        whole = builder.fsub(shifted, self.constant(_ROUNDER))
        rest = self.fma(whole, self.constant(-_LN2_HIGH), bounded)
        rest = self.fma(whole, self.constant(-_LN2_LOW), rest)
        power = self.constant(_EXP_COEFFICIENTS[0])
        for coefficient in _EXP_COEFFICIENTS[1:]:
            power = self.fma(power, rest, self.constant(coefficient))
        exponent = ir.Constant(self.integers, [23] * self.lanes)
        scale = builder.shl(builder.bitcast(shifted, self.integers), exponent)
        return builder.fmul(power, builder.bitcast(scale, self.vector))
