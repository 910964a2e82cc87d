"""Kinds of sounds: the leaves of a small ontology of three levels, for experiments with ontologies."""

from typing import Any

import numpy as np

from acdref.synth import impacts, machines, outdoors, vocal
from acdref.synth.blocks import Samples, Synth, high_pass, to_peak

TREE = {
    "animal": {
        "cat": {"meow": vocal._meows, "purr": vocal._purr, "hiss": vocal._hisses},
        "dog": {"bark": vocal._barks, "growl": vocal._growls, "howl": vocal._howls},
    },
    "machine": {
        "tool": {"drill": machines._drill, "hammer": machines._hammering, "saw": machines._saw},
        "running machine": {"fan": machines._fan, "motor": machines._motor, "hum": machines._hum},
    },
    "signal": {
        "alarm": {"siren": machines._siren, "beeper": machines._beeps, "bell": machines._bell},
        "vehicle": {"engine": machines._engine, "passing car": machines._passing, "horn": machines._horns},
    },
    "outdoors": {
        "water": {"rain": outdoors._rain, "stream": outdoors._stream},
        "wild": {"birds": outdoors._birds, "insects": outdoors._insects, "thunder": outdoors._thunder},
    },
    "weapon": {
        "gun": {"shots": impacts._single_shots, "automatic fire": impacts._automatic},
        "blast": {"volley": impacts._volley, "explosion": impacts._explosions},
    },
}
"""Root -> class -> kind -> what makes its sound."""

_MAKERS = {kind: maker for root in TREE.values() for kinds in root.values() for kind, maker in kinds.items()}
KINDS = tuple(_MAKERS)


def ontology_nodes() -> list[dict[str, Any]]:
    """The tree as :class:`acdref.labels.Ontology` takes it, with names as ids.

    Returns
    -------
    list of dict

    Examples
    --------
    >>> ontology_nodes()[0]
    {'id': 'animal', 'name': 'animal', 'child_ids': ['cat', 'dog']}
    """
    return list(_nodes(TREE))


def _nodes(tree):
    for name, below in tree.items():
        children = below if isinstance(below, dict) else {}
        yield {"id": name, "name": name, "child_ids": list(children)}
        yield from _nodes(children)


def kind_sound(kind: str, rng: np.random.Generator, seconds: float, sr: int = 16000) -> Samples:
    """Synthesise one random sound of a kind; arguments, result and errors as :func:`acdref.synth.sound`.

    Examples
    --------
    >>> kind_sound("bell", np.random.default_rng(0), seconds=1.0).shape
    (16000,)
    """
    if kind not in _MAKERS:
        raise ValueError(f"unknown kind {kind!r}: not one of {', '.join(KINDS)}")
    synth = Synth(rng, sr)
    x = _MAKERS[kind](synth, round(seconds * sr))
    return to_peak(synth.filtered(x, lambda f: high_pass(f, 20)))
