"""ACDnet in PyTorch, written from the specification's layer table: the independent oracle.

Maps are (N, C, T, F) as PyTorch likes them; only the functions at the end know how acdref names and lays out
its arrays.
"""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

# layer: channels in and out, dilation, attention width, pool (time, frequency)
TABLE = [
    (16, 32, 2, None, (2, 2)),
    (32, 64, 1, 32, (2, 2)),
    (64, 128, 2, None, (2, 2)),
    (128, 256, 1, 128, (1, 2)),
    (256, 128, 2, None, (1, 2)),
    (128, 64, 1, 32, (1, 2)),
    (64, 32, 2, None, (1, 2)),
]

# (acdref's layout -> PyTorch's, and back)
VECTOR = (lambda a: a, lambda a: a)
FULL = (lambda a: a.transpose(3, 2, 0, 1), lambda a: a.transpose(2, 3, 1, 0))  # (3, 3, in, out)
DEPTHWISE = (lambda a: a.transpose(2, 0, 1)[:, None], lambda a: a[:, 0].transpose(1, 2, 0))  # (3, 3, C)
POINTWISE = (lambda a: a.T[:, :, None, None], lambda a: a[:, :, 0, 0].T)  # (in, out)
DENSE = (np.transpose, np.transpose)  # (in, out)


class NormAct(nn.Sequential):
    """BatchNorm, then PReLU with a slope for each channel."""

    def __init__(self, channels):
        super().__init__(nn.BatchNorm2d(channels, eps=1e-5, momentum=0.1), nn.PReLU(channels, init=0.25))


class Attention(nn.Module):
    """y = GroupNorm(x), then x + W_o(attention of y) over all positions."""

    def __init__(self, channels, width, kind):
        super().__init__()
        self.kind = kind
        self.norm = nn.GroupNorm(1, channels)
        self.query = nn.Conv2d(channels, 1 if kind == "separable" else width, 1)
        self.key = nn.Conv2d(channels, width, 1)
        self.value = nn.Conv2d(channels, width, 1)
        self.out = nn.Conv2d(width, channels, 1)

    def forward(self, x):
        n, _, t, f = x.shape
        y = self.norm(x)
        q, k, v = (layer(y).flatten(2) for layer in (self.query, self.key, self.value))  # (N, D, T F)
        if self.kind == "separable":
            context = (torch.softmax(q, dim=2) * k).sum(dim=2, keepdim=True)
            mixed = torch.relu(v) * context
        else:
            q, k = torch.softmax(q, dim=1), torch.softmax(k, dim=2)
            context = k @ v.transpose(1, 2)  # (N, D_k, D_v)
            mixed = context.transpose(1, 2) @ q
        return x + self.out(mixed.reshape(n, -1, t, f))


class Block(nn.Module):
    def __init__(self, before, after, dilation, width, pool, kind):
        super().__init__()
        self.depthwise = nn.Conv2d(before, before, 3, dilation=dilation, padding=(0, dilation), groups=before)
        self.depthwise_act = NormAct(before)
        self.pointwise = nn.Conv2d(before, after, 1)
        self.pointwise_act = NormAct(after)
        self.attention = Attention(after, width, kind) if width else None
        self.pool = nn.MaxPool2d(pool)

    def forward(self, x, keep):
        x = keep("depthwise", self.depthwise_act(self.depthwise(x)))
        x = keep("pointwise", self.pointwise_act(self.pointwise(x)))
        if self.attention is not None:
            x = keep("attention", self.attention(x))
        return keep("pool", self.pool(x))


