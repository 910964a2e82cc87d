"""`acdref info`: what is installed, what runs, what the network is made of."""

import textwrap

import click

from acdref.commands._options import Number, option, weights_option
from acdref.commands._progress import tell
from acdref.options import NETWORKS
from acdref.tables.rows import names_text


@click.command(short_help="Show backend, weights and layers.")
@weights_option
@option("--net", NETWORKS, "Show the layers of this network rather than of weights.")
@option("--width", Number(0, min_open=True), "With --net: so many times the paper's channels.", default=1.0)
@option("--json as_json", bool, "Print JSON, schema acdref.info/1.")
def command(weights, net, width, as_json):
    """Show the version, the backend and why, the weights with their classes, and the layers of the network
    with parameters and multiply-adds (MACs) for 10 s of sound.

    \b
    Examples:
      acdref info
      acdref info --weights run/best.npz
      acdref info --net mobilenetv2 --width 0.5
      acdref info --json | jq .macs

    \b
    JSON: schema, version, system, network, backend, weights, parameters, macs, macs_of, macs_convention,
    layers.

    \b
    Exit codes: 0 success; 1 the weights cannot be used (one line on stderr says why); 2 wrong usage.
    """
    from acdref.info import collect

    if weights is not None and net is not None:
        raise click.UsageError("--weights name their network themselves: leave out --net")
    if width != 1 and net is None:
        raise click.UsageError("--width is that of --net")
    facts = collect(weights, net, width)
    tell(facts, lambda: "\n".join(_lines(facts)), as_json)


def _lines(facts):
    system, backend, file = facts["system"], facts["backend"], facts["weights"]
    yield f"acdref {facts['version']}"
    versions = (f"{name} {system[name] or 'missing'}" for name in ("python", "numpy", "numba", "soundfile"))
    yield f"  system    {', '.join(versions)}; {system['platform']}"
    yield f"  backend   {backend['name']}: {backend['reason']}"
    yield f"  threads   {backend['threads']}"
    if "simd" in backend:
        rows, lanes = backend["simd"]["tile"]
        instructions = ", ".join(backend["simd"]["instructions"]) or "no vector instructions known"
        yield f"  SIMD      tiles of {rows} x {lanes} ({instructions})"
        yield f"  cache     {backend['cache'] or 'nowhere: no folder can be written'}"
    if file is None:
        yield f"  network   {facts['network']}, without weights"
    else:
        yield f"  weights   {file['path']}"
        yield f"  classes   {names_text(file['classes'], ', ')}"
        for name, value in sorted(file["meta"].items()):
            if isinstance(value, str | int | float):  # the rest is for --json
                yield f"  {name:<9} {value}"
    yield ""
    yield from _layer_lines(facts["layers"])
    yield ""
    parts = ", ".join(f"{name} {macs / 1e9:.3f}" for name, macs in facts["macs_of"].items())
    yield f"{facts['parameters']:,} parameters, {facts['macs'] / 1e9:.3f} G MACs ({parts}) for 10 s"
    yield from textwrap.wrap(f"MACs of {facts['macs_convention']}", 100)


def _layer_lines(layers):
    widest = max(17, *(len(layer["name"]) for layer in layers))
    form = f"{{:<{widest}}} {{:<26}} {{:>8}} {{:>6}} {{:>4}} {{:>10}} {{:>13}}".format
    yield form("layer", "kind", "channels", "frames", "bins", "parameters", "MACs")
    for layer in layers:
        numbers = f"{layer['parameters']:,}", f"{layer['macs']:,}"
        yield form(layer["name"], layer["kind"], *layer["shape"], *numbers)
