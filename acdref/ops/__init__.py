"""Operations: forward and backward, each in plain NumPy and in Numba.

Conventions
-----------
* Maps are channels-last, (N, T, F, C): clips, frames, bins, channels; always C-contiguous for Numba.
* ``op(x, ...)`` is the forward pass; ``op_backward(dy, ...)`` returns the gradients of its array arguments
  in their order, for a scalar loss L with ``dy = dL/dy``.  What the backward needs from the forward is passed
  explicitly; nothing is remembered.
* ``backend="numpy"`` is the reference: readable, any floating dtype.  ``backend="numba"`` gives the same
  numbers (float32 and float64), compiled at first use and cached on disk.
* Results do not depend on the number of threads: work is cut by shape alone, and partial sums are added in a
  fixed order.
* Operations are the inner layer: shapes are the caller's responsibility and are checked where networks and
  the command line take their input.
"""
