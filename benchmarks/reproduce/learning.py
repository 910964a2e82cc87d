"""The network of the experiments, its training by the package's own loop, and its scores."""

import numpy as np
from sounds import BANDS

from acdref.fit import Job, by_steps, fit
from acdref.labels import or_join
from acdref.losses import bce
from acdref.nets import ACDNet, ACDNetConfig, Block
from acdref.optim import cosine

AVERAGE = 0.99
WARMUP = 0.05
LOG10 = np.float32(np.log(10))


def network(classes, seed, width=1.0):
    """A stem and three of ACDnet's blocks, narrow, without attention or dilation, for 32 mel bands.

    6,795 parameters with eleven classes.
    """
    stem, *blocks = (round(channels * width) for channels in (8, 16, 32, 64))
    pools = (2, 2), (2, 2), (1, 2)
    blocks = tuple(Block(channels, 1, pool) for channels, pool in zip(blocks, pools, strict=True))
    return ACDNet(ACDNetConfig(classes=classes, stem=stem, blocks=blocks, bins=BANDS, inputs=1), seed)


def with_classes(net, classes, seed):
    """A network of other classes with a network's weights but for the last layer, which is drawn anew."""
    fresh = network(classes, seed)
    for own, kept in ((fresh.params, net.params), (fresh.state, net.state)):
        for name in own:
            if not name.startswith("dense"):
                own[name][...] = kept[name]
    return fresh


def train(net, batch, steps, lr=5e-3, loss=bce, warmup=WARMUP):
    """Train in place by ``batch(step)``; what counts is the running average of the last weights.

    AdamW; the rate rises over a twentieth of the steps and falls to 0 as half a cosine.
    """
    job = Job(
        epochs=1,
        steps=steps,
        batches=by_steps(lambda epoch, step: batch(step), steps),
        loss=loss,
        rate=lambda epoch, step: lr * cosine(step, steps, round(warmup * steps)),
        weight_decay=0.01,
        average=AVERAGE,
    )
    fit(net, job)
    return net


def drawn(x, labels, seed, size=16, join=False):
    """``batch(step)`` of clips drawn at random, as features that are turned in time and moved in level.

    Parameters
    ----------
    x : (N, T, 32, 1) array
    labels : (N, C) array
    seed : int
    size : int
        Clips of a batch.
    join : bool
        Every second clip is two, of which the powers in the mel bands are added and the labels joined.
    """
    rng = np.random.default_rng([seed, 5])

    def some():
        rows, shifts = rng.integers(len(x), size=size), rng.integers(x.shape[1], size=size)
        clips = np.stack([np.roll(x[i], shift, axis=0) for i, shift in zip(rows, shifts, strict=True)])
        return clips, labels[rows]

    def batch(step):
        clips, y = some()
        if join:
            others, theirs = some()
            both = rng.random(size) < 0.5
            clips[both], y[both] = power_sum(clips[both], others[both]), or_join([y[both], theirs[both]])
        clips += rng.normal(0, 0.15, (size, 1, 1, 1)).astype(np.float32)  # 3 dB
        clips += 0.05 * rng.standard_normal(clips.shape, dtype=np.float32)
        return clips, y

    return batch


def power_sum(first, second):
    """Features of two sounds at once: the sum of their powers in each band, of which a step of 1 is 20 dB."""
    return np.logaddexp(2 * LOG10 * first, 2 * LOG10 * second) / (2 * LOG10)


def logits(net, x, size=64):
    """(N, C), of the network as it answers."""
    return np.concatenate([net.forward(x[i : i + size])[0] for i in range(0, len(x), size)]).astype(
        np.float64
    )


def scores(net, x, size=64):
    """(N, C) probabilities."""
    return np.concatenate([net.predict_proba(x[i : i + size]) for i in range(0, len(x), size)])
