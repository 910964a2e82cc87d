"""Explicit vectors of 16 numbers for kernels: what LLVM would not find in a loop by itself.

LLVM maps a vector to one AVX-512, two AVX2 or four NEON registers (twice as many in float64).

This file and those that use it import Numba at their head, because an intrinsic must exist before a kernel
that uses it compiles; they are themselves imported only when their first kernel runs.
"""

import functools

from llvmlite import binding, ir
from numba.core import cgutils

LANES = 16


@functools.cache
def host_has(feature):
    """Whether this machine's processor has a feature, by LLVM's name of it."""
    return binding.get_host_cpu_features().get(feature, False)


def _has_fma():
    """Whether one instruction multiplies and adds (else `llvm.fma` would call a slow routine)."""
    return host_has("fma") or binding.get_default_triple().startswith(("aarch64", "arm64"))


class Emitter:
    """Writes vector instructions into a function that Numba compiles.

    Parameters
    ----------
    context, builder
        As an intrinsic's code generator gets them.
    dtype : Numba float type
    """

    def __init__(self, context, builder, dtype):
        self.context, self.builder = context, builder
        self.element = context.get_value_type(dtype)
        self.vector = ir.VectorType(self.element, LANES)
        self.alignment = dtype.bitwidth // 8

    def data(self, kind, array):
        """Pointer to the first element of an array argument of Numba type `kind`."""
        return self.context.make_array(kind)(self.context, self.builder, array).data

    def _pointer(self, data, offset):
        element = self.builder.gep(data, [offset], source_etype=self.element)
        return self.builder.bitcast(element, self.vector.as_pointer())

    def load(self, data, offset):
        """16 numbers from `offset` (in elements) on."""
        value = self.builder.load(self._pointer(data, offset), typ=self.vector)
        value.align = self.alignment
        return value

    def store(self, value, data, offset):
        """Store 16 numbers from `offset` on."""
        self.builder.store(value, self._pointer(data, offset)).align = self.alignment

    def spread(self, data, offset):
        """One number, 16 times."""
        scalar = self.builder.load(
            self.builder.gep(data, [offset], source_etype=self.element), typ=self.element
        )
        undefined = ir.Constant(self.vector, ir.Undefined)
        first = self.builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        return self.builder.shuffle_vector(first, undefined, zeros)

    def multiply_add(self, a, b, total):
        """total += a b, for a total from :meth:`total`."""
        before = self.builder.load(total, typ=self.vector)
        if _has_fma():
            letter = "f32" if isinstance(self.element, ir.FloatType) else "f64"
            signature = ir.FunctionType(self.vector, (self.vector,) * 3)
            name = f"llvm.fma.v{LANES}{letter}"
            fma = cgutils.get_or_insert_function(self.builder.module, signature, name)
            after = self.builder.call(fma, (a, b, before))
        else:
            after = self.builder.fadd(self.builder.fmul(a, b), before)
        self.builder.store(after, total)

    def total(self, start):
        """A running sum that begins with `start` and lives in a register."""
        variable = cgutils.alloca_once(self.builder, self.vector)
        self.builder.store(start, variable)
        return variable

    def value(self, total):
        """A running sum's present value."""
        return self.builder.load(total, typ=self.vector)