class Twin(nn.Module):
    """The network of the table, for 257 bins.

    Parameters
    ----------
    classes : int
    kind : {"linear", "separable"}
        Of attention.
    """

    def __init__(self, classes=11, kind="linear"):
        super().__init__()
        self.stem = nn.Conv2d(2, 16, 3, padding=(0, 1))
        self.stem_act = NormAct(16)
        self.blocks = nn.ModuleList(Block(*row, kind) for row in TABLE)
        self.dense = nn.Linear(32 * 2, classes)

    def forward(self, x):
        """Logits (N, classes) of features (N, T, F, 2); ``self.outputs`` keeps every layer's output."""
        self.outputs = {}

        def keep(name, y):
            self.outputs[name] = y
            return y

        x = keep("stem.conv", self.stem_act(self.stem(x.permute(0, 3, 1, 2))))
        for number, block in enumerate(self.blocks, 1):
            x = block(x, lambda name, y, number=number: keep(f"block{number}.{name}", y))
        x = keep("mean", x.mean(dim=2))  # (N, C, F)
        return keep("dense", self.dense(x.flatten(1)))


def masked_bce(logits, labels):
    """Binary cross-entropy over the labels that are known (not NaN)."""
    known = ~torch.isnan(labels)
    return nn.functional.binary_cross_entropy_with_logits(logits[known], labels[known])


def layers(twin):
    """Pairs of acdref's layer name and the twin's module: convolutions, norms, PReLU, dense."""
    yield "stem.conv", twin.stem
    yield "stem.conv_norm", twin.stem_act[0]
    yield "stem.conv_prelu", twin.stem_act[1]
    for number, block in enumerate(twin.blocks, 1):
        name = f"block{number}"
        for part in ("depthwise", "pointwise"):
            yield f"{name}.{part}", getattr(block, part)
            yield f"{name}.{part}_norm", getattr(block, f"{part}_act")[0]
            yield f"{name}.{part}_prelu", getattr(block, f"{part}_act")[1]
        if block.attention is not None:
            for part in ("norm", "query", "key", "value", "out"):
                yield f"{name}.attention.{part}", getattr(block.attention, part)
    yield "dense", twin.dense


def parameters(twin):
    """Triples of acdref's parameter name, the twin's tensor, and its layouts: one of the pairs above."""
    for name, module in layers(twin):
        if isinstance(module, nn.PReLU):
            yield f"{name}.slope", module.weight, VECTOR
        elif isinstance(module, nn.BatchNorm2d | nn.GroupNorm):
            yield f"{name}.gamma", module.weight, VECTOR
            yield f"{name}.beta", module.bias, VECTOR
        else:
            if isinstance(module, nn.Linear):
                layout = DENSE
            elif module.groups > 1:
                layout = DEPTHWISE
            else:
                layout = POINTWISE if module.kernel_size == (1, 1) else FULL
            yield f"{name}.weight", module.weight, layout
            yield f"{name}.bias", module.bias, VECTOR


def copy_parameters(twin, params, state):
    """Give the twin acdref's parameters and running statistics."""
    names = set()
    with torch.no_grad():
        for name, tensor, (to_torch, _) in parameters(twin):
            tensor.copy_(torch.tensor(to_torch(params[name]).copy()))
            names.add(name)
        for name, module in layers(twin):
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.copy_(torch.tensor(state[f"{name}.mean"]))
                module.running_var.copy_(torch.tensor(state[f"{name}.var"]))
    assert names == set(params)


def values(twin):
    """The twin's parameters under acdref's names and in its layout."""
    return {
        name: np.ascontiguousarray(from_torch(tensor.detach().numpy()))
        for name, tensor, (_, from_torch) in parameters(twin)
    }


def gradients(twin):
    """The twin's gradients under acdref's names and in its layout."""
    return {
        name: np.ascontiguousarray(from_torch(tensor.grad.numpy()))
        for name, tensor, (_, from_torch) in parameters(twin)
    }


def running_statistics(twin):
    """The twin's running statistics under acdref's names."""
    return {
        f"{name}.{kind}": buffer.numpy().copy()
        for name, module in layers(twin)
        if isinstance(module, nn.BatchNorm2d)
        for kind, buffer in (("mean", module.running_mean), ("var", module.running_var))
    }


def outputs(twin):
    """The twin's layer outputs, channels last: (N, T, F, C); the mean over time (N, F, C)."""
    return {
        name: y.detach().movedim(1, -1).numpy() if y.ndim > 2 else y.detach().numpy()
        for name, y in twin.outputs.items()
    }
