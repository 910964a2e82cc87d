"""TAGS, a file that `acdref predict` has written, as commands read it."""

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from acdref.commands._options import PLACE, option
from acdref.commands._progress import Progress
from acdref.remote import here

if TYPE_CHECKING:
    from acdref.predict.summary import Tagged

thresholds_option = option(
    "--weights", PLACE, "Weights whose thresholds count for windows  [default: 0.5 for each class]"
)


@contextlib.contextmanager
def opened_tags(
    tags: str,
    classes: Sequence[str] | None,
    threshold: float | None,
    by_class: Mapping[str, float],
    progress: Progress,
    weights: str | None = None,
) -> Iterator["Iterator[Tagged]"]:
    """Context with the recordings in TAGS; "-" is stdin.  Windows count at the thresholds of `weights`.

    In the end are told: classes that are asked for and of which it has nothing, which may be mistyped; and
    those for which the weights have no threshold.
    """
    from acdref.errors import naming
    from acdref.predict.summary import THRESHOLD, Bar, read_tags

    usual = {}
    if weights is not None:
        from acdref.checkpoint import load_weights

        meta = load_weights(weights, "numpy")[1]
        usual = dict(zip(meta["classes"], meta["thresholds"], strict=True))
    name, counts = "stdin" if tags == "-" else tags, Bar(by_class, threshold, usual)
    with contextlib.ExitStack() as stack:
        with naming(name):
            stream = sys.stdin.buffer if tags == "-" else stack.enter_context(open(here(tags), "rb"))
        yield read_tags(stream, name, counts)
    for label in dict.fromkeys([*(classes or ()), *by_class]):
        if label not in counts.asked:
            has = f"it has {', '.join(sorted(counts.asked))}" if counts.asked else "it has no class"
            progress.log(f"{name}: nothing of class {label!r} ({has})")
    for label in sorted(counts.unsaid if weights is not None else ()):
        if classes is None or label in classes:
            progress.log(f"{weights} has no class {label!r}: windows of it count at {THRESHOLD}")
