"""ResNet-50 on patches of a log-mel spectrogram (Hershey et al. 2021).

The paper names the network and its input, 96 frames of 64 bins.  As in the same authors' earlier comparison
(2017), the first convolution has no stride, so that a patch leaves 6 x 4 positions; the strides of later
stages are in the 3x3 convolutions.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acdref.features.papers import PATCH_FRAMES
from acdref.nets.layers import Conv, Dense, Layer, MaxPool, Mean, Residual, Row, forward, rows
from acdref.nets.network import Network, scaled
from acdref.ops.activation import mean_sigmoid_logit, mean_sigmoid_logit_backward


@dataclass(frozen=True)
class BottleneckStage:
    """`blocks` bottlenecks of so many `channels`, of which the first has the `stride`."""

    blocks: int
    channels: int
    stride: int = 2


@dataclass(frozen=True)
class ResNetConfig:
    """The layer table.

    Attributes
    ----------
    classes : int
    stem : int
        Channels of the first, 7x7 convolution, behind which comes 3x3 max-pooling with stride 2.
    stages : tuple of BottleneckStage
    expansion : int
        A bottleneck's output has so many times its channels.
    frames, bins : int
        Of a patch.
    """

    classes: int = 527
    stem: int = 64
    stages: tuple[BottleneckStage, ...] = (
        BottleneckStage(3, 64, 1),
        BottleneckStage(4, 128),
        BottleneckStage(6, 256),
        BottleneckStage(3, 512),
    )
    expansion: int = 4
    frames: int = PATCH_FRAMES
    bins: int = 64

    def scaled(self, width: float) -> "ResNetConfig":
        """The same with `width` times the channels."""
        stages = tuple(replace(stage, channels=scaled(stage.channels, width)) for stage in self.stages)
        return replace(self, stem=scaled(self.stem, width), stages=stages)


class ResNet50(Network):
    """ResNet-50; features are patches, (N, P, 96, 64), and a clip's score is the mean of its patches' scores.

    Parameters as :class:`~acdref.nets.network.Network`, with a :class:`ResNetConfig`.

    Examples
    --------
    >>> import numpy as np
    >>> stages = BottleneckStage(1, 4, 1), BottleneckStage(1, 8)
    >>> net = ResNet50(ResNetConfig(classes=3, stem=4, stages=stages))
    >>> net.predict_proba(np.zeros((1, 2, 96, 64))).shape
    (1, 3)
    """

    default = ResNetConfig()
    front_end = "log-mel-patches"

    @staticmethod
    def build(config: ResNetConfig) -> tuple[Layer, ...]:
        """The layers, from a map of one patch each to its logits."""
        layers = [
            Conv("stem", 1, config.stem, (7, 7), (1, 1), (3, 3), first=True),
            MaxPool("stem.pool", (3, 3), (2, 2), (1, 1)),
        ]
        before = config.stem
        for i, stage in enumerate(config.stages, 1):
            after = stage.channels * config.expansion
            for j in range(1, stage.blocks + 1):
                stride = (stage.stride,) * 2 if j == 1 else (1, 1)
                layers.append(_bottleneck(f"stage{i}.block{j}", before, stage.channels, after, stride))
                before = after
        return (*layers, Mean(), Dense("dense", before, config.classes))

    def as_map(self, x: NDArray) -> NDArray:
        patch = self.config.frames, self.config.bins
        if x.ndim != 4 or x.shape[2:] != patch or 0 in x.shape:
            raise ValueError(f"expected patches (N, P, {patch[0]}, {patch[1]}), got {x.shape}")
        return x.reshape(-1, *patch, 1)  # (N P, 96, 64, 1)

    def _rows(self, frames):
        """Shapes of one patch, and multiply-adds of so many of them."""
        table, shape = rows(self.layers, (1, self.config.frames, self.config.bins))
        table = [row._replace(macs=row.macs * frames) for row in table]
        return [*table, Row("clip", "mean of sigmoids", shape)]

    def patch_logits(self, x: ArrayLike, train: bool = False) -> tuple[NDArray, list | None]:
        """Logits of each patch.

        Parameters
        ----------
        x : (N, P, 96, 64) array
        train : bool
            As in :meth:`forward`.

        Returns
        -------
        logits : (N, P, classes) array
        tape : list or None
        """
        x = np.asarray(x)
        logits, tape = forward(self.layers, self, self._checked(x), train)
        return logits.reshape(*x.shape[:2], -1), tape  # (N, P, classes)

    def forward(self, x: ArrayLike, train: bool = False) -> tuple[NDArray, list | None]:
        logits, tape = self.patch_logits(x, train)
        if tape is not None:
            tape.append(logits)
        return mean_sigmoid_logit(logits), tape  # (N, classes)

    def backward(self, tape: list, dlogits: NDArray) -> dict[str, NDArray]:
        logits = tape.pop()
        dlogits = dlogits.astype(self.dtype, copy=False)
        dpatches = mean_sigmoid_logit_backward(dlogits, logits)  # (N, P, classes)
        return super().backward(tape, dpatches.reshape(-1, logits.shape[-1]))  # (N P, classes)


def _bottleneck(name, before, channels, after, stride):
    """Reduce, 3x3, expand, around which goes a shortcut; at the start it is the shortcut alone."""
    body = (
        Conv(f"{name}.reduce", before, channels, (1, 1)),
        Conv(f"{name}.conv", channels, channels, (3, 3), stride, (1, 1)),
        Conv(f"{name}.expand", channels, after, (1, 1), activation=None, gamma=0.0),
    )
    same = before == after and stride == (1, 1)
    around = () if same else (Conv(f"{name}.shortcut", before, after, (1, 1), stride, activation=None),)
    return Residual(body, around, "relu")
