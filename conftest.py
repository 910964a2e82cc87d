"""Which modules the examples in docstrings are collected from."""

from importlib.util import find_spec

# These import Numba at their head (see acdref/ops/vectors.py); without it there is nothing to test in them.
NEED_NUMBA = ["acdref/ops/*kernel.py", "acdref/ops/vectors.py", "acdref/fast/*.py"]
collect_ignore_glob = [] if find_spec("numba") else NEED_NUMBA
