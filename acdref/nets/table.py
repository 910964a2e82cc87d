"""The layer table of a configuration: output shapes, parameters, multiply-adds.

What counts as a multiply-add (MAC) is a convention, and reports that do not name theirs cannot be compared.
Here, as the paper's 1.40 G per 10 s come out:

* each weight of a convolution or dense layer once for each output position, zero padding included; no biases;
* the two matrix products of attention, once for each position;
* the STFT as a direct Fourier transform (with an FFT the total would be 1.24 G);
* nothing for normalisation, activations, softmax, pooling and means.
"""

from typing import NamedTuple

from acdref.features.compressed import SAMPLE_RATE, frames
from acdref.nets.acdnet import ACDNET_2024

TEN_SECONDS = frames(10 * SAMPLE_RATE)  # 624
MACS_CONVENTION = (
    "convolutions and dense layers (attention's projections among them), attention's products, and the STFT "
    "as a direct DFT; no biases, normalisation, activations or pooling"
)


class Layer(NamedTuple):
    """A row of the table.

    Attributes
    ----------
    name : str
        The beginning of its parameters' names where it has any.
    kind : str
    shape : (int, int, int)
        Of the output of one clip: channels, frames, bins (in memory, maps are channels-last).
    parameters : int
        Those of the normalisation and PReLU behind a convolution included.
    macs : int
        For one clip.
    """

    name: str
    kind: str
    shape: tuple[int, int, int]
    parameters: int
    macs: int


def layer_table(config=ACDNET_2024, frames=TEN_SECONDS):
    """All layers from the features to the logits.

    Parameters
    ----------
    config : ACDNetConfig
    frames : int
        Input frames; 624 are 10 s.

    Returns
    -------
    list of Layer

    Raises
    ------
    ValueError
        If the network needs more frames.

    Examples
    --------
    >>> rows = layer_table()
    >>> rows[1]
    Layer(name='stem.conv', kind='conv 3x3', shape=(16, 622, 257), parameters=352, macs=46037952)
    >>> sum(row.parameters for row in rows)
    248539
    """
    return [layer for layer, _ in _rows(config, frames)]


def count_macs(config=ACDNET_2024, frames=TEN_SECONDS):
    """Multiply-adds of one clip, by the convention at the head of this file.

    Parameters and errors as :func:`layer_table`.

    Returns
    -------
    dict of str to int
        ``convolutions`` (dense layers and attention's projections included), ``attention`` (its products),
        ``stft``, and their ``total``.

    Examples
    --------
    >>> count_macs()
    {'convolutions': 1075758112, 'attention': 157057024, 'stft': 164216832, 'total': 1397031968}
    """
    rows = _rows(config, frames)
    stft = rows[0][0].macs
    products = sum(part for _, part in rows)
    total = sum(layer.macs for layer, _ in rows)
    return {"convolutions": total - stft - products, "attention": products, "stft": stft, "total": total}


def _rows(config, frames):
    """Pairs of a layer and those of its MACs that are attention's products."""
    if frames < config.min_frames:
        raise ValueError(f"{frames} frames are too few: the network needs {config.min_frames}")
    rows = []
    t, f = frames, config.bins

    def add(name, kind, channels, parameters=0, macs=0, products=0):
        rows.append((Layer(name, kind, (channels, t, f), parameters, macs + products), products))

    window = 2 * (config.bins - 1)  # samples
    add("features", "compressed STFT", config.inputs, macs=2 * config.bins * window * t)
    t -= 2
    # Behind a convolution's weights: bias, scale, shift and slope of each output channel.
    weights = 9 * config.inputs * config.stem
    add("stem.conv", "conv 3x3", config.stem, weights + 4 * config.stem, t * f * weights)
    before = config.stem
    for number, block in enumerate(config.blocks, 1):
        name, after = f"block{number}", block.channels
        t -= 2 * block.dilation
        dilated = f", dilation {block.dilation}" if block.dilation > 1 else ""
        add(f"{name}.depthwise", f"depthwise 3x3{dilated}", before, (9 + 4) * before, t * f * 9 * before)
        weights = before * after
        add(f"{name}.pointwise", "conv 1x1", after, weights + 4 * after, t * f * weights)
        if block.attention:
            weights, biases, products = _attention(config.attention, after, block.attention)
            parameters = 2 * after + weights + biases  # with GroupNorm's scale and shift
            kind = f"{config.attention} attention"
            add(f"{name}.attention", kind, after, parameters, t * f * weights, t * f * products)
        t, f = t // block.pool[0], f // block.pool[1]
        add(f"{name}.pool", f"max-pool {block.pool[0]}x{block.pool[1]}", after)
        before = after
    t = 1
    add("mean", "mean over time", before)
    inputs, f = before * f, 1
    add("dense", "dense", config.classes, (inputs + 1) * config.classes, inputs * config.classes)
    return rows


def _attention(kind, channels, width):
    """Weights, biases, and the products' MACs for each position."""
    if kind == "separable":
        # One score per position; it weighs the keys, and their sum weighs the values.
        return channels * (1 + 3 * width), 1 + 2 * width + channels, 2 * width
    # Keys times values, and queries times their sum, are width x width for each position.
    return channels * 4 * width, 3 * width + channels, 2 * width * width
