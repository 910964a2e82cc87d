"""What the reproductions share: a setting, runs that are done once, their results.

An experiment has several conditions, each trained with several seeds and measured on a fold that nothing was
trained on; the last weights count, not the best ones.  Every finished run is a row of the results' CSV file
and is not done again.
"""

import argparse
import dataclasses
import hashlib
import json
import os
import sys
import time
from pathlib import Path

# One thread: to take all cores of a machine for long should be by choice (ACDREF_NUM_THREADS=2).
os.environ.setdefault("ACDREF_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", os.environ["ACDREF_NUM_THREADS"])

import numpy as np
from corpus import Corpus
from networks import NETWORKS
from rows import Rows, seeds

from acdref import checkpoint, metrics
from acdref.augment import Augmentation
from acdref.data import Loader, Sequences
from acdref.errors import AcdrefError
from acdref.features.compressed import SAMPLE_RATE
from acdref.fit import Job, fit
from acdref.losses import bce
from acdref.nets import ACDNet
from acdref.ops.memory import keep_freed_memory
from acdref.optim import cosine
from acdref.train import WARMUP

AVERAGE = 0.98  # decay of the running average of weights, which is what counts
LEVEL = Augmentation(level=(-45.0, -10.0))
"""The only variation of the sound, where an experiment is not about that."""

FEW = 10
COMMON = "mAP, common"
"""Over the classes with at least `FEW` positives to measure on: one of two positives is half the AP."""


@dataclasses.dataclass(frozen=True)
class Setting:
    """The size of every run; whoever has the time makes it larger.

    Attributes
    ----------
    network : {"small", "acdnet"}
    sequences : int
        Training sequences of a run.
    seconds : float
        Length of each.
    batch : int
    lr : float
        Peak of the cosine schedule.
    fold : str
        To measure on; all others are trained on.
    """

    network: str = "small"
    sequences: int = 1600
    seconds: float = 3.0
    batch: int = 8
    lr: float = 5e-3
    fold: str = "4"

    @property
    def suffix(self):
        """What sets the files of this size apart from those of the usual one: "-sequences-9600"."""
        usual, own = dataclasses.asdict(Setting()), dataclasses.asdict(self)
        return "".join(f"-{name}-{own[name]}" for name in own if own[name] != usual[name])

    def __str__(self):
        size = f"{self.sequences} x {self.seconds:g} s"
        return f"{self.network}, {size}, batch {self.batch}, lr {self.lr:g}, fold {self.fold}"


def arguments(text):
    """The parser of an experiment's command line."""
    parser = argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("corpus", help="manifest with folds, or its folder")
    parser.add_argument("--work", default="reproduce", help="folder of copies and weights [%(default)s]")
    parser.add_argument(
        "--results", default=Path(__file__).parent / "results", help="folder of CSV and plots"
    )
    parser.add_argument("--seeds", type=seeds, default=tuple(range(5)), metavar="A,B,...", help="[0,1,2,3,4]")
    for field in dataclasses.fields(Setting):
        choices = list(NETWORKS) if field.name == "network" else None
        parser.add_argument(
            f"--{field.name}", type=field.type, default=field.default, choices=choices, help="[%(default)s]"
        )
    return parser


