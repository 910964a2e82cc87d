"""ACDnet (Braun & Gamper 2024, section 2.2): seven convolution blocks, every other one with linear attention.

The paper's figure is not public and no code exists, so the layer table is a reconstruction: the only one
found that meets the printed 248.54 K parameters, 1.40 G multiply-adds and final maps of (62, 2) at once.  A
parameter match alone would prove nothing, and all three together still happen by chance for about 7 % of the
variants searched.  Against it speak: a depthwise-then-pointwise pair is a weak reading of "inverted
residual", the paper names no stem, and "2x2 pooling after each block" must mean 1x2 from block 4 on.  The
table is configuration: a better reading is a new :class:`ACDNetConfig`, not new code.
"""

from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acdref.features.compressed import BINS
from acdref.nets.layers import Attention, Conv, Dense, Flatten, Layer, MaxPool, Mean, Row
from acdref.nets.network import Network, scaled
from acdref.ops.attention import ATTENTION


@dataclass(frozen=True)
class Block:
    """One block: depthwise 3x3 -> pointwise -> [attention] -> max-pool.

    Attributes
    ----------
    channels : int
        Output channels.
    dilation : int
        Of the depthwise convolution, in time and frequency.
    pool : (int, int)
        Window in time and frequency.
    attention : int
        Width of queries, keys and values; 0 for none.
    """

    channels: int
    dilation: int
    pool: tuple[int, int]
    attention: int = 0


@dataclass(frozen=True)
class ACDNetConfig:
    """The layer table.

    Attributes
    ----------
    classes : int
    stem : int
        Channels of the first, full 3x3 convolution.
    blocks : tuple of Block
    attention : {"linear", "separable"}
        "separable" is MobileViTv2's own layer; at full width it cannot meet the printed parameter count.
    bins, inputs : int
        Frequency bins and channels (real, imaginary) of the features.
    """

    classes: int = 11
    stem: int = 16
    blocks: tuple[Block, ...] = (
        Block(32, 2, (2, 2)),
        Block(64, 1, (2, 2), 32),
        Block(128, 2, (2, 2)),
        Block(256, 1, (1, 2), 128),
        Block(128, 2, (1, 2)),
        Block(64, 1, (1, 2), 32),
        Block(32, 2, (1, 2)),
    )
    attention: str = "linear"
    bins: int = BINS
    inputs: int = 2

    @property
    def final_bins(self) -> int:
        """Frequency bins left after the last pool."""
        bins = self.bins
        for block in self.blocks:
            bins //= block.pool[1]
        return bins

    @property
    def min_frames(self) -> int:
        """The fewest input frames that leave one frame at the end (130 in the default table, 2.096 s)."""
        frames = 1
        for block in reversed(self.blocks):
            frames = frames * block.pool[0] + 2 * block.dilation
        return frames + 2

    def scaled(self, width: float) -> "ACDNetConfig":
        """The same with `width` times the channels, those of attention too."""
        blocks = tuple(
            replace(
                block,
                channels=scaled(block.channels, width),
                attention=block.attention and scaled(block.attention, width),
            )
            for block in self.blocks
        )
        return replace(self, stem=scaled(self.stem, width), blocks=blocks)


ACDNET_2024 = ACDNetConfig()


