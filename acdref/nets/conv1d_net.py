"""The 1-D network on the waveform (Grzywalski & Botteldooren, Table II)."""

from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import ArrayLike, NDArray

from acdref.nets.layers import Conv, Dense, Hidden, Layer, Mean, forward
from acdref.nets.network import Network, features_of, scaled


@dataclass(frozen=True)
class Conv1DLayer:
    """A valid convolution over time with bias, batch normalisation, ELU."""

    channels: int
    size: int
    stride: int = 3


@dataclass(frozen=True)
class Conv1DConfig:
    """The layer table: convolutions, dense layers with normalisation and ELU, a dense layer to the `classes`.

    Attributes
    ----------
    norm_last : bool
        ELU before the normalisation in all layers.  "All layers except the last layer utilize ELU
        non-linearity and batch normalization" does not say which comes first; by default it is the
        normalisation, as in the other networks.
    """

    classes: int = 527
    layers: tuple[Conv1DLayer, ...] = (
        Conv1DLayer(64, 17),
        Conv1DLayer(64, 16),
        Conv1DLayer(96, 15),
        Conv1DLayer(96, 14),
        Conv1DLayer(128, 13),
        Conv1DLayer(128, 12),
        Conv1DLayer(192, 9),
        Conv1DLayer(192, 9),
        Conv1DLayer(256, 9, 1),
    )
    dense: tuple[int, ...] = (256, 128)
    norm_last: bool = False

    def scaled(self, width: float) -> "Conv1DConfig":
        """The same with `width` times the channels and units."""
        layers = tuple(replace(layer, channels=scaled(layer.channels, width)) for layer in self.layers)
        return replace(self, layers=layers, dense=tuple(scaled(units, width) for units in self.dense))


class Conv1D(Network):
    """The 1-D network; features are samples at 8 kHz, (N, T).

    Parameters as :class:`~acdref.nets.network.Network`, with a :class:`Conv1DConfig`.

    Notes
    -----
    Table II as printed: 1,810,575 parameters with 527 classes, biases and normalisation included.  Its
    convolutions see exactly the 80 000 samples that the paper gives them, and leave one position.  Longer
    clips leave one more for every 6561 samples; the dense layers take the mean over positions (our choice:
    the paper has no other clips).

    Examples
    --------
    >>> import numpy as np
    >>> net = Conv1D(Conv1DConfig(classes=3, layers=(Conv1DLayer(4, 9), Conv1DLayer(5, 7)), dense=(7, 6)))
    >>> net.predict_proba(np.zeros((1, 40))).shape, net.embedding(np.zeros((1, 40))).shape
    ((1, 3), (1, 6))
    """

    default = Conv1DConfig()
    front_end = "waveform"

    @staticmethod
    def build(config: Conv1DConfig) -> tuple[Layer, ...]:
        layers, before = list[Layer](), 1
        how: dict[str, Any] = {"bias": True, "activation": "elu", "norm_last": config.norm_last}
        for number, layer in enumerate(config.layers, 1):
            geometry = (layer.size, 1), (layer.stride, 1)
            layers.append(Conv(f"conv{number}", before, layer.channels, *geometry, first=number == 1, **how))
            before = layer.channels
        layers.append(Mean())
        for number, units in enumerate(config.dense, 1):
            layers.append(Hidden(f"dense{number}", before, units, stored=(before, units), **how))
            before = units
        return (*layers, Dense("dense", before, config.classes))

    def as_map(self, x: NDArray) -> NDArray:
        if not features_of(x.shape):
            raise ValueError(f"expected samples (N, T), got {x.shape}")
        return x[:, :, None, None]  # (N, T, 1, 1)

    def embedding(self, x: ArrayLike) -> NDArray:
        """What the next-to-last layer makes of clips, before its batch normalisation and ELU.

        Parameters
        ----------
        x : (N, T) array
            Samples at 8 kHz.

        Returns
        -------
        (N, units) array
            128 values a clip in the paper, on which its transfer to other classes builds.
        """
        *before, last, _ = self.layers
        y, _ = forward(before, self, self._checked(x), train=False)  # (N, inputs)
        return last.plain(self, y)  # type: ignore[attr-defined]  # (N, units)
