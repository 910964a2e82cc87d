"""The options of the recipes."""

import pytest

from acdref.errors import OptionError
from acdref.options.recipes import (
    PseudoStrongOptions,
    RelabelTransferOptions,
    SelfVerifyOptions,
    StrongOptions,
)


def test_events_lie_beside_the_manifest():
    assert StrongOptions("a/m.csv").events == "a/events.tsv"
    assert StrongOptions("m.csv").events == "events.tsv"
    assert StrongOptions("a/m.csv", events="e.tsv").events == "e.tsv"


def test_what_to_transfer_to_is_needed():
    with pytest.raises(TypeError, match="ontology"):
        RelabelTransferOptions("m.csv")


def test_transfer_is_trained_as_printed():
    """Grzywalski & Botteldooren, section V: the same for base, perceptron and fine-tuning."""
    options = RelabelTransferOptions("m.csv", ontology="o.json", target=("x",))
    assert (options.epochs, options.tune_epochs, options.extract_epochs) == (100, 100, 100)
    assert (options.lr, options.tune_lr, options.decay, options.batch) == (1e-3, 1e-3, 0.987, 24)
    assert (options.hidden, options.seconds) == (256, 10.0)
    assert options.base == options.labels == ("ol", "pel", "pe-cml")


@pytest.mark.parametrize(
    ("kind", "given", "cause"),
    [
        (StrongOptions, {"shares": (0.1, 1.5)}, "parts must lie between 0 and 1"),
        (StrongOptions, {"mu_strong": (0.1, 1.5)}, "mu_strong must be at most 1, not 1.5"),
        (StrongOptions, {"mu_strong": ()}, "mu_strong must have one value at least"),
        (StrongOptions, {"held_out": 1.0}, "held_out must be below 1"),
        (StrongOptions, {"held_out": 0.0, "mu_diffuse": (0.2, 0.7)}, "several values of mu need held-out"),
        (PseudoStrongOptions, {"windows": (2.0, 0.0)}, "windows must be positive numbers"),
        (PseudoStrongOptions, {"windows": ()}, "windows must be positive numbers"),
        (SelfVerifyOptions, {"spectrogram": 3}, "spectrogram must be at most 2"),
        (SelfVerifyOptions, {"folds": 1}, "folds must be at least 2"),
        (RelabelTransferOptions, {"ontology": "o", "target": ("x",), "labels": ("psl",)}, "labels = 'psl'"),
        (RelabelTransferOptions, {"ontology": "o", "target": ()}, "target must have one value at least"),
    ],
)
def test_values_that_cannot_be(kind, given, cause):
    with pytest.raises(OptionError, match=cause):
        kind("m.csv", **given)


def test_self_verification_is_as_printed():
    """Dorfer & Widmer, sections 3.2, 4.1 and 4.2."""
    printed = {
        "folds": 4,
        "batch": 100,
        "epochs": 500,
        "constant": 100,
        "lr": 0.001,
        "alpha": 0.3,
        "rounds": 10,
        "tune_epochs": 30,
        "tune_constant": 5,
        "tune_lr": 0.0002,
        "excerpts": 25,
        "threshold": 0.95,
        "cap": 40,
    }
    options = SelfVerifyOptions("m.csv")
    assert {name: getattr(options, name) for name in printed} == printed


def test_thresholds_may_be_none():
    options = SelfVerifyOptions("m.csv", threshold=None, cap=None)
    assert options.threshold is options.cap is None
