"""The 1-D network on the waveform (Grzywalski & Botteldooren, table II).

Known are nine valid convolutions with batch normalisation, the lengths that they leave of 80 000 samples at
8 kHz, 128 values at the end, and 1,810,575 parameters for 527 classes.  The lengths ask for stride 3 and
leave three sizes for each kernel.  Widths and kernels below are a reconstruction: the plainest table found,
of powers of two and kernels that never grow, that meets lengths and count exactly.  Others do too.  A better
one is a new :class:`Conv1DConfig`, not new code.
"""

from dataclasses import dataclass, replace

from numpy.typing import ArrayLike, NDArray

from acdref.nets.layers import Conv, Dense, Layer, Mean, forward
from acdref.nets.network import Network, features_of, scaled


@dataclass(frozen=True)
class Conv1DLayer:
    """A valid convolution over time, batch normalisation, ELU."""

    channels: int
    size: int
    stride: int = 3


@dataclass(frozen=True)
class Conv1DConfig:
    """The layer table: `layers`, and a dense layer to the `classes`."""

    classes: int = 527
    layers: tuple[Conv1DLayer, ...] = (
        Conv1DLayer(64, 17),
        Conv1DLayer(64, 15),
        Conv1DLayer(64, 15),
        Conv1DLayer(64, 14),
        Conv1DLayer(512, 11),
        Conv1DLayer(64, 10),
        Conv1DLayer(512, 9),
        Conv1DLayer(128, 7),
        Conv1DLayer(128, 7),
    )

    def scaled(self, width: float) -> "Conv1DConfig":
        """The same with `width` times the channels."""
        layers = tuple(replace(layer, channels=scaled(layer.channels, width)) for layer in self.layers)
        return replace(self, layers=layers)


class Conv1D(Network):
    """The 1-D network; features are samples at 8 kHz, (N, T).

    Parameters as :class:`~acdref.nets.network.Network`, with a :class:`Conv1DConfig`.

    Notes
    -----
    1,810,575 parameters with 527 classes.  Clips of other lengths than 10 s leave several positions at the
    end, of which the mean is taken.

    Examples
    --------
    >>> import numpy as np
    >>> net = Conv1D(Conv1DConfig(classes=3, layers=(Conv1DLayer(4, 9), Conv1DLayer(5, 7))))
    >>> net.predict_proba(np.zeros((1, 40))).shape, net.embedding(np.zeros((1, 40))).shape
    ((1, 3), (1, 5))
    """

    default = Conv1DConfig()
    front_end = "waveform"

    @staticmethod
    def build(config: Conv1DConfig) -> tuple[Layer, ...]:
        layers, before = [], 1
        for number, layer in enumerate(config.layers, 1):
            geometry = (layer.size, 1), (layer.stride, 1)
            layers.append(
                Conv(
                    f"conv{number}",
                    before,
                    layer.channels,
                    *geometry,
                    bias=True,
                    activation="elu",
                    first=number == 1,
                )
            )
            before = layer.channels
        return (*layers, Mean(), Dense("dense", before, config.classes))

    def as_map(self, x: NDArray) -> NDArray:
        if not features_of(x.shape):
            raise ValueError(f"expected samples (N, T), got {x.shape}")
        return x[:, :, None, None]  # (N, T, 1, 1)

    def embedding(self, x: ArrayLike) -> NDArray:
        """What the last convolution makes of clips, normalised, before its ELU.

        Parameters
        ----------
        x : (N, T) array
            Samples at 8 kHz.

        Returns
        -------
        (N, channels) array
            128 values a clip in the paper, on which its transfer to other classes builds.
        """
        last = len(self.config.layers)
        layers = (*self.layers[: last - 1], replace(self.layers[last - 1], activation=None))  # type: ignore[type-var]
        return forward((*layers, Mean()), self, self._checked(x), train=False)[0]  # (N, channels)
