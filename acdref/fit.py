"""The training loop: any batches with any loss, so that a killed run continues to the very same result.

`acdref train`, the recipes and the reproductions differ in what a batch is, in the loss, in the schedule, and
in what decides which weights are kept.  All of them are a :class:`Job` of this loop.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from acdref import checkpoint
from acdref.errors import AcdrefError, CheckpointError
from acdref.files import json_number, write_table
from acdref.nets import registry
from acdref.nets.network import Network
from acdref.optim import AdamW, Average, Plateau
from acdref.ranks import RankLost
from acdref.tables.history import standing

CHECKPOINT_SECONDS = 300
Say = Callable[[str], object] | None


class Stopped(Exception):
    """The observer wants the work to stop; what it needs to continue is on the disk."""


class Observer:
    """What training and recipes tell while they work; the command line prints it.  Here nothing is done."""

    def log(self, text: str) -> None:
        """One line about something that happened."""

    def start(self, epochs: int, steps: int, batch: int) -> None:
        """Before the first step: how much there is to do."""

    def step(self, epoch: int, step: int, loss: float, rate: float) -> None:
        """After each step: mean loss of the epoch so far, sequences per second."""

    def epoch(self, row: dict) -> None:
        """After each epoch: its number, loss, rate and what validation has found."""

    def progress(self, done: int, count: int) -> None:
        """After each of many recordings."""

    def should_stop(self) -> bool:
        """True to stop after the current step, with a checkpoint."""
        return False


def tell(observer: Observer, done: int, count: int) -> None:
    """Say how many recordings of how many are done; :class:`Stopped` if the observer wants that."""
    observer.progress(done, count)
    if observer.should_stop():
        raise Stopped


def reports(observer: Observer) -> dict[str, Callable]:
    """Arguments of what goes through recordings, so that the observer is told of it."""
    return {
        "on_failure": lambda error: observer.log(f"left out: {error}"),
        "progress": lambda done, count, *_: tell(observer, done, count),
        "say": observer.log,
    }


@dataclass(frozen=True)
class Job:
    """What to train on, and how.

    Attributes
    ----------
    epochs, steps : int
        Epochs, and batches in each.
    batches : callable
        ``batches(epoch, step)`` gives the batches of an epoch from a step on, both from 0 on: features and
        labels that depend on nothing else.
    loss : callable
        From labels and logits to the loss and its gradient with respect to the logits.
    rate : callable
        ``rate(epoch, step)`` is the learning rate of a step.
    weight_decay : float
        Of AdamW; without it that is Adam.
    average : float
        Decay of the running average of weights that is validated and kept; 0: the weights themselves.
    plateau : Plateau, optional
        What `rate` depends on, if it does; told each epoch's validation mAP.
    validate : callable, optional
        From the network to measures, after each epoch: what `keep` names among them, and perhaps others.
    keep : {"mAP", "AUC", "loss", "last"}
        Which weights count: those with the highest ``val_mAP`` or ``val_AUC``, the lowest ``val_loss``, or
        the last; of equal ones the first.
    patience : int, optional
        Training is over when the epoch whose weights count lies so many epochs back.
    best : path, optional
        Weights file of what counts so far.  Without it, the last weights count.
    metrics : path, optional
        CSV file with a row an epoch.
    measured : callable, optional
        Called when that has been written.
    meta : dict
        What the files say of the network, see :func:`acdref.checkpoint.network_meta`.
    fingerprint : str, optional
        Of the recordings and labels, which must not change before a run continues; by default its size.
    options : str, optional
        Of all else that decides about the result; likewise.
    seed : int
        Of dropout.
    size : int
        Sequences in a batch, for the observer.
    """

    epochs: int
    steps: int
    batches: Callable[[int, int], Iterable]
    loss: Callable
    rate: Callable[[int, int], float]
    weight_decay: float = 0.0
    average: float = 0.0
    plateau: Plateau | None = None
    validate: Callable[[Network], dict] | None = None
    keep: str = "last"
    patience: int | None = None
    best: Path | None = None
    metrics: Path | None = None
    measured: Callable[[], object] | None = None
    meta: dict = field(default_factory=lambda: {"format": checkpoint.FORMAT, "version": checkpoint.VERSION})
    fingerprint: str | None = None
    options: str | None = None
    seed: int = 0
    size: int = 1


def by_steps(batch: Callable[[int, int], tuple], steps: int) -> Callable[[int, int], Iterable]:
    """The `batches` of a job, from a function of epoch and step.

    Examples
    --------
    >>> batches = by_steps(lambda epoch, step: (f"x{epoch}.{step}", "y"), steps=3)
    >>> list(batches(5, 1))
    [('x5.1', 'y'), ('x5.2', 'y')]
    """
    return lambda epoch, start: (batch(epoch, step) for step in range(start, steps))


def fit(net: Network, job: Job, path: Path | None = None, observer: Observer | None = None) -> list[dict]:
    """Train a network in place, or continue to.

    Parameters
    ----------
    net : network
        With the weights to start from; in the end it has those that count.
    job : Job
    path : Path, optional
        The checkpoint, written after each epoch and every few minutes.  If it is there, training continues
        from it; one of a finished job is only read.
    observer : Observer, optional

    Returns
    -------
    list of dict
        ``epoch``, ``loss``, ``lr`` and the measures of validation of each epoch.

    Raises
    ------
    AcdrefError
        If the loss or what validation has found is not finite, or the checkpoint is not this job's.
    Stopped
        If the observer stopped it; the checkpoint is written.
    RankLost
        If the job of processes that share the batches (``net.batch``) is ended; likewise.
    """
    run = Run(net, job, path, observer or Observer())
    if path is not None and path.exists():
        run.restore(path)
    run.work()
    if job.best is not None and net.batch.rank == 0:  # who has written it
        checkpoint.restore_network(job.best, net, checkpoint.load(job.best)[0])
    elif run.average is not None:
        checkpoint.restore_network("the average", net, run.average.values)
    return run.rows


class Run:
    """A job at work: what :func:`fit` does, in steps.

    Attributes
    ----------
    epoch, step : int
        Finished ones; steps are of the current epoch.
    rows : list of dict
        Of the finished epochs.
    """

    def __init__(self, net: Network, job: Job, path: Path | None, observer: Observer):
        self.net, self.job, self.path, self.observer = net, job, path, observer
        self.optimiser = AdamW(net.params, weight_decay=job.weight_decay)
        self.average = Average(checkpoint.network_arrays(net), job.average) if job.average else None
        self.epoch, self.step, self.loss_sum, self.best = 0, 0, 0.0, -np.inf
        self.rows: list[dict] = []
        self._place = "training" if path is None else path.parent
        self._fingerprint = job.fingerprint or [job.epochs, job.steps]
        # What changes in training besides the network, by its name in the checkpoint.
        parts = {"optimiser": self.optimiser, "plateau": job.plateau, "average": self.average}
        self._parts = {name: part for name, part in parts.items() if part is not None}

    def work(self) -> None:
        """Train to the end; :class:`Stopped` if the observer stopped it."""
        job = self.job
        self.observer.start(job.epochs, job.steps, job.size)
        try:
            while self.epoch < job.epochs and not self._gave_up():
                self._do_steps()
                self._close_epoch()
        except RankLost as error:
            self.save()
            saved = f"all up to epoch {self.epoch + 1}, step {self.step}, is saved"
            raise RankLost(f"{self._place}: {error}; {saved}, continue with --resume") from None

    def _gave_up(self):
        """Whether nothing has become better for too long."""
        scores = [self._score(row) for row in self.rows]
        patience = self.job.patience
        return patience is not None and len(scores) > patience + int(np.argmax([*scores, -np.inf]))

    def _do_steps(self):
        """The rest of the current epoch."""
        job, observer = self.job, self.observer
        saved = started = time.monotonic()
        for done, (x, y) in enumerate(self._batches(), 1):
            self._learn(x, y)
            now = time.monotonic()
            observer.step(self.epoch, self.step, self.loss_sum / self.step, done * job.size / (now - started))
            if self.net.batch.any(observer.should_stop()):
                self.save()
                raise Stopped
            if now - saved > CHECKPOINT_SECONDS:
                self.save()
                saved = now

    def _batches(self):
        """The batches that are left of the epoch.  Who ends this process may have ended its workers first."""
        try:
            yield from self.job.batches(self.epoch, self.step)
        except AcdrefError:
            if not self.observer.should_stop():
                raise
            if self.net.batch.size > 1:  # the others wait for this one
                raise RankLost("stopped") from None
            self.save()
            raise Stopped from None

    def _learn(self, x, y):
        job, epoch, step, before = self.job, self.epoch, self.step, dict(self.net.state)
        try:
            loss, grads = self._gradients(x, y)
        except RankLost:  # in the middle of a step, which has moved some statistics
            self.net.state.update(before)
            raise
        self.optimiser.lr = job.rate(epoch, step)
        self.optimiser.step(grads)
        if self.average is not None:
            self.average.update(checkpoint.network_arrays(self.net))
        self.loss_sum += loss
        self.step += 1

    def _gradients(self, x, y):
        """Loss of a batch, of which x and y are this process's clips, and gradients."""
        net, job, epoch, step = self.net, self.job, self.epoch, self.step
        # What dropout draws from: the same wherever a run was stopped and resumed.
        net.rng = np.random.default_rng([job.seed, epoch, step])
        logits, tape = net.forward(x, train=True)
        y, logits = net.batch.gather(y), net.batch.gather(logits)  # (clips, classes) each
        loss, dlogits = job.loss(y, logits)
        if not np.isfinite(loss):
            cause = f"the loss is {loss} in epoch {epoch + 1}, step {step + 1}"
            advice = "try a lower --lr (the last checkpoint is untouched)"
            raise AcdrefError(f"{self._place}: {cause}; {advice}")
        return loss, net.backward(tape, dlogits[net.batch.own(len(dlogits))])

    def _close_epoch(self):
        job, net = self.job, self._candidate()
        rate = job.rate(self.epoch, self.step - 1)
        row = {"epoch": self.epoch + 1, "loss": self.loss_sum / self.step, "lr": rate}
        if job.validate is not None:
            row |= {name: float(value) for name, value in job.validate(net).items()}
        self.rows.append(row)
        score = self._score(row)
        if job.plateau is not None:
            job.plateau.update(row.get("val_mAP", np.nan))
        if job.keep == "last" or score > self.best:
            self.best = score
            self._write_best(net, row)
        self.epoch, self.step, self.loss_sum = self.epoch + 1, 0, 0.0
        self._write_metrics()
        self.save()
        self.observer.epoch(row)

    def _write_metrics(self):
        if self.job.metrics is not None and self.rows and self.net.batch.rank == 0:
            write_table(self.job.metrics, self.rows[0], [row.values() for row in self.rows])
            if self.job.measured is not None:
                self.job.measured()

    def _candidate(self):
        """The network that is validated and kept: the averaged one, if there is an average."""
        if self.average is None:
            return self.net
        net = type(self.net)(self.net.config, backend=self.net.backend)
        checkpoint.restore_network("the average", net, self.average.values)
        return net

    def _score(self, row):
        """What decides whether an epoch's weights are kept: the higher the better."""
        cause = "no recording that has a class could be read, or the scores are NaN (try a lower --lr)"
        for name in ("mAP", "AUC", "loss"):
            if np.isnan(row.get(f"val_{name}", 0.0)):
                raise AcdrefError(f"{self._place}: no validation {name} in epoch {row['epoch']}: {cause}")
        return standing(row, self.job.keep)

    def _write_best(self, net, row):
        if self.job.best is None or self.net.batch.rank > 0:
            return
        meta = self.job.meta | {"epoch": row["epoch"], "val_mAP": json_number(row.get("val_mAP", np.nan))}
        meta |= {"val_loss": row["val_loss"]} if "val_loss" in row else {}
        checkpoint.save(self.job.best, checkpoint.network_arrays(net), meta)

    def save(self) -> None:
        """Write the checkpoint, if there is a place for it; of several processes, the first does."""
        if self.path is None or self.net.batch.rank > 0:
            return
        arrays = checkpoint.network_arrays(self.net)
        for name, part in self._parts.items():
            arrays |= {f"{name}/{key}": a for key, a in part.arrays.items()}
        # Sums as arrays: JSON text would be exact too, but not for infinities and NaN.
        arrays["progress"] = np.array([self.epoch, self.step, self.loss_sum, self.best], np.float64)
        # As pairs: the order of the columns is kept.
        rows = [[[name, json_number(value)] for name, value in row.items()] for row in self.rows]
        made = {"fingerprint": self._fingerprint, "options": self.job.options, "backend": self.net.backend}
        checkpoint.save(self.path, arrays, self.job.meta | {"rows": rows} | made)

    def restore(self, path: Path) -> None:
        """Continue from a checkpoint."""
        arrays, meta = checkpoint.load(path)
        self._check(path, meta)
        checkpoint.restore_network(path, self.net, arrays)
        for name, part in self._parts.items():
            start = f"{name}/"
            part.load({k.removeprefix(start): a for k, a in arrays.items() if k.startswith(start)})
        epoch, step, self.loss_sum, self.best = arrays["progress"].tolist()
        self.epoch, self.step = int(epoch), int(step)
        self.rows = [{name: np.nan if v is None else v for name, v in row} for row in meta["rows"]]
        if self.rows and self.job.best is not None:
            checkpoint.load(self.job.best)  # complains now, if it is damaged, rather than never
        self._write_metrics()

    def _check(self, path, meta):
        """Complain about a checkpoint that would not continue to the same result."""
        anew = "delete it to begin anew"
        if meta.get("fingerprint") != self._fingerprint:
            cause = "of another run than this, or its recordings or labels have changed since it was started"
            raise CheckpointError(path, f"{cause}: {anew}")
        # Checkpoints from before these were kept say nothing of them.
        if meta.get("options", self.job.options) != self.job.options:
            raise CheckpointError(path, f"its run was begun with other options: {anew}")
        backend, ours = meta.get("backend", self.net.backend), self.net.backend
        if backend != ours:
            advice = "set NUMBA_DISABLE_JIT=1" if ours == "numba" else "install Numba"
            cause = f"was computed with {backend}, and this is {ours}, which differs in the last bits"
            raise CheckpointError(path, f"{cause}: {advice} to continue, or {anew}")


