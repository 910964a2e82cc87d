"""Conformance: cases by which an implementation in any language is checked against acdref.

``export`` writes inputs and expected outputs as plain ``.npy`` files, ``check`` compares a folder of answers.
What an implementer must know stands in docs/conformance.md; the cases stand by section in the modules beside
this one, each a generator named ``cases``.
"""

from acdref.conform.comparing import Verdict, check
from acdref.conform.writing import Case, Mistake, export

__all__ = ["Case", "Mistake", "Verdict", "check", "export"]
