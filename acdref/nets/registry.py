"""The networks by name, with their configurations: what weights files, training and the command line go by.

=============  ==========================  =====================================  ======  ===============
name           system                      front end (a clip of 10 s)             rate    probabilities
=============  ==========================  =====================================  ======  ===============
acdnet         Braun & Gamper              compressed STFT, (624, 257, 2)         16 kHz  sigmoid
vgg-gap        Dorfer & Widmer             A-weighted mel, (1667, 128)            32 kHz  softmax
conv1d         Grzywalski & Botteldooren   the samples, (80000,)                   8 kHz  sigmoid
resnet50       Hershey et al.              log-mel patches, (10, 96, 64)          16 kHz  sigmoid
mobilenetv2    Dinkel et al.               mel in decibels, (1001, 64)            16 kHz  sigmoid
=============  ==========================  =====================================  ======  ===============
"""

import dataclasses
import reprlib
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np

from acdref.features.front_ends import front_end
from acdref.nets.acdnet import ACDNet
from acdref.nets.conv1d_net import Conv1D
from acdref.nets.layers import Outline, Row
from acdref.nets.mobilenet import MobileNetV2
from acdref.nets.network import Network
from acdref.nets.resnet import ResNet50
from acdref.nets.vgg import VGGGap

NETWORKS = {
    "acdnet": ACDNet,
    "vgg-gap": VGGGap,
    "conv1d": Conv1D,
    "resnet50": ResNet50,
    "mobilenetv2": MobileNetV2,
}

# Fields of the configurations where the paper's network expects one class a clip, and yours may have several.
SEVERAL_CLASSES = {"vgg-gap": {"output": "sigmoid"}}


def default_config(name: str) -> Any:
    """The configuration of a network in full width; docs/fidelity.md says what of it its paper prints.

    Parameters
    ----------
    name : str
        A key of :data:`NETWORKS`.

    Returns
    -------
    frozen dataclass, such as ACDNetConfig

    Raises
    ------
    ValueError
        For another name.
    """
    if name not in NETWORKS:
        raise ValueError(f"there is no network {name!r}: choose one of {', '.join(NETWORKS)}")
    return NETWORKS[name].default


def build(
    name: str,
    classes: int,
    width: float = 1.0,
    seed: int = 0,
    dtype: Any = np.float32,
    backend: str = "auto",
    **fields: Any,
) -> Network:
    """A network with fresh weights.

    Parameters
    ----------
    name : str
        A key of :data:`NETWORKS`.
    classes : int
    width : float
        So many times the paper's channels.
    seed, dtype, backend
        As in the networks themselves.
    **fields
        Of the configuration, such as ``output="sigmoid"`` for vgg-gap.

    Returns
    -------
    network

    Raises
    ------
    ValueError
        For another name, a width that is not positive, or a field that the configuration does not have.

    Examples
    --------
    >>> net = build("mobilenetv2", classes=11, width=0.25)
    >>> sum(p.size for p in net.params.values())
    160979
    """
    config = default_config(name)
    if not width > 0:
        raise ValueError(f"the width must be positive, not {width}")
    unknown = set(fields) - {field.name for field in dataclasses.fields(config)}
    if unknown:
        raise ValueError(f"{name} has no {', '.join(sorted(unknown))}")
    if width != 1:
        config = config.scaled(width)
    config = dataclasses.replace(config, classes=classes, **fields)
    return NETWORKS[name](config, seed, dtype, backend)


def name_of(net: Network) -> str:
    """The name under which a network is known."""
    return next(name for name, kind in NETWORKS.items() if isinstance(net, kind))


def config_from(name: str, fields: dict) -> Any:
    """A configuration from what :func:`dataclasses.asdict` and JSON have made of it.

    Raises
    ------
    ValueError, TypeError
        If `fields` are not those of the network.
    """
    return _from_fields(type(default_config(name)), fields)


