"""Tools to test label rules of your own with: Hypothesis strategies in :mod:`acdref.testing.strategies`.

They need Hypothesis (``pip install acdref[test]``), which nothing else in the package imports.
"""
