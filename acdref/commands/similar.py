"""`acdref similar`: recordings that sound like one."""

import sys

import click

from acdref.commands._network import network_options, open_network
from acdref.commands._options import PLACE, option, telling_options
from acdref.commands._output import opened
from acdref.commands._progress import Progress, strays

_FORMATS = ("table", "csv", "jsonl")


@click.command(short_help="Find the recordings that sound most like one.")
@click.argument("query", metavar="QUERY", type=PLACE)
@click.argument("embeddings", metavar="EMBEDDINGS", type=PLACE)
@option("--top", click.IntRange(min=1), "So many recordings.", default=10)
@option("--format form", _FORMATS, "[default: table on a terminal, csv elsewhere]")
@network_options
@telling_options
def command(query, embeddings, top, form, weights, backend, threads):
    """Find in EMBEDDINGS, a file of `acdref embed`, the recordings most like QUERY, by cosine similarity.

    QUERY is a path that EMBEDDINGS has, as it stands there, which is not found itself; or else a recording,
    which is embedded by the same weights and windows. Embeddings of other weights are refused.

    Similarities lie between -1 and 1, and compare recordings within one file; what is "alike enough" depends
    on the weights.

    \b
    Formats:
      table  for people: similarity and recording, the most similar first
      csv    path, similarity, schema (acdref.similar/1)
      jsonl  one object a line: schema, path, similarity

    \b
    Examples:
      acdref embed --out all.npz recordings/; acdref similar recordings/alarm.flac all.npz
      acdref similar --top 100 --format csv new.wav all.parquet

    \b
    Exit codes: 0 success; 1 QUERY or EMBEDDINGS cannot be used (one line on stderr says why); 2 wrong usage;
    130 interrupted.
    """
    form = form or ("table" if sys.stdout.isatty() else "csv")

    from acdref.predict.embedding import FORMATS, nearest, read_embeddings

    found = read_embeddings(embeddings)
    if query in found.paths:
        own = found.paths.index(query)
        vector = found.vectors[own]
    else:
        own, vector = None, _embedded(query, found, embeddings, (weights, backend, threads))
    with opened(None, for_people=form == "table") as out:
        out.writelines(FORMATS[form](nearest(found, vector, top, own)))


def _embedded(query, found, embeddings, network):
    """The embedding of a recording, by the weights and windows of a file."""
    with Progress() as progress:
        net, _ = open_network(*network, progress)

        from acdref.errors import AudioError
        from acdref.files import weights_file
        from acdref.predict.embedding import Embedder, check_weights, embed, weights_meta
        from acdref.predict.tagging import Failure

        named = weights_file(network[0])
        check_weights(found, embeddings, named, weights_meta(net.net, named)["sha256"])
        windows = found.meta["window"], found.meta["hop"]
        results = list(embed(Embedder(net), [query], *windows, progress.log, strays))
        if isinstance(results[0], Failure):
            raise AudioError(*results[0])
        return results[0].vector
