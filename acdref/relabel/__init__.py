"""Label files in, corrected label files out: the rules of :mod:`acdref.labels` on files of any length."""

from acdref.relabel.job import check, relabel
from acdref.relabel.report import Report
from acdref.relabel.steps import Steps

__all__ = ["Report", "Steps", "check", "relabel"]
