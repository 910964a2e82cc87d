"""`acdref check`: what is wrong with a manifest."""

import click

from acdref.commands._options import PLACE, click_options, option, telling_options
from acdref.commands._progress import Progress, duration, end, tell
from acdref.options.training import RecordingOptions


@click.command(short_help="Find what is wrong with a manifest, before hours are spent.")
@click.argument("manifest", type=PLACE)
@click_options(RecordingOptions, ("root", "classes"))
@option("--json as_json", bool, "Print JSON, schema acdref.check/1.")
@telling_options
def command(manifest, root, classes, as_json):
    """Decode every recording of MANIFEST, as `acdref train` takes it, and say what is wrong with them.

    Found are recordings that cannot be decoded, and files that are the same, byte for byte: with other labels
    one of them is wrong, and in another fold or split the network is tested on what it was taught. Also said
    are recordings that end early, classes that no recording has, and how many recordings have none of the
    classes: that may be meant.

    \b
    Examples:
      acdref check manifest.csv --root recordings
      acdref check recordings/ --json | jq .duplicates

    \b
    JSON: recordings, seconds, unreadable, notes, duplicates (paths, differ_in), without_positives,
    unlabelled, positives (by class).

    \b
    Exit codes: 0 nothing is wrong; 1 MANIFEST cannot be read (one line on stderr says why); 2 wrong usage;
    3 some recordings are unreadable, or there more than once; 130 interrupted.
    """
    with Progress() as progress:
        from acdref.check import check
        from acdref.tables.manifest import open_dataset

        found = check(open_dataset(manifest, root, classes, progress.log), progress.progress)
    tell(found.as_dict(), lambda: "\n".join(_lines(found)), as_json)
    end(found.unreadable or found.duplicates)


def _lines(found):
    """The findings for people."""
    from acdref.predict.formats import printable

    paths = found.manifest.paths
    yield from (printable(f"unreadable: {error}") for error in found.unreadable)
    yield from (printable(f"note: {note}") for note in found.notes)
    for same in found.duplicates:
        differ = " and ".join(found.differing(same))
        yield printable(f"the same: {', '.join(paths[i] for i in same)}{differ and f' (other {differ})'}")
    if found.without_positives:
        yield f"classes that no recording has: {', '.join(found.without_positives)}"
    yield f"recordings with none of the classes: {found.unlabelled}"
    wrong = f"{len(found.unreadable)} unreadable, {len(found.duplicates)} more than once"
    yield f"{len(paths)} recordings, {duration(found.seconds)}: {wrong}"
