"""ACDnet compiled as a whole: twice the speed of the plain kernels, and nothing that they do not compute.

Only :mod:`acdref.nets` (and `acdref info`) names this package; without it everything works, slower.
"""
