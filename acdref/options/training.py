"""The options of training."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from acdref.options import (
    AUGMENTATIONS,
    NETWORKS,
    Checked,
    amount,
    choice,
    count,
    option,
    path,
    positive,
    share,
)

if TYPE_CHECKING:
    from acdref.augment import Augmentation

PRESETS: dict[str, dict[str, Any]] = {
    "cpu": {},
    "paper": {
        "epochs": 1000,
        "epoch_size": 10_000,
        "lr": 1e-4,
        "schedule": "plateau",
        "weight_decay": 0.01,
        "average": 0.0,
        "keep": "mAP",
        "seconds": (10.0,),
        "fill": "concatenate",
        "sampling": "uniform",
        "augment": "paper",
        "workers": 2,
    },
}
"""What each preset changes of the defaults of :class:`TrainOptions`; docs/presets.md says why."""


def _changes(name):
    """What a preset changes, as words of the command line."""
    values = ((field, value[0] if field == "seconds" else value) for field, value in PRESETS[name].items())
    flags = (f"--{field.replace('_', '-')} {value}" for field, value in values)
    return f"{name}: {' '.join(flags)}."


@dataclass(frozen=True)
class RecordingOptions(Checked):
    """Which recordings to train on.

    Attributes
    ----------
    manifest : str
        See :func:`acdref.data.open_dataset`.
    """

    manifest: str
    root: str | None = path(None, "Folder that the manifest's paths are relative to  [default: its own]")
    classes: tuple[str, ...] | None = option(
        None,
        "Classes and their order; a name with a comma in quotes, or @FILE with one a line  [default: the 11 "
        "super-classes if all that occur are among them, else those that occur]",
        metavar="A,B,...",
    )
    fold: str | None = option(
        None, 'Folds to train on, such as "1,2,3"  [default: all not used for validation]'
    )


@dataclass(frozen=True)
class ValidatedOptions(RecordingOptions):
    """Which recordings to train and to validate on.

    With neither of `val_fold` and `val`, the `split` column's "val" rows serve; without these there is no
    validation.
    """

    val_fold: str | None = option(None, "Folds to validate on.")
    val: str | None = path(None, "Another manifest to validate on (same root).")


@dataclass(frozen=True)
class TrainOptions(ValidatedOptions):
    """Everything that determines a run; `config.json` holds it.

    The defaults are the preset "cpu": a good network from a small corpus on two cores in about an hour.
    :meth:`preset` begins with another one's values, "paper" being Braun & Gamper's training to the letter.

    Attributes
    ----------
    preset_name : str or None
        A record of whose values those are that were not given; it changes none.  None: of a run from before
        there were presets.
    epoch_size : int
        Rounded down to whole batches.
    mixing : {"or", "mixup"}
        See :class:`acdref.data.sampling.Sequences`.
    seconds : float
        Validation and prediction keep to windows of 10 s.
    augment : Augmentation or str
        How sequences are varied, or the name of one of :data:`acdref.augment.AUGMENTATIONS`.
    init : str or None
        The last layer is drawn anew if its classes differ.

    Examples
    --------
    >>> TrainOptions("m.csv").epochs, TrainOptions.preset("paper", "m.csv", lr=1e-3).epochs
    (14, 1000)
    """

    preset_name: str | None = choice(
        tuple(PRESETS),
        "Values of the options that are not given.  cpu: the defaults below, a good network from a small "
        f"corpus on two cores in about an hour.  {_changes('paper')}  See docs/presets.md.",
        flag="--preset",
    )
    epochs: int = count(14)
    epoch_size: int = count(2000, "Sequences an epoch.")
    batch: int = count(8, "Sequences a step.")
    lr: float = positive(3e-3, "Learning rate.")
    schedule: str = choice(
        ("cosine", "plateau"),
        "cosine: warm up, then fall to 0.  plateau: halve when validation mAP has not risen for --patience "
        "epochs (the paper's).",
    )
    patience: int = amount(150, "Epochs.")
    weight_decay: float = amount(0.05)
    average: float = amount(
        0.998, "Decay of a running average of the weights, which is then validated and kept; 0: off.", below=1
    )
    keep: str | None = option(
        None,
        "What decides which weights are kept  [default: mAP with validation, else last]",
        choices=("mAP", "loss", "last"),
    )
    seed: int = amount(0)
    mix_max: int = count(2, "Most sequences mixed into one.")
    mixing: str = choice(
        ("or", "mixup"),
        "or: the sum, labelled with all that is in it.  mixup: the weighted mean of two, and of "
        "their labels (--mix-max 2).",
    )
    seconds: tuple[float, ...] = option(
        (4.0,),
        "Length of a sequence; shorter ones are faster where recordings are short.  Of several, each batch "
        "has one.",
        at_least=2.1,
        at_most=3600,
        metavar="S,...",
    )
    fill: str = choice(
        ("repeat", "concatenate", "once", "mixed"),
        "Repeat one recording, better where most are short; or fill a sequence with segments of several "
        "(the paper's way); or with one, once, amid silence; or any of these.",
    )
    empty: float = share(0.0, "Share of sequences without anything to tag: silence, noise, tones, clicks.")
    sampling: str = choice(
        ("balanced", "uniform"),
        "Draw a class, then a recording of it; or any recording (the paper draws no class more often).",
    )
    augment: "Augmentation | str" = option(
        "light",
        "Variation of the sound.  light: equaliser, low-pass, speed and level.  paper: what its section 3.1 "
        "names, source (equaliser, band-pass, room, pitch and tempo of each recording) and mixture (codec, "
        "distortion, microphone), and level.  See `acdref augment`.",
        choices=AUGMENTATIONS,
    )
    net: str | None = option(None, "The network  [default: that of --init, or acdnet]", choices=NETWORKS)
    width: float = positive(1.0, "So many times the paper's channels.")
    init: str | None = path(None, "Weights to start from; acdnet: the shipped ones.", metavar="WEIGHTS")
    workers: int = amount(1, "Processes that prepare sequences; the result does not depend on it.")

    @classmethod
    def preset(cls, name: str, manifest: str, **given: Any) -> Self:
        """Options with the values of one of :data:`PRESETS` where none are given.

        Parameters
        ----------
        name : str
        manifest : str
        **given
            As for the class itself.

        Raises
        ------
        OptionError
            If there is no such preset, or a value is out of its bounds.
        """
        return cls(manifest, **{**PRESETS.get(name, {}), **given, "preset_name": name})

    def __post_init__(self) -> None:
        if isinstance(self.seconds, int | float):
            object.__setattr__(
                self, "seconds", (float(self.seconds),)
            )  # one length, as runs of before have it
        object.__setattr__(self, "seconds", tuple(self.seconds))  # JSON has lists only
        super().__post_init__()
        if isinstance(self.augment, str):
            from acdref.augment import AUGMENTATIONS  # the strengths: they know how to be applied

            object.__setattr__(self, "augment", AUGMENTATIONS[self.augment])

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return max(1, self.epoch_size // self.batch)
