"""Recordings in, scores of windows out, in the forms that people and programs read."""

from acdref.predict.tagging import Failure, Window, predict, recordings

__all__ = ["Failure", "Window", "predict", "recordings"]
