"""`acdref embed`: recordings as points, of which those that sound alike lie close together."""

import click

from acdref.commands._network import (
    given_paths,
    network_options,
    null_option,
    open_network,
    scheduler_option,
)
from acdref.commands._options import PLACE, Number, option, telling_options
from acdref.commands._output import check_output
from acdref.commands._progress import Progress, end, strays
from acdref.commands._work import Work
from acdref.errors import AcdrefError
from acdref.options.labels import WINDOW


@click.command(short_help="Turn recordings into vectors to compare, search and learn from.")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=PLACE)
@option("--out", PLACE, "The file to write, .npz or .parquet.", required=True, metavar="FILE")
@network_options
@option("--window", Number(min=0.1), "Seconds of a window.", default=WINDOW)
@option("--hop", Number(min=0.01), "Seconds from one window to the next  [default: --window]")
@null_option
@scheduler_option
@telling_options
def command(paths, out, weights, backend, threads, window, hop, null, scheduler):
    """Write the embedding of each recording PATH: files, folders, or "-" for a list on stdin, as of predict.

    An embedding is what the last layer of the network reads, 64 numbers for acdnet's weights; that of a
    recording is the mean over its windows, weighted by duration. A bad recording costs a line on stderr, and
    is not in the file; the others are.

    \b
    Formats (schema acdref.embeddings/1), by the ending of FILE:
      .npz      paths (text), embeddings (N, D), seconds, meta (JSON: schema, network, weights, sha256 of
                the network, window, hop); numpy.load reads it without pickle
      .parquet  columns path, seconds, embedding; the same JSON as metadata `acdref` (needs pyarrow)

    \b
    Examples:
      acdref embed --out all.npz recordings/
      find . -name '*.flac' | acdref embed --out all.parquet -
      acdref similar new.wav all.npz

    \b
    Exit codes: 0 success; 1 nothing was written (one line on stderr says why); 2 wrong usage; 3 partial: some
    recordings failed, the others are in the file; 130 interrupted.
    """
    check_output(out, weights, *paths, endings=(".npz", ".parquet"))
    known, paths = None if "-" in paths else paths, given_paths(paths, null)
    with Progress() as progress:
        net, _ = open_network(weights, backend, threads, progress, scheduler=scheduler)

        from acdref.files import weights_file
        from acdref.predict.embedding import Embedder, Embeddings, embed, weights_meta, write_embeddings
        from acdref.predict.formats import printable
        from acdref.predict.outputs import check_parquet

        if out.lower().endswith(".parquet"):
            check_parquet()
        results = embed(Embedder(net), paths, window, hop, progress.log, strays)
        found, failed = _told(results, progress, Work(known, progress))
        if not found and not failed:
            raise AcdrefError("no recordings were given")
        if found:
            meta = weights_meta(net.net, weights_file(weights)) | {"window": window, "hop": hop or window}
            write_embeddings(out, Embeddings.of(found, meta))
    if found:
        click.echo(f"{printable(out)}: embeddings of {len(found)} of {len(found) + failed} recordings")
    end(failed, found)


def _told(results, progress, work):
    """The embeddings among some results, and how many recordings failed, each of which is told."""
    from acdref.predict.tagging import Failure

    found, failed = [], 0
    for result in results:
        if isinstance(result, Failure):
            failed += 1
            work.failure(result.path)
            progress.error(f"{result.path}: {result.error}")
            continue
        found.append(result)
        if result.note:
            progress.log(f"{result.path}: {result.note}")
        work.window(result.path, 0, result.seconds)
        work.show()
    return found, failed
