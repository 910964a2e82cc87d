"""What an evaluation found wrong, as recordings of the page."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from acdref.errors import AudioError
from acdref.predict.events import timelines
from acdref.predict.scoring import Scores, mean_over_windows
from acdref.predict.tagging import End, Failure, Window
from acdref.report.job import Recording
from acdref.tables.manifest import Manifest


def evaluated(
    manifest: Manifest,
    windows: Mapping[int, Sequence[Scores]],
    failures: Iterable[AudioError],
    columns: Sequence[int],
) -> Iterator[Recording]:
    """Recordings with their labels and scores.

    Parameters
    ----------
    manifest : Manifest
    windows : mapping from int to sequence of Scores
        Of each recording that was scored, by its number.
    failures : iterable of AudioError
        Why the others were not.
    columns : sequence of int, (C,)
        The classes to show, among those of the manifest.

    Yields
    ------
    Recording
        In the order of the manifest, under the paths that it has.
    """
    causes = {error.path: error.cause for error in failures}
    for i, path in enumerate(manifest.paths):
        file = manifest.file(i)
        if i not in windows:
            timeline = next(timelines([Failure(path, causes.get(str(file), "was not scored"))]))
            yield Recording(timeline, file)
            continue
        shown = [
            Window(path, start, end, probabilities[columns], None) for start, end, probabilities in windows[i]
        ]
        labels = [None if label != label else int(label) for label in manifest.labels[i, columns].tolist()]
        scores = mean_over_windows(windows[i])[columns]  # (C,)
        yield Recording(next(timelines([*shown, End(path)])), file, labels, scores)
