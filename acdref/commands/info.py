"""`acdref info`: what is installed, what runs, what the network is made of."""

import json
import textwrap

import click


@click.command(short_help="Show backend, weights and layers.")
@click.option("--weights", type=click.Path(), help="Weights file  [default: the one shipped with acdref]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, schema acdref.info/1.")
def command(weights, as_json):
    """Show the version, the backend and why, the weights with their classes, and the layers of the network
    with parameters and multiply-adds (MACs) for 10 s of sound.

    \b
    Examples:
      acdref info
      acdref info --weights run/best.npz
      acdref info --json | jq .macs

    \b
    JSON: schema, version, system, backend, weights, parameters, macs, macs_of, macs_convention, layers.

    \b
    Exit codes: 0 success; 1 the weights cannot be used (one line on stderr says why); 2 wrong usage.
    """
    from acdref.info import collect

    facts = collect(weights)
    click.echo(json.dumps(facts, indent=2) if as_json else "\n".join(_lines(facts)))


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
        yield "  weights   none are shipped; this is the default network"
    else:
        yield f"  weights   {file['path']}"
        yield f"  classes   {', '.join(file['classes'])}"
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
    form = "{:<17} {:<26} {:>8} {:>6} {:>4} {:>10} {:>11}".format
    yield form("layer", "kind", "channels", "frames", "bins", "parameters", "MACs")
    for layer in layers:
        numbers = f"{layer['parameters']:,}", f"{layer['macs']:,}"
        yield form(layer["name"], layer["kind"], *layer["shape"], *numbers)