class ACDNet(Network):
    """ACDnet; features are compressed spectrograms, (N, T, 257, 2).

    Parameters as :class:`~acdref.nets.network.Network`, with an :class:`ACDNetConfig`.

    Notes
    -----
    Weights and biases are drawn from U(-1/sqrt(fan_in), 1/sqrt(fan_in)), PyTorch's default for convolutions
    and linear layers; PReLU slopes are 0.25, normalisations the identity.

    Where Numba is installed and attention is linear, :mod:`acdref.fast` computes the same numbers faster: all
    that it knows are the configuration, the parameters and the statistics.

    Examples
    --------
    >>> import numpy as np
    >>> from acdref.nets import ACDNet
    >>> net = ACDNet(seed=1)
    >>> sum(p.size for p in net.params.values())
    248539
    >>> net.predict_proba(np.zeros((1, 130, 257, 2), np.float32)).shape
    (1, 11)
    """

    default = ACDNET_2024
    front_end = "compressed-stft"
    macs_convention = (
        "convolutions and dense layers (attention's projections among them), attention's products, and the "
        "STFT as a direct DFT; no biases, normalisation, activations or pooling"
    )

    @staticmethod
    def build(config: ACDNetConfig) -> tuple[Layer, ...]:
        if config.attention not in ATTENTION:
            raise ValueError(f"attention must be one of {', '.join(ATTENTION)}, got {config.attention!r}")
        if config.final_bins < 1:
            raise ValueError(f"{len(config.blocks)} pools leave nothing of {config.bins} bins")
        common: dict[str, Any] = {"bias": True, "activation": "prelu", "drawn": "uniform"}
        before = config.stem
        layers: list[Layer] = [
            Conv("stem.conv", config.inputs, before, (3, 3), padding=(0, 1), first=True, **common),
        ]
        for number, block in enumerate(config.blocks, 1):
            name, after, dilation = f"block{number}", block.channels, block.dilation
            layers += [
                Conv(
                    f"{name}.depthwise", before, before, (3, 3), padding=(0, dilation),
                    dilation=(dilation, dilation), depthwise=True, stored=(3, 3, before), **common,
                ),
                Conv(f"{name}.pointwise", before, after, (1, 1), stored=(before, after), **common),
            ]  # fmt: skip
            if block.attention:
                layers.append(Attention(f"{name}.attention", after, block.attention, config.attention))
            layers.append(MaxPool(f"{name}.pool", block.pool))
            before = after
        dense = Dense("dense", before * config.final_bins, config.classes)
        return (*layers, Mean((1,)), Flatten(), dense)

    def as_map(self, x: NDArray) -> NDArray:
        config = self.config
        if x.ndim != 4 or x.shape[2:] != (config.bins, config.inputs) or not len(x):
            raise ValueError(f"expected features (N, T, {config.bins}, {config.inputs}), got {x.shape}")
        return x

    def forward(self, x: ArrayLike, train: bool = False) -> tuple[NDArray, list | None]:
        fast = self._compiled("training") if train else None
        return super().forward(x, train) if fast is None else fast.forward(self, self._checked(x))

    def backward(self, tape: list, dlogits: NDArray) -> dict[str, NDArray]:
        fast = self._compiled("training")
        return super().backward(tape, dlogits) if fast is None else fast.backward(self, tape, dlogits)

    def predict_proba(self, x: ArrayLike) -> NDArray:
        fast = self._compiled("inference")
        return super().predict_proba(x) if fast is None else fast.predict_proba(self, self._checked(x))

    def _compiled(self, road: str) -> ModuleType | None:
        """The module of :mod:`acdref.fast` that computes this network; None where there is none."""
        return self.compiled(road) if self.config.attention == "linear" else None

    def layer_table(self, frames: int) -> list[Row]:
        """As :meth:`Network.layer_table`, with the features before the layers.

        Their multiply-adds are those of the STFT as a direct Fourier transform, as the paper's 1.40 G come
        out (with an FFT, the total would be 1.24 G).
        """
        bins, inputs = self.config.bins, self.config.inputs
        window = 2 * (bins - 1)  # samples
        stft = 2 * bins * window * frames
        return [
            Row("features", "compressed STFT", (inputs, frames, bins), macs=stft),
            *super().layer_table(frames),
        ]

    def count_macs(self, frames: int) -> dict[str, int]:
        """Multiply-adds of one clip.

        Returns
        -------
        dict of str to int
            ``convolutions`` (dense layers and attention's projections included), ``attention`` (its
            products), ``stft``, and their ``total``.

        Examples
        --------
        >>> ACDNet().count_macs(frames=624)
        {'convolutions': 1075758112, 'attention': 157057024, 'stft': 164216832, 'total': 1397031968}
        """
        rows = {row.name: row for row in self.layer_table(frames)}
        stft, total = rows["features"].macs, sum(row.macs for row in rows.values())
        products = sum(
            layer.products * int(np.prod(rows[layer.name].shape[1:]))
            for layer in self.layers
            if isinstance(layer, Attention)
        )
        return {"convolutions": total - stft - products, "attention": products, "stft": stft, "total": total}
