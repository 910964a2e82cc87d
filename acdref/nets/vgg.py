"""VGG with global average pooling (Dorfer & Widmer 2018, table 1).

Time and frequency are (T, F) here as everywhere; the paper prints them the other way round, and its pools of
"1 x 2" act on time.
"""

from dataclasses import dataclass, replace

from numpy.typing import NDArray

from acdref.nets.layers import Conv, Dropout, Layer, MaxPool, Mean
from acdref.nets.network import Network, features_of, scaled

TRAINING_FRAMES = 384
"""Frames of the random excerpts that the paper trains on and verifies with."""
CLIP_FRAMES = 3000
"""Frames to which a whole clip is repeated or cut."""


@dataclass(frozen=True)
class VGGLayer:
    """Convolution, batch normalisation, ReLU, and what follows.

    Attributes
    ----------
    filters, size, stride, padding : int
        The last three in time and in frequency.
    pool : (int, int)
        Max-pooling behind it, in time and frequency.
    dropout : float
    """

    filters: int
    size: int = 3
    stride: int = 1
    padding: int = 1
    pool: tuple[int, int] = (1, 1)
    dropout: float = 0.0


def vgg_layers(filters: int) -> tuple[VGGLayer, ...]:
    """Table 1 for so many filters in the first layer: 64 as printed; one network of their code has 48."""
    n = filters
    return (
        VGGLayer(n, size=5, stride=2, padding=2),
        VGGLayer(n, pool=(2, 2), dropout=0.3),
        VGGLayer(2 * n),
        VGGLayer(2 * n, pool=(2, 2), dropout=0.3),
        VGGLayer(4 * n, dropout=0.3),
        VGGLayer(4 * n, dropout=0.3),
        VGGLayer(6 * n, dropout=0.3),
        VGGLayer(6 * n, pool=(2, 2), dropout=0.3),
        VGGLayer(8 * n),
        VGGLayer(8 * n, pool=(2, 1), dropout=0.3),
        VGGLayer(8 * n),
        VGGLayer(8 * n, pool=(2, 1), dropout=0.3),
        VGGLayer(8 * n, padding=0, dropout=0.5),
        VGGLayer(8 * n, size=1, padding=0, dropout=0.5),
    )


_FRONT_ENDS, _OUTPUTS = ("a-weighted-mel", "log-filterbank"), ("softmax", "sigmoid")


@dataclass(frozen=True)
class VGGConfig:
    """The layer table.

    Attributes
    ----------
    classes : int
    layers : tuple of VGGLayer
        Behind them come a 1x1 convolution to the classes, batch normalisation and the global mean.
    bins : int
        Of the spectrogram.
    front_end : {"a-weighted-mel", "log-filterbank"}
        Version 1 or 2 of the spectrogram.
    output : {"softmax", "sigmoid"}
        softmax is the paper's, whose clips have one class each.
    """

    classes: int = 41
    layers: tuple[VGGLayer, ...] = vgg_layers(64)
    bins: int = 128
    front_end: str = "a-weighted-mel"
    output: str = "softmax"

    def scaled(self, width: float) -> "VGGConfig":
        """The same with `width` times the filters."""
        layers = tuple(replace(layer, filters=scaled(layer.filters, width)) for layer in self.layers)
        return replace(self, layers=layers)


class VGGGap(Network):
    """VGG with global average pooling; features are (N, T, 128).

    Parameters as :class:`~acdref.nets.network.Network`, with a :class:`VGGConfig`.

    Notes
    -----
    14,855,570 parameters and 9,554 running statistics with 64 filters and 41 classes; the paper's count is
    their sum.  No convolution has a bias; the last is normalised too, without ReLU.

    Examples
    --------
    >>> net = VGGGap(VGGConfig(classes=3, layers=vgg_layers(4)))
    >>> import numpy as np
    >>> net.predict_proba(np.zeros((1, 384, 128))).shape
    (1, 3)
    """

    default = VGGConfig()
    head = ("head", "head_norm")

    @staticmethod
    def build(config: VGGConfig) -> tuple[Layer, ...]:
        if config.front_end not in _FRONT_ENDS or config.output not in _OUTPUTS:
            raise ValueError(f"front end {config.front_end!r} with output {config.output!r}")
        layers: list[Layer] = []
        before = 1
        for number, layer in enumerate(config.layers, 1):
            name, square = f"conv{number}", lambda n: (n, n)
            layers.append(
                Conv(
                    name,
                    before,
                    layer.filters,
                    square(layer.size),
                    square(layer.stride),
                    square(layer.padding),
                    first=number == 1,
                )
            )
            if layer.pool != (1, 1):
                layers.append(MaxPool(f"{name}.pool", layer.pool))
            if layer.dropout:
                layers.append(Dropout(layer.dropout))
            before = layer.filters
        return (*layers, Conv("head", before, config.classes, (1, 1), activation=None), Mean())

    @property
    def front_end(self) -> str:  # type: ignore[override]
        return self.config.front_end

    @property
    def output(self) -> str:  # type: ignore[override]
        return self.config.output

    def as_map(self, x: NDArray) -> NDArray:
        if not features_of(x.shape, self.config.bins):
            raise ValueError(f"expected features (N, T, {self.config.bins}), got {x.shape}")
        return x[..., None]  # (N, T, 128, 1)
