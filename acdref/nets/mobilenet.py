"""MobileNetV2 with a score for each frame (Dinkel et al. 2022).

Their poster names the network and no more; table, scores of frames and dropout are those of their released
code, counted there, not copied.
"""

from dataclasses import dataclass, replace

from numpy.typing import ArrayLike, NDArray

from acdref.nets.layers import Conv, Dense, Dropout, Layer, Mean, MeanSigmoid, Residual, forward
from acdref.nets.network import Network, features_of, scaled


@dataclass(frozen=True)
class InvertedStage:
    """Inverted residual blocks.

    Attributes
    ----------
    expansion : int
        The depthwise convolution has so many times the input's channels.
    channels : int
        Of the output.
    blocks : int
    stride : int
        Of the first block, in time and frequency.
    """

    expansion: int
    channels: int
    blocks: int
    stride: int


@dataclass(frozen=True)
class MobileNetConfig:
    """The layer table.

    Attributes
    ----------
    classes : int
    stem : int
        Channels of the first, 3x3 convolution with stride 2.
    stages : tuple of InvertedStage
    last : int
        Channels of the last, 1x1 convolution.
    dropout : float
        Before the classifier.
    bins : int
        Of the spectrogram.
    """

    classes: int = 527
    stem: int = 32
    stages: tuple[InvertedStage, ...] = (
        InvertedStage(1, 16, 1, 1),
        InvertedStage(6, 24, 2, 2),
        InvertedStage(6, 32, 3, 2),
        InvertedStage(6, 64, 4, 2),
        InvertedStage(6, 96, 3, 1),
        InvertedStage(6, 160, 3, 2),
        InvertedStage(6, 320, 1, 1),
    )
    last: int = 1280
    dropout: float = 0.3
    bins: int = 64

    def scaled(self, width: float) -> "MobileNetConfig":
        """The same with `width` times the channels, those of the last convolution too."""
        stages = tuple(replace(stage, channels=scaled(stage.channels, width)) for stage in self.stages)
        return replace(self, stem=scaled(self.stem, width), stages=stages, last=scaled(self.last, width))


class MobileNetV2(Network):
    """MobileNetV2; features are (N, T, 64), and a clip's score is the mean of its frames' scores.

    Parameters as :class:`~acdref.nets.network.Network`, with a :class:`MobileNetConfig`.

    Notes
    -----
    2,898,383 parameters with 527 classes.  A frame of the scores is 32 of the input: 1001 leave 32.

    Examples
    --------
    >>> import numpy as np
    >>> net = MobileNetV2(MobileNetConfig(classes=3, stem=4, stages=(InvertedStage(2, 4, 2, 2),), last=8))
    >>> net.predict_proba(np.zeros((1, 20, 64))).shape, net.frame_logits(np.zeros((1, 20, 64))).shape
    ((1, 3), (1, 5, 3))
    """

    default = MobileNetConfig()
    front_end = "decibel-mel"

    @staticmethod
    def build(config: MobileNetConfig) -> tuple[Layer, ...]:
        layers = [Conv("stem", 1, config.stem, (3, 3), (2, 2), (1, 1), activation="relu6", first=True)]
        before = config.stem
        for i, stage in enumerate(config.stages, 1):
            for j in range(1, stage.blocks + 1):
                stride = (stage.stride,) * 2 if j == 1 else (1, 1)
                name = f"stage{i}.block{j}"
                layers += _inverted(name, before, before * stage.expansion, stage.channels, stride)
                before = stage.channels
        return (
            *layers,
            Conv("last", before, config.last, (1, 1), activation="relu6"),
            Mean((2,)),
            *([Dropout(config.dropout)] if config.dropout else []),
            Dense("dense", config.last, config.classes),
            MeanSigmoid(),
        )

    def as_map(self, x: NDArray) -> NDArray:
        if not features_of(x.shape, self.config.bins):
            raise ValueError(f"expected features (N, T, {self.config.bins}), got {x.shape}")
        return x[..., None]  # (N, T, 64, 1)

    def frame_logits(self, x: ArrayLike) -> NDArray:
        """Logits of each frame, (N, ceil(T / 32), classes)."""
        return forward(self.layers[:-1], self, self._checked(x), train=False)[0]


def _inverted(name, before, hidden, after, stride):
    """An inverted residual block; the sum only where input and output have one shape."""
    body = [
        Conv(f"{name}.depthwise", hidden, hidden, (3, 3), stride, (1, 1), depthwise=True, activation="relu6"),
        Conv(f"{name}.project", hidden, after, (1, 1), activation=None),
    ]
    if hidden != before:
        body.insert(0, Conv(f"{name}.expand", before, hidden, (1, 1), activation="relu6"))
    return [Residual(tuple(body))] if stride == (1, 1) and before == after else body