def outline(name: str, config: Any) -> Network:
    """A network without weights, which takes no memory: shapes can be looked at, nothing can be computed.

    Parameters
    ----------
    name : str
        A key of :data:`NETWORKS`.
    config : dataclass

    Raises
    ------
    ValueError
        If there can be no such network.

    Examples
    --------
    >>> outline("acdnet", default_config("acdnet")).params["dense.weight"].shape
    (64, 11)
    """
    net = NETWORKS[name](config, backend="numpy", draw=Outline())
    if not all(a.size for a in (net.params | net.state).values()):
        raise ValueError("a layer has no channels")
    net._rows(_steps(net, 10.0))
    return net


def check_input(net: Network) -> None:
    """Raise ValueError if a network cannot take what its front end makes of sound."""
    front = front_end(net)
    net.as_map(front.transform(np.zeros(front.fewest(1), np.float32))[None])


def head(net: Network) -> list[str]:
    """Names of the parameters and statistics that depend on the classes."""
    return [name for name in (*net.params, *net.state) if name.rsplit(".", 1)[0] in net.head]


def with_classes(net: Network, classes: int, seed: int = 0) -> Network:
    """The network for other classes: its last layer is drawn anew, all else is shared.

    Parameters
    ----------
    net : network
    classes, seed : int

    Returns
    -------
    network

    Examples
    --------
    >>> net = with_classes(build("mobilenetv2", classes=11, width=0.25), classes=3)
    >>> net.params["dense.bias"].shape
    (3,)
    """
    fresh = type(net)(dataclasses.replace(net.config, classes=classes), seed=seed)
    new = head(fresh)
    for own, given in ((fresh.params, net.params), (fresh.state, net.state)):
        own.update({key: a for key, a in given.items() if key not in new})
    return fresh


def min_frames(net: Network) -> int:
    """The fewest steps of the features that a network takes."""
    return net.min_frames


def layer_table(net: Network, seconds: float = 10.0) -> list[Row]:
    """Rows of the layer table for so many seconds of sound.

    ACDnet's count its STFT too; the other networks' front ends are not counted.

    Examples
    --------
    >>> layer_table(build("acdnet", classes=11))[1]
    Row(name='stem.conv', kind='conv 3x3', shape=(16, 622, 257), parameters=352, macs=46037952)
    """
    return net.layer_table(_steps(net, seconds))


def count_macs(net: Network, seconds: float = 10.0) -> tuple[dict[str, int], str]:
    """Multiply-adds for so many seconds of sound, and what was counted.

    Returns
    -------
    macs : dict of str to int
        By kind, and their ``total``; see :meth:`acdref.nets.ACDNet.count_macs`.
    convention : str
    """
    return net.count_macs(_steps(net, seconds)), net.macs_convention


def _steps(net, seconds):
    front = front_end(net)
    return front.steps(round(seconds * front.rate))


_LARGEST = 1 << 16  # number in a configuration


def _from_fields(kind, fields):
    """A dataclass from a dict; lists become tuples, and dicts in them the dataclass that the tuple is of."""
    hints = get_type_hints(kind)
    unknown = set(fields) - set(hints)
    if unknown:
        raise ValueError(f"unknown {', '.join(sorted(unknown))}")
    return kind(**{name: _value(name, hints[name], value) for name, value in fields.items()})


def _value(name, hint, value):
    """A field's value, if it is one of its type."""
    if get_origin(hint) is tuple:
        of, *others = get_args(hint)
        if not isinstance(value, list | tuple) or (others != [...] and len(value) != 1 + len(others)):
            raise ValueError(f"{name} is {reprlib.repr(value)}")
        if dataclasses.is_dataclass(of):
            return tuple(_from_fields(of, dict(v)) for v in value)
        return tuple(_value(name, of, v) for v in value)
    if type(value) is not hint and not (hint is float and type(value) is int):
        raise ValueError(f"{name} is {reprlib.repr(value)}")
    if hint in (int, float) and not 0 <= value <= _LARGEST:
        raise ValueError(f"{name} is {value}")
    return value
