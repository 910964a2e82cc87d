"""`acdref train`: train a network on labelled recordings."""

import click

from acdref.commands._options import PLACE, option, telling_options
from acdref.commands._output import check_folder
from acdref.commands._progress import say
from acdref.commands._ranks import together
from acdref.commands._training import options_of, training_options


@click.command(short_help="Train a network on labelled recordings.")
@click.argument("manifest", required=False, type=PLACE)
@option("--out", PLACE, "Folder of the run.", required=True)
@option("--resume", bool, "Continue the run in --out with its own options; with --epochs, a finished one.")
@training_options
@telling_options
def command(out, resume, threads, **options):
    """Train a network, ACDnet by default, on the recordings of MANIFEST.

    MANIFEST is a CSV file with the columns path and classes (";"-separated, empty: none of the classes) and
    perhaps fold or split (or a published table, see `acdref relabel --help`), or a folder with one subfolder
    per class.  Without --val-fold and --val, rows whose split is "val" serve for validation, if there are
    any.

    Without options the preset "cpu" counts: a good network from a small corpus on two cores in about an hour.
    --preset paper is Braun & Gamper's training to the letter, which wants AudioSet, and weeks on a CPU; what
    else is given counts in place of a preset's value. docs/presets.md has every value of both, and why.

    The run's folder gets config.json, metrics.csv, best.npz (weights with the best validation mAP), last.npz
    and curves.html, a page that may stay open while the run goes on. It may be stopped at any moment, even by
    kill -9: --resume continues to the same result, bit for bit.

    Under mpiexec its processes share each batch, and the result is that of one process, bit for bit; see
    docs/scale.md.

    \b
    Examples:
      acdref train manifest.csv --root recordings --out run --val-fold 4
      acdref train recordings/ --out run --epochs 20 --epoch-size 1000 --lr 2e-3
      acdref train audioset.csv --val fsd50k.csv --out run --preset paper --workers 4
      acdref train manifest.csv --out run --net mobilenetv2 --width 0.5 --lr 1e-3
      mpiexec -n 4 acdref train manifest.csv --out run
      acdref train --out run --resume
      acdref train --out run --resume --epochs 20
      acdref predict --weights run/best.npz new/

    \b
    Exit codes: 0 success; 1 the job could not be done; 2 wrong usage; 130 interrupted (a checkpoint is
    written).
    """
    from acdref.ops.threads import set_threads
    from acdref.train import FREE_OPTIONS, train

    context = click.get_current_context()
    source = context.get_parameter_source
    given = {name for name in options if source(name).name == "COMMANDLINE"}.difference(FREE_OPTIONS)
    lengthen = options["epochs"] if resume and "epochs" in given else None
    given.discard("epochs")
    if resume and given:
        others = ", ".join(one.opts[0] for one in context.command.params if one.name in given)
        raise click.UsageError(f"--resume continues with the run's own options; leave out: {others}")
    if not resume and options["manifest"] is None:
        raise click.UsageError("Missing argument 'MANIFEST'.")
    if resume:
        options["manifest"] = ""
    written = r"config\.json|metrics\.csv|(best|last)\.npz|curves\.html"
    check_folder(out, *(options[name] for name in ("manifest", "val", "init")), written=written)
    with together() as (ranks, observer):
        set_threads(threads or (None if ranks is None else ranks.threads()))
        row = train(options_of(**options), out, resume, observer, lengthen, ranks)
    if ranks is not None and ranks.rank > 0:
        raise click.exceptions.Exit(130 if row is None else 0)
    if row is None:
        say(f"acdref: stopped; continue with: acdref train --out {out} --resume")
        raise click.exceptions.Exit(130)
    score = "" if row.get("val_mAP") is None else f", validation mAP {row['val_mAP']:.3f}"
    click.echo(f"{out}: {row['epoch']} epochs, loss {row['loss']:.4f}{score}")