def initial(
    options: Any, classes: Sequence[str], seed: int, several: bool = True, say: Say = None, **fields: Any
) -> Network:
    """The network that training starts from: a fresh one, or that of a weights file.

    Parameters
    ----------
    options : object
        Its ``net``, a key of :data:`acdref.nets.NETWORKS`, and ``width``, so many times the paper's channels,
        are of a fresh network; ``init``, if not None, is the weights file.
    classes : sequence of str
        Where those of the weights file differ, the last layer is drawn anew.
    seed : int
    several : bool
        A clip may have several classes: a fresh network gets a sigmoid for each, whatever its paper's output.
    say : callable, optional
        Called with one line of text if the last layer is drawn anew.
    **fields
        Of the configuration of a fresh network.

    Returns
    -------
    network

    Raises
    ------
    AcdrefError
        For a name, a width, fields or a file that make no network.
    """
    if options.init is not None:
        net, meta = checkpoint.load_weights(options.init)
        if tuple(meta["classes"]) == tuple(classes):
            return net
        if say is not None:
            say(f"{options.init}: other classes, so the last layer starts anew")
        return registry.with_classes(net, len(classes), seed)
    name = options.net or "acdnet"
    if several:
        fields = registry.SEVERAL_CLASSES.get(name, {}) | fields
    try:
        return registry.build(name, len(classes), options.width, seed, **fields)
    except ValueError as error:
        raise AcdrefError(str(error)) from None
