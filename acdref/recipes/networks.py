"""The network that a recipe starts from."""

from acdref import checkpoint
from acdref.errors import AcdrefError
from acdref.nets import registry


def initial(name, width, init, classes, seed, several=False, **fields):
    """A fresh network, or that of a weights file.

    Parameters
    ----------
    name : str
        A key of :data:`acdref.nets.NETWORKS`; not looked at where there are weights.
    width : float
        So many times the paper's channels.
    init : str or None
        Weights file to start from; the last layer is drawn anew if its classes differ.
    classes : sequence of str
    seed : int
    several : bool
        A clip may have several classes: a fresh network gets a sigmoid for each, whatever its paper's output.
    **fields
        Of the configuration of a fresh network.

    Returns
    -------
    network

    Raises
    ------
    AcdrefError
        For a name, a width, fields or a file that make no network.
    """
    if init is not None:
        net, meta = checkpoint.load_weights(init)
        same = tuple(meta["classes"]) == tuple(classes)
        return net if same else registry.with_classes(net, len(classes), seed)
    if several:
        fields = registry.SEVERAL_CLASSES.get(name, {}) | fields
    try:
        return registry.build(name, len(classes), width, seed, **fields)
    except ValueError as error:
        raise AcdrefError(str(error)) from None
