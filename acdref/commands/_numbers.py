"""Numbers on the command line."""

import math

import click


class Number(click.FloatRange):
    """A finite number within bounds: to `click.FloatRange` NaN lies within all, and infinity within some.

    Examples
    --------
    >>> Number(min=0)("1e3")
    1000.0
    >>> Number(min=0)("nan")
    Traceback (most recent call last):
    click.exceptions.BadParameter: nan is not a finite number.
    """

    def convert(self, value, param, ctx):
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number
