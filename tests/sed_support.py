"""The oracles of sound event detection: sed_eval, dcase_util, sed_scores_eval."""

import sys
import types
import warnings

import pytest


def oracle(name):
    """One of them; the test is skipped where it is not installed.

    They import ``pkg_resources``, which setuptools had until version 82, and call it for nothing that we do.
    """
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patched:
        warnings.simplefilter("ignore")
        try:
            import pkg_resources  # noqa: F401
        except ImportError:  # a stand-in, gone again before pytest looks for it
            patched.setitem(sys.modules, "pkg_resources", types.ModuleType("pkg_resources"))
        return pytest.importorskip(name)