class Experiment:
    """Runs of several conditions and seeds, one row each in a CSV file.

    Parameters
    ----------
    name : str
        Of the files.
    given : argparse.Namespace
        What the parser of :func:`arguments` gave.

    Attributes
    ----------
    corpus : Corpus
    seeds : tuple of int

    Raises
    ------
    AcdrefError
        If the results are of another setting, or this one or the corpus cannot be used.
    """

    def __init__(self, name, given):
        keep_freed_memory()
        self.name, self.seeds = name, given.seeds
        self.setting = Setting(**{f.name: getattr(given, f.name) for f in dataclasses.fields(Setting)})
        self.work = Path(given.work)
        self.results = Path(given.results) / f"{name}{self.setting.suffix}.csv"
        self.table = Rows(self.results, str(self.setting))
        config, front = NETWORKS[self.setting.network]
        frames = len(front.window(np.zeros(round(self.setting.seconds * SAMPLE_RATE), np.float32)))
        if frames < config.min_frames:
            raise AcdrefError(f"--seconds {self.setting.seconds:g} is too short for the network")
        self.corpus = Corpus(given.corpus, self.work, self.setting.fold, self.setting.seconds, front)

    @property
    def rows(self):
        """What is finished, a dict each."""
        return self.table.rows

    def finished(self, condition, seed):
        """Whether there is a row of this run."""
        return self.table.has(condition=condition, seed=seed)

    def measure(self, condition, seed, labels=None, extra=None, **sequences):
        """Train and measure, unless that is done.

        Parameters
        ----------
        condition : str
        seed : int
            Of the weights and of the sequences, hence the same for all conditions.
        labels : (N, C) array, optional
            Of the training recordings, in place of the corpus's own.
        extra : dict, optional
            More columns of the row.
        **sequences
            Arguments of :class:`acdref.data.Sequences`.
        """
        if self.finished(condition, seed):
            return
        row = {"condition": condition, "seed": seed, "setting": str(self.setting)}
        net, seconds = self._network(seed, labels, sequences)
        row |= self.quality(self.corpus.score(net, self.corpus.test)) | (extra or {})
        self.add(row | {"seconds": seconds})

    def quality(self, p):
        """mAP of all and of the common classes, accuracy, AP by class, of scores of the test recordings."""
        y = self.corpus.test.labels
        ap = metrics.average_precision(y, p)
        common = metrics.mean_over_classes(ap[(y == 1).sum(axis=0) >= FEW])
        found = {
            "mAP": metrics.mean_over_classes(ap),
            COMMON: common,
            "accuracy": metrics.mean_accuracy(y, p),
        }
        return found | {f"AP {name}": float(v) for name, v in zip(self.corpus.test.classes, ap, strict=True)}

    def add(self, row):
        """Append a row to the results."""
        self.table.add([row])
        print(f"{self.name}: {row['condition']}, seed {row['seed']}: mAP {row['mAP']:.3f}", flush=True)

    def training_scores(self, seed, labels=None, **sequences):
        """Probabilities of the training recordings, by the network that :meth:`measure` trains so."""
        net, _ = self._network(seed, labels, sequences)
        return self.corpus.score(net, self.corpus.train)

    def _network(self, seed, labels, sequences):
        """A trained network, and the processor time in seconds that it took; the same is not trained twice.

        Experiments share runs: that with the corpus's own labels is in all of them.
        """
        recordings = self.corpus.train
        if labels is not None:
            recordings = dataclasses.replace(recordings, labels=labels)
        options = {"seconds": self.setting.seconds, "fill": "repeat", "mix_max": 2, "augment": LEVEL}
        options |= sequences
        key = [str(self.setting), seed, options | {"augment": dataclasses.asdict(options["augment"])}]
        key += [recordings.root, recordings.paths, recordings.labels.tolist()]
        path = self.work / "networks" / f"{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:24]}.npz"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            started = time.process_time()
            net = self._trained(recordings, seed, options)
            seconds = time.process_time() - started
            checkpoint.save_weights(path, net, recordings.classes, seconds=seconds)
        arrays, meta = checkpoint.load(path)  # features of its own: `load_weights` wants its front end's
        net = checkpoint.build_network(path, meta)
        checkpoint.restore_network(path, net, arrays)
        return net, meta["seconds"]

    def _trained(self, recordings, seed, options):
        setting, corpus = self.setting, self.corpus
        config, _ = NETWORKS[setting.network]
        net = ACDNet(dataclasses.replace(config, classes=len(recordings.classes)), seed)
        steps = setting.sequences // setting.batch
        sequences = Sequences(recordings, seed, clips=corpus.clips, **options)
        loader = Loader(sequences, setting.batch, transform=corpus.front.window)  # without workers
        job = Job(
            epochs=1,
            steps=steps,
            batches=lambda epoch, step: loader.batches(epoch, steps, step),
            loss=bce,
            rate=lambda epoch, step: setting.lr * cosine(step, steps, round(WARMUP * steps)),
            weight_decay=0.01,
            average=AVERAGE,
        )
        fit(net, job)
        return net


def start(main):
    """Run a script; what it cannot use becomes one line on stderr, and the exit code 1."""
    try:
        main()
    except AcdrefError as error:
        sys.exit(f"error: {error}")
