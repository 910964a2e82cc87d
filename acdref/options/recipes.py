"""The options of the recipes, but for those that train as `acdref train` does."""

import os
from dataclasses import dataclass

from acdref.errors import OptionError
from acdref.options import LABELLINGS, NETWORKS, Checked, amount, choice, count, option, path, positive, share
from acdref.options.training import RecordingOptions, ValidatedOptions


@dataclass(frozen=True)
class NetworkOptions(Checked):
    """The network to start from, see :func:`acdref.fit.initial`."""

    net: str = choice(NETWORKS, quick="mobilenetv2")
    width: float = positive(1.0, "So many times the paper's channels.", quick=0.125)
    init: str | None = path(None, "Weights to start from, in place of --net.", metavar="WEIGHTS")


@dataclass(frozen=True)
class StrongOptions(NetworkOptions, ValidatedOptions):
    """Everything that determines the result of ``strong``.

    Attributes
    ----------
    manifest, root, classes, fold, val_fold, val
        As in :class:`acdref.train.Options`.  The labels are the weak ones.  What is "validated on" there is
        only measured on here.  A label that is 0 there is an explicit negative: a class that nobody was asked
        about belongs in the column ``unknown``, for d' of recordings with implicit negatives is another, much
        larger one.
    events : str
        See :func:`acdref.recipes.events.read_events`; the recordings in it are the strong set.
    held_out : float
        The paper holds a validation set out, and does not say which measure picks mu and checkpoint of each
        network from it: here d' of frames, for all networks.  0: the last epoch counts, and mu has one value.
    epochs, part_epochs, lr : int, int, float
        In an epoch each recording of a network's own set gives one patch, and the rate falls as half a
        cosine.
    tune_epochs, tune_lr
        Of those that are trained on from ``weak-all``.  Their epochs have as many patches as that one's.
    mu_diffuse, mu_strong : tuple of float
        The paper picked 0.7 and 0.8, and reports 0.7 to 0.95 as the best for d' and about 0.2 for lwlrap.
        Each further candidate costs another training.
    shares : tuple of float
        Parts of the strong set for which ``plus-strong`` is done again; a smaller one is part of a larger.
    """

    events: str | None = path(
        None,
        "Strong labels: rows of recording, onset, offset, class  [default: events.tsv beside MANIFEST]",
        metavar="TSV",
    )
    strong_set: float = option(
        1.0,
        "Share of the recordings with events to train on whose events are used, as if there were no others.",
        above=0,
        at_most=1,
        quick=0.4,
    )
    held_out: float = option(
        0.1,
        "Share of the strong set that nothing is trained on: d' of its frames picks mu and each network's "
        "epoch.",
        at_least=0,
        below=1,
        quick=0.2,
    )
    epochs: int = count(100, "On weak labels of all recordings.", quick=20)
    part_epochs: int = count(100, "From scratch on the strong set alone.", quick=16)
    lr: float = positive(1e-3, quick=0.002)
    tune_epochs: int = count(30, "Of training on.", quick=6)
    tune_lr: float = positive(3e-4, quick=0.001)
    mu_diffuse: tuple[float, ...] = share(
        (0.7,),
        "Share of patches with diffuse labels, the others have weak ones; of several the best counts.",
        metavar="A,B,...",
    )
    mu_strong: tuple[float, ...] = share((0.8,), "The same for strong labels.", metavar="A,B,...")
    control: bool = option(False, "Also train on with weak labels alone.")
    shares: tuple[float, ...] = positive(
        (),
        'Also with parts of the strong set, as "0.1,0.3".',
        at_most=1,
        must="parts must lie between 0 and 1",
        metavar="A,B,...",
    )
    batch: int = count(64, "Patches a step.", quick=8)
    seed: int = amount(0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.events is None:
            object.__setattr__(self, "events", os.path.join(os.path.dirname(self.manifest), "events.tsv"))
        if not self.held_out and len(self.mu_diffuse) + len(self.mu_strong) > 2:
            raise OptionError("several values of mu need held-out recordings to choose by")


@dataclass(frozen=True)
class PseudoStrongOptions(NetworkOptions, ValidatedOptions):
    """Everything that determines the result of ``pseudo-strong``.

    Attributes
    ----------
    manifest, root, classes, fold, val_fold, val
        As in :class:`acdref.train.Options`.  What is "validated on" there is only measured on here.
    net, width, init
        Of annotator and students.
    more : str or None
        No student is trained on these.
    annotator : str or None
        Of the same classes.
    annotator_epochs, epochs : int
        In each epoch every window comes once.
    lr : float
        It falls as half a cosine.
    steps : {"equal", "released"}
        Equal steps compare labels, not amounts of training.  The authors' code puts 32 windows in a step
        whatever their length, so that windows of 2 s make five times as many steps as those of 10 s; the
        epoch with the highest validation mAP counts, and training ends 15 epochs behind it.  What is
        validated on is a share of the recordings to train on: never what is measured on.
    batch : float
        As much sound in short windows as in long ones.
    threshold : float
        The poster counts labels without naming one.  A recording's labels are those of any of its windows.
    transfer, transfer_val_fold, transfer_from, transfer_epochs
        The paper compares the annotator's weights with those of the student of the shortest windows.  What to
        measure on is of that fold, or the column ``split`` says it.
    """

    more: str | None = path(None, "Manifest of more recordings for the annotator alone (same root).")
    annotator: str | None = path(None, "A ready annotator, in place of a trained one.", metavar="WEIGHTS")
    windows: tuple[float, ...] = positive(
        (10.0, 5.0, 2.0),
        "Seconds of the students' windows; the last serves for ablation and transfer too.",
        must="windows must be positive numbers of seconds",
        metavar="A,B,...",
    )
    mix: float = share(0.5, "Ablation: share of the annotator's probabilities in the labels.")
    annotator_epochs: int = count(100, quick=4)
    epochs: int = count(100, "Of each student.", quick=3)
    lr: float = positive(1e-3, quick=0.003)
    steps: str = choice(
        ("equal", "released"),
        "equal: as much sound in as many steps, whatever the windows.  released: as in the authors' code, as "
        "many windows in a step, of whatever length; the epoch with the highest mAP of held-out recordings "
        "counts, and training ends when it lies far back.",
    )
    batch: float = positive(640.0, "equal: of sound in a step.", metavar="SECONDS", quick=40.0)
    batch_windows: int = count(32, "released: in a step.")
    held_out: float = option(0.1, "released: share of recordings to validate on.", above=0, below=1)
    patience: int = count(15, "released: epochs without a higher mAP before training ends.")
    level: float = amount(
        0.0,
        "The level of windows varies by so much up and down, for annotator and student alike.",
        metavar="DB",
        quick=3.0,
    )
    threshold: float = share(0.5, "For counting labels.")
    transfer: str | None = path(
        None,
        "Another set, to train on from annotator and student (same root).",
        metavar="MANIFEST",
    )
    transfer_val_fold: str | None = option(
        None, 'Its folds to measure on  [default: "val" of column "split"]'
    )
    transfer_from: tuple[str, ...] = option(
        ("annotator", "psl"),
        "The weights to start from there; repeat it.",
        choices=("annotator", "psl", "weak", "fresh"),
    )
    transfer_epochs: int = count(30, quick=2)
    seed: int = amount(0)


@dataclass(frozen=True)
class SelfVerifyOptions(NetworkOptions, ValidatedOptions):
    """Everything that determines the result of ``self-verify``.

    Attributes
    ----------
    manifest, root, classes, fold, val_fold, val
        As in :class:`acdref.train.Options`; every recording has one class, and the column ``verified`` says
        whose label somebody has checked.  What is "validated on" there is only measured on here.
    clip, excerpt : float or None
        None: the paper's frames, which are 18 s and 2.3 s in version 1.  Training and verification take
        excerpts; validation and measuring take whole clips.
    epochs, constant, lr : int, int, float
        Of the initial networks.
    tune_epochs, tune_constant, tune_lr
        Of the training in each round, which goes on from the weights that the round before has kept.
    threshold : float or None
    cap : int or None
        As in :func:`acdref.labels.verify`.  The paper does not say which labels count if there are more than
        `cap`; here, as in its published code, those with the highest posteriors in all folds together.
    """

    spectrogram: int = count(1, "Of vgg-gap. 1: A-weighted mel; 2: logarithmic filterbank.", at_most=2)
    clip: float | None = positive(
        None,
        "Repeat or cut recordings to this  [default: 3000 of vgg-gap's frames, 18 s]",
        metavar="SECONDS",
        quick=2.0,
    )
    excerpt: float | None = positive(
        None,
        "Train on random excerpts of this length  [default: 384 of vgg-gap's frames, 2.304 s]",
        metavar="SECONDS",
        quick=1.0,
    )
    folds: int = option(4, "Networks.", at_least=2)
    epochs: int = count(500, "On all labels.", quick=10)
    constant: int = amount(100, "Epochs before the learning rate begins to fall to 0.", quick=5)
    lr: float = positive(1e-3, quick=0.005)
    alpha: float = amount(0.3, "Of mixup; 0: no mixup.")
    rounds: int = amount(10, "Of verification.", quick=2)
    tune_epochs: int = count(30, "In each round.", quick=4)
    tune_constant: int = amount(5, "Of these, before the rate begins to fall.", quick=1)
    tune_lr: float = positive(2e-4, quick=0.002)
    batch: int = count(100, quick=16)
    excerpts: int = count(25, "Of a recording; their mean posterior decides on its label.", quick=2)
    threshold: float | None = share(
        0.95,
        "Smallest mean posterior of a label that is accepted; 0 for none, as in the published commands.",
        quick=0.4,
    )
    cap: int | None = amount(40, "Most accepted recordings of a class.")
    seed: int = amount(0)


@dataclass(frozen=True)
class PerceptronOptions(Checked):
    """A perceptron on vectors, and how it learns; see :func:`acdref.recipes.vectors.learn`.

    Attributes
    ----------
    lr : float
        It falls as half a cosine.
    """

    hidden: int = count(128, "Units of the perceptron.")
    epochs: int = count(20, "Of each perceptron.", quick=10)
    batch: int = count(64, "Recordings a step.", quick=16)
    lr: float = positive(0.01)


@dataclass(frozen=True)
class WhatIfOptions(PerceptronOptions, ValidatedOptions):
    """Everything that determines the result of ``what-if``.

    Attributes
    ----------
    manifest, root, classes, fold, val_fold, val
        As in :class:`acdref.train.Options`; the labels are taken as the truth.  What is "validated on" there
        is only measured on here.  Without it, each seed leaves one of five folds of sources out.
    weights : str
        Of a network that has not learned from these recordings: what it has learned from their labels is in
        the vectors, and repairs them too easily.
    missing : tuple of float
        Share of its labels that a class loses, or two between which it is drawn class by class; with
        `false` as in :func:`acdref.labels.noise.inject_noise`.
    seeds : int
        Each draws errors and first weights of its own; `seed` is the first.
    """

    weights: str = path(
        "acdnet", "Weights file, or the name of shipped ones, whose embeddings are the vectors."
    )
    missing: tuple[float, ...] = share(
        (0.3, 0.5), "Share of its labels that a class loses, or two to draw it between.", metavar="A[,B]"
    )
    false: float = share(0.05, "Wrong labels that a class gets, as a share of its right ones.", quick=0.1)
    T: float = option(
        0.05,
        "A missing label is corrected above 1 - T, a wrong one below T.",
        at_least=0,
        at_most=0.5,
        flag="--threshold-t",
    )
    q: float = option(
        0.05, "Share of a class's negatives that the percentile rules change.", at_least=0, below=1
    )
    seeds: int = count(10, "Of errors and first weights: runs of each rule.", quick=4)
    seed: int = amount(0, "The first of these.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.missing) > 2 or list(self.missing) != sorted(self.missing):
            raise OptionError("missing must be one share, or two of which the first is the lower")


@dataclass(frozen=True)
class RelabelTransferOptions(NetworkOptions, RecordingOptions):
    """Everything that determines the result of ``relabel-transfer``.

    Attributes
    ----------
    manifest, root, classes, fold
        As in :class:`acdref.train.Options`; the classes are ids or names of the ontology.
    target : tuple of str
        For each there is a split of its own.  The paper has four: Human sounds, Sounds of things,
        Source-ambiguous sounds, Natural sounds.
    init : str, optional
        What base networks, and those from scratch, start from.
    base, labels : tuple of {"ol", "pel", "pe-cml"}
        For each of `base` there is a base network, which is transferred to the target set labelled in each
        way of `labels`.
    """

    ontology: str = path(help="In the format of AudioSet's ontology.json.")
    target: tuple[str, ...] = option(
        help="Id or name of a class: the target set is about it and those below; may be given several times.",
        metavar="CLASS",
        several=True,
        quick=("animal",),
    )
    base: tuple[str, ...] = option(
        LABELLINGS, "Labelling of the base set; one or more.", choices=LABELLINGS, quick=("ol", "pe-cml")
    )
    labels: tuple[str, ...] = option(
        LABELLINGS, "Labelling of the target set; one or more.", choices=LABELLINGS
    )
    seconds: float = positive(10.0, "Repeat or cut recordings to this.", quick=2.0)
    epochs: int = count(100, "Of base networks.", quick=5)
    tune_epochs: int = count(100, "Of fine-tuning, and of training from scratch.", quick=5)
    extract_epochs: int = count(100, "Of perceptrons.", quick=10)
    lr: float = positive(1e-3, "Learning rate of all but fine-tuning.", quick=0.005)
    tune_lr: float = positive(1e-3, "Of tuning.", quick=0.005)
    decay: float = positive(0.987, "Of the rates, an epoch.", at_most=1)
    batch: int = count(24)
    hidden: int = count(256, "Units of the perceptron.")
    seed: int = option(0, at_least=0)
