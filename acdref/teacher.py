"""The public name of the CLAP teacher; it lives in :mod:`acdref.clap`."""

from acdref.clap.scores import TeacherScores
from acdref.clap.teacher import ClapTeacher

__all__ = ["ClapTeacher", "TeacherScores"]
