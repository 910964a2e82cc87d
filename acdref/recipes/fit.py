"""Training on any batches with any loss, so that a killed run continues to the very same result.

:func:`acdref.train.train` trains on sequences of recordings as ACDnet's paper does; the systems of other
papers differ in what a batch is, in the loss and in the schedule, and share this loop.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from acdref import checkpoint
from acdref.errors import AcdrefError, CheckpointError
from acdref.optim import AdamW
from acdref.recipes.stages import Stopped
from acdref.train import CHECKPOINT_SECONDS


@dataclass(frozen=True)
class Job:
    """What to train on, and how.

    Attributes
    ----------
    epochs, steps : int
        Epochs, and batches in each.
    batch : callable
        From (epoch, step), both from 0 on, to features and labels of a batch, and to nothing else.
    loss : callable
        From labels and logits to the loss and its gradient with respect to the logits.
    rate : callable
        From an epoch to its learning rate, for Adam.
    validate : callable, optional
        From the network to a loss, after each epoch: the weights with the lowest are kept.  Without it, the
        last ones.
    seed : int
        Of dropout.
    """

    epochs: int
    steps: int
    batch: Callable
    loss: Callable
    rate: Callable
    validate: Callable | None = None
    seed: int = 0


def fit(net, job, path, observer):
    """Train a network in place, or continue to.

    Parameters
    ----------
    net : network
        With the weights to start from; in the end it has the trained ones.
    job : Job
    path : Path
        The checkpoint, written after each epoch and every few minutes.  If it is there, training continues
        from it; one of a finished job is only read.
    observer : acdref.recipes.stages.Observer

    Returns
    -------
    list of dict
        ``epoch``, ``loss``, ``lr`` and, if there is validation, ``val_loss`` of each epoch.

    Raises
    ------
    AcdrefError
        If the loss is not finite, or the checkpoint is not this job's.
    acdref.recipes.stages.Stopped
        If the observer stopped it; the checkpoint is written.
    """
    run = _Run(net, job, path, observer)
    if path.exists():
        run.restore()
    run.work()
    return run.rows


class _Run:
    def __init__(self, net, job, path, observer):
        self.net, self.job, self.path, self.observer = net, job, path, observer
        self.optimiser = AdamW(net.params, job.rate(0), weight_decay=0.0)
        self.epoch, self.step, self.loss_sum = 0, 0, 0.0
        self.rows = []
        self.best = None  # arrays of the network with the lowest validation loss

    def work(self):
        job, observer = self.job, self.observer
        observer.start(job.epochs, job.steps, 1)
        while self.epoch < job.epochs:
            saved = started = time.monotonic()
            for done in range(1, job.steps - self.step + 1):
                self._learn()
                now = time.monotonic()
                observer.step(self.epoch, self.step, self.loss_sum / self.step, done / (now - started))
                if observer.should_stop():
                    self.save()
                    raise Stopped
                if now - saved > CHECKPOINT_SECONDS:
                    self.save()
                    saved = now
            self._close_epoch()
        if self.best is not None:
            checkpoint.restore_network(self.path, self.net, self.best)

    def _learn(self):
        epoch, step = self.epoch, self.step
        x, y = self.job.batch(epoch, step)
        self.optimiser.lr = self.job.rate(epoch)
        # What dropout draws from: the same wherever a run was stopped and resumed.
        self.net.rng = np.random.default_rng([self.job.seed, epoch, step])
        logits, tape = self.net.forward(x, train=True)
        loss, dlogits = self.job.loss(y, logits)
        if not np.isfinite(loss):
            raise AcdrefError(
                f"{self.path}: the loss is {loss} in epoch {epoch + 1}: try a lower learning rate"
            )
        self.optimiser.step(self.net.backward(tape, dlogits))
        self.loss_sum += loss
        self.step += 1

    def _close_epoch(self):
        lr = self.job.rate(self.epoch)
        row = {"epoch": self.epoch + 1, "loss": self.loss_sum / self.step, "lr": lr}
        if self.job.validate is not None:
            row["val_loss"] = float(self.job.validate(self.net))
            if all(row["val_loss"] < before["val_loss"] for before in self.rows):
                arrays = checkpoint.network_arrays(self.net)
                self.best = {name: a.copy() for name, a in arrays.items()}
        self.rows.append(row)
        self.epoch, self.step, self.loss_sum = self.epoch + 1, 0, 0.0
        self.save()
        self.observer.epoch(row)

    def save(self):
        """Write the checkpoint."""
        arrays = checkpoint.network_arrays(self.net)
        arrays |= {f"optimiser/{name}": a for name, a in self.optimiser.arrays.items()}
        arrays |= {f"best/{name}": a for name, a in (self.best or {}).items()}
        arrays["progress"] = np.array([self.epoch, self.step, self.loss_sum], np.float64)
        meta = {"format": checkpoint.FORMAT, "version": checkpoint.VERSION}
        checkpoint.save(self.path, arrays, meta | {"rows": self.rows, "size": self._size})

    @property
    def _size(self):
        return [self.job.epochs, self.job.steps]

    def restore(self):
        """Continue from the checkpoint."""
        arrays, meta = checkpoint.load(self.path)
        if meta.get("size") != self._size:
            raise CheckpointError(self.path, "of another run than this: delete it to begin anew")
        checkpoint.restore_network(self.path, self.net, arrays)
        self.optimiser.load(_part(arrays, "optimiser"))
        self.best = _part(arrays, "best") or None
        epoch, step, self.loss_sum = arrays["progress"].tolist()
        self.epoch, self.step = int(epoch), int(step)
        self.rows = meta["rows"]


def _part(arrays, name):
    return {key.removeprefix(f"{name}/"): a for key, a in arrays.items() if key.startswith(f"{name}/")}
