"""The four further networks in PyTorch, written from their papers and codes: the independent oracle.

A twin is made of an acdref configuration, and filled from its arrays in their order: each convolution is
followed by its normalisation, the dense layer comes last.
"""

import numpy as np
import torch
from torch import nn


class VGG(nn.Sequential):
    def __init__(self, config):
        modules, before = [], 1
        for layer in config.layers:
            modules += [
                nn.Conv2d(before, layer.filters, layer.size, layer.stride, layer.padding, bias=False),
                nn.BatchNorm2d(layer.filters),
                nn.ReLU(),
                nn.MaxPool2d(layer.pool),
            ]
            before = layer.filters
        modules += [nn.Conv2d(before, config.classes, 1, bias=False), nn.BatchNorm2d(config.classes)]
        super().__init__(*modules)

    def forward(self, x):
        return super().forward(x[:, None]).mean((2, 3))


class Waves(nn.Module):
    def __init__(self, config):
        super().__init__()

        def behind(layer, channels):
            two = [nn.BatchNorm1d(channels), nn.ELU()]
            return [layer, *(two[::-1] if config.norm_last else two)]

        modules, before = [], 1
        for layer in config.layers:
            modules += behind(
                nn.Conv1d(before, layer.channels, layer.size, layer.stride, bias=True), layer.channels
            )
            before = layer.channels
        self.features, modules = nn.Sequential(*modules), []
        for units in config.dense:
            modules += behind(nn.Linear(before, units), units)
            before = units
        self.hidden = nn.Sequential(*modules)
        self.dense = nn.Linear(before, config.classes)

    def forward(self, x):
        return self.dense(self.hidden(self.features(x[:, None]).mean(2)))

    def embedding(self, x):
        return self.hidden[:-2](self.features(x[:, None]).mean(2))


class Bottleneck(nn.Module):
    def __init__(self, before, channels, after, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, after, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(after)
        self.downsample = nn.Identity()
        if stride != 1 or before != after:
            self.downsample = nn.Sequential(
                nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)
            )

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        return torch.relu(self.bn3(self.conv3(y)) + self.downsample(x))


class ResNet(nn.Module):
    def __init__(self, config):
        super().__init__()
        modules = [nn.Conv2d(1, config.stem, 7, 1, 3, bias=False), nn.BatchNorm2d(config.stem), nn.ReLU()]
        modules.append(nn.MaxPool2d(3, 2, 1))
        before = config.stem
        for stage in config.stages:
            for block in range(stage.blocks):
                after = stage.channels * config.expansion
                modules.append(Bottleneck(before, stage.channels, after, 1 if block else stage.stride))
                before = after
        self.features = nn.Sequential(*modules)
        self.dense = nn.Linear(before, config.classes)

    def patch_logits(self, x):
        n, patches = x.shape[:2]
        return self.dense(self.features(x.flatten(0, 1)[:, None]).mean((2, 3))).view(n, patches, -1)

    def forward(self, x):
        return torch.logit(torch.sigmoid(self.patch_logits(x)).mean(1))


class Inverted(nn.Module):
    def __init__(self, before, after, stride, expansion):
        super().__init__()
        hidden = before * expansion
        modules = []
        if expansion != 1:
            modules += [nn.Conv2d(before, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU6()]
        modules += [
            nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU6(),
            nn.Conv2d(hidden, after, 1, bias=False),
            nn.BatchNorm2d(after),
        ]
        self.conv = nn.Sequential(*modules)
        self.residual = stride == 1 and before == after

    def forward(self, x):
        return x + self.conv(x) if self.residual else self.conv(x)


class MobileNet(nn.Module):
    """On (N, C, F, T), as its authors have it."""

    def __init__(self, config):
        super().__init__()
        modules = [nn.Conv2d(1, config.stem, 3, 2, 1, bias=False), nn.BatchNorm2d(config.stem), nn.ReLU6()]
        before = config.stem
        for stage in config.stages:
            for block in range(stage.blocks):
                stride = 1 if block else stage.stride
                modules.append(Inverted(before, stage.channels, stride, stage.expansion))
                before = stage.channels
        modules += [nn.Conv2d(before, config.last, 1, bias=False), nn.BatchNorm2d(config.last), nn.ReLU6()]
        modules.append(nn.AdaptiveAvgPool2d((1, None)))
        self.features = nn.Sequential(*modules)
        self.classifier = nn.Linear(config.last, config.classes)

    def frame_logits(self, x):
        y = self.features(x.transpose(1, 2)[:, None])  # (N, C, 1, T)
        return self.classifier(y[:, :, 0].transpose(1, 2))

    def forward(self, x):
        return torch.logit(torch.sigmoid(self.frame_logits(x)).mean(1))


TWINS = {
    "vgg-gap": VGG,
    "conv1d": Waves,
    "conv1d-norm-last": Waves,
    "resnet50": ResNet,
    "mobilenetv2": MobileNet,
}


def twin_of(name, net):
    """The double-precision twin of a network, with its arrays."""
    twin = TWINS[name](net.config).double()
    if name == "mobilenetv2":
        net = _Turned(net)
    params, state = iter(net.params.values()), iter(net.state.values())
    with torch.no_grad():
        for tensor in twin.parameters():
            tensor.copy_(torch.tensor(_to_torch(next(params), tensor.ndim)))
        for tensor in _statistics(twin):
            tensor.copy_(torch.tensor(next(state)))
    assert next(params, None) is next(state, None) is None
    return twin


def gradients(name, net, twin):
    """The twin's gradients under acdref's names and in its layout."""
    return _named(name, net, [tensor.grad for tensor in twin.parameters()])


def values(name, net, twin):
    """The twin's parameters under acdref's names and in its layout."""
    return _named(name, net, [tensor.detach() for tensor in twin.parameters()])


def _named(name, net, tensors):
    pairs = zip(net.params.items(), tensors, strict=True)
    found = {key: _from_torch(tensor.numpy(), a.ndim) for (key, a), tensor in pairs}
    return _turned(found) if name == "mobilenetv2" else found


def statistics(net, twin):
    """The twin's running statistics under acdref's names."""
    return {key: t.numpy() for key, t in zip(net.state, _statistics(twin), strict=True)}


def _statistics(twin):
    return [b for name, b in twin.named_buffers() if not name.endswith("num_batches_tracked")]


class _Turned:
    """A network whose kernels have time and frequency exchanged."""

    def __init__(self, net):
        self.params, self.state = _turned(net.params), net.state


def _turned(arrays):
    return {key: a.swapaxes(0, 1) if a.ndim == 4 else a for key, a in arrays.items()}


def _to_torch(a, ndim):
    if a.ndim == 4:
        a = a.transpose(3, 2, 0, 1)
        return (a if ndim == 4 else a[..., 0]).copy()
    return a.T.copy()


def _from_torch(a, ndim):
    if ndim == 4:
        return (a if a.ndim == 4 else a[..., None]).transpose(2, 3, 1, 0)
    return np.ascontiguousarray(a.T)
