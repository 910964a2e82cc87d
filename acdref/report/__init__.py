"""A page to look at and listen to: what was heard in recordings, or where a network errs."""

from acdref.report.job import Recording, write_report

__all__ = ["Recording", "write_report"]
