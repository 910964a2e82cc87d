"""What the five papers print, written out from the papers, against what the code does by default.

docs/fidelity.md names these tests row by row.  Nothing here is computed from the code that it checks.
"""

import inspect

import numpy as np
import pytest
import soundfile

from acdref.augment import Augmentation
from acdref.clap.prompts import DEFAULTS, TEMPLATE, Prompts
from acdref.data.sampling import SHORTEST_SECONDS, Sequences
from acdref.features.compressed import EXPONENT, FRAME, HOP, SAMPLE_RATE, compress, features
from acdref.labels import (
    clap_labels,
    clap_probabilities,
    correct_labels,
    evaluation_set,
    mean_threshold_correct,
    mixup,
    or_join,
    percentile_correct,
    percentile_mask,
)
from acdref.metrics import average_precision, mean_average_precision
from acdref.nets import ACDNet
from acdref.optim import Plateau
from acdref.options.labels import Decision, PromptOptions, RuleOptions
from acdref.options.training import TrainOptions
from acdref.predict.scoring import WINDOW
from acdref.tables.manifest import ACD_CLASSES, Manifest

NAN = np.nan


def values(options, *names):
    return tuple(getattr(options, name) for name in names)


# 1. Braun & Gamper


def test_features_of_acdnet():
    """Section 2.2: "50% overlapping 32 ms windows", "c = 0.3", "624 x 257", "2 channels"."""
    assert SAMPLE_RATE == 16000
    assert FRAME / SAMPLE_RATE == 0.032
    assert HOP / FRAME == 0.5
    assert EXPONENT == 0.3
    assert features(np.zeros(160_000, np.float32)).shape == (624, 257, 2)
    spectrum = np.array([[3 + 4j, -0.01j]])
    np.testing.assert_allclose(np.abs(compress(spectrum)), [[5**0.3, 0.01**0.3]], rtol=1e-6)
    np.testing.assert_allclose(np.angle(compress(spectrum)), np.angle(spectrum), rtol=1e-6)


def test_acdnet_asks_each_class_by_itself():
    """Section 2.1: classes are active independently; section 2.2: a sigmoid."""
    net = ACDNet(dtype=np.float64, backend="numpy")
    x = np.random.default_rng(0).normal(size=(1, 130, 257, 2))
    before = net.predict_proba(x)
    net.params["dense.bias"] = net.params["dense.bias"] + np.where(np.arange(11) == 3, 9.0, 0.0)
    after = net.predict_proba(x)
    np.testing.assert_array_equal(np.delete(after, 3), np.delete(before, 3))
    np.testing.assert_allclose(np.log(after / (1 - after))[0, 3], np.log(before / (1 - before))[0, 3] + 9)


def test_blocks_of_acdnet():
    """Section 2.2: 7 blocks, their filters, 3 x 3 kernels, dilation (2, 2) and attention in every other."""
    net = ACDNet()
    assert [block.channels for block in net.config.blocks] == [32, 64, 128, 256, 128, 64, 32]
    assert {block.dilation for block in net.config.blocks[::2]} == {2}
    assert {block.dilation for block in net.config.blocks[1::2]} == {1}
    assert [block.attention > 0 for block in net.config.blocks] == [False, True] * 3 + [False]
    kernels = {name: a.shape[:2] for name, a in net.params.items() if a.ndim in (3, 4)}
    assert len(kernels) == 1 + 7
    assert set(kernels.values()) == {(3, 3)}


def test_end_of_acdnet():
    """Section 2.2: 32 maps of (62, 2) for 10 s, averaged over time to 64 values, a dense layer."""
    *_, maps, mean, dense = ACDNet().layer_table(624)
    assert maps.shape == (32, 62, 2)
    assert np.prod(mean.shape) == 64
    assert dense.shape == (11, 1, 1)
    assert ACDNet().params["dense.weight"].shape == (64, 11)


def test_counts_of_acdnet():
    """Section 2.2: "248.54K trainable parameters and 1.40G MACs per 10 s of audio"."""
    net = ACDNet()
    assert round(sum(a.size for a in net.params.values()) / 1e3, 2) == 248.54
    assert round(net.count_macs(624)["total"] / 1e9, 2) == 1.40


def test_classes_and_prompts():
    """Table 1, and the prefix of section 3.4."""
    table = {
        "voice": "speech or singing",
        "music": "music",
        "cat": "cat meow",
        "dog": "dog barking",
        "clapping": "clapping or applause",
        "urban": "an urban environment like traffic and city noise",
        "machinery": "machines, tools and industrial sounds",
        "nature": "nature sounds like wind, water, fire, animals",
        "windnoise": "wind noise distorting the microphone",
        "alarm": "alarms and sirens",
        "gunshot": "gunshots and explosions",
    }
    assert tuple(table) == ACD_CLASSES == tuple(DEFAULTS)
    assert TEMPLATE == PromptOptions().template == "This is a sound of {}"
    assert PromptOptions().background == ()
    assert Prompts.of().classes["music"] == ("This is a sound of music",)


def test_training_of_acdnet():
    """Section 2.2: "one epoch as 10 k training sequences", "1e-4 is halved after 150 epochs"."""
    given = TrainOptions("m.csv")
    assert values(given, "epoch_size", "lr", "schedule", "patience") == (10_000, 1e-4, "plateau", 150)
    plateau = Plateau(given.patience)
    assert {plateau.update(0.5) for _ in range(1 + 150)} == {1.0}
    assert plateau.update(0.5) == 0.5


def test_sequences_of_acdnet():
    """Section 3.1: "10 s length", "a minimum length of 5 s"; section 5.1: I_max = 2."""
    given = TrainOptions("m.csv")
    assert values(given, "seconds", "mix_max", "mixing", "fill") == (10.0, 2, "or", "concatenate")
    assert WINDOW == 10.0  # seconds
    assert SHORTEST_SECONDS == 5.0


def test_equations_1_and_2():
    """x = alpha x_i + (1 - alpha) x_j, and y alike."""
    np.testing.assert_allclose(mixup([1.0, 0.0, 8.0], [0.0, 1.0, 4.0], 0.25), [0.25, 0.75, 5.0])


@pytest.fixture
def sequences(tmp_path):
    """Two recordings of ones, of two classes, to make sequences of."""
    for name in ("a", "b"):
        soundfile.write(tmp_path / f"{name}.wav", np.full(3200, 0.25, np.float32), 16000, subtype="FLOAT")
    manifest = Manifest("m.csv", str(tmp_path), ("a.wav", "b.wav"), [[1, 0], [0, 1]], ("a", "b"))
    short = {"seconds": 0.1, "fill": "repeat", "augment": Augmentation()}
    return lambda **options: Sequences(manifest, 0, **short | options)


@pytest.mark.parametrize("largest", [1, 2, 3])
def test_number_of_sources(sequences, largest):
    """Section 3.1: "a random number of sources I = [1, I_max]"."""
    made = sequences(mix_max=largest, mix_sigma=0.0)
    counts = [round(made.sample(0, i)[0][0] / 0.25) for i in range(300)]
    found, times = np.unique(counts, return_counts=True)
    np.testing.assert_array_equal(found, np.arange(1, largest + 1))
    np.testing.assert_allclose(times / 300, 1 / largest, atol=0.12)


def test_levels_of_sources(sequences):
    """Sections 3.1 and 3.2: N(0, 2) dB, whatever the labels."""
    made = sequences(mix_max=1)
    db = [20 * np.log10(made.sample(0, i)[0][0] / 0.25) for i in range(600)]
    assert abs(np.mean(db)) < 4 * 2 / np.sqrt(600)
    assert abs(np.std(db) - 2) < 4 * 2 / np.sqrt(2 * 600)


def test_equation_3():
    """y = y_1 OR y_2: binary, whatever the gains."""
    np.testing.assert_array_equal(or_join([[0, 0, 1, 1], [0, 1, 0, 1]]), [0, 1, 1, 1])


@pytest.mark.parametrize(
    ("y", "p", "printed"),
    [
        (0, 0.951, 1),  # (4): p > 1 - T
        (1, 0.049, 0),  # (5): p < T
        (0, 0.949, NAN),  # (6): 0.5 < p < 1 - T
        (0, 0.501, NAN),
        (1, 0.051, NAN),  # (7): T < p < 0.5
        (1, 0.499, NAN),
        (0, 0.499, 0),
        (1, 0.501, 1),
    ],
)
@pytest.mark.parametrize("boundary", ["closed", "literal"])
def test_equations_4_to_7(y, p, printed, boundary):
    np.testing.assert_array_equal(correct_labels([[y]], [[p]], 0.05, fp=True, boundary=boundary), [[printed]])


def test_correction_of_labels():
    """Section 4.1: "T = 0.05"; section 1: "the upper percentage (5%)" of [8]."""
    rules = RuleOptions()
    assert (rules.T, rules.q) == (0.05, 0.05)
    for rule in (correct_labels, percentile_mask, percentile_correct):
        defaults = inspect.signature(rule).parameters
        assert defaults["T" if rule is correct_labels else "q"].default == 0.05


def test_rows_of_table_2():
    """What each row of table 2 makes of one class: positives scored 0.9, 0.02 and 0.3, and 20 negatives."""
    y = np.array([1.0] * 3 + [0.0] * 20)[:, None]
    p = np.array([0.9, 0.02, 0.3, 0.97, 0.8, 0.45, *np.linspace(0.01, 0.2, 17)])[:, None]
    found = {
        "percentile label masking": percentile_mask(y, p),
        "percentile label corr": percentile_correct(y, p),
        "meanthresh label corr": mean_threshold_correct(y, p),  # above 1.22 / 3
        "label corr FN": correct_labels(y, p, mask=False),
        "label corr FN+FP": correct_labels(y, p, fp=True, mask=False),
        "label corr+masking FN": correct_labels(y, p),
        "label corr+masking FN+FP": correct_labels(y, p, fp=True),
    }
    printed = {
        "percentile label masking": [1, 1, 1, NAN, 0, 0],
        "percentile label corr": [1, 1, 1, 1, 0, 0],
        "meanthresh label corr": [1, 1, 1, 1, 1, 1],
        "label corr FN": [1, 1, 1, 1, 0, 0],
        "label corr FN+FP": [1, 0, 1, 1, 0, 0],
        "label corr+masking FN": [1, 1, 1, 1, NAN, 0],
        "label corr+masking FN+FP": [1, 0, NAN, 1, NAN, 0],
    }
    for row, labels in found.items():
        np.testing.assert_array_equal(labels.ravel(), printed[row] + [0] * 17, err_msg=row)


def test_labels_by_clap():
    """Section 3.4: a softmax over the classes; section 4.1: present above 0.2."""
    assert values(Decision(), "rule", "threshold") == ("softmax", 0.2)
    logits = np.log([[0.21, 0.19, 0.6]])
    np.testing.assert_allclose(clap_probabilities(logits, 1.0), [[0.21, 0.19, 0.6]])
    np.testing.assert_array_equal(clap_labels(logits, 1.0), [[1, 0, 1]])


def test_average_precision_by_hand():
    """Section 4.1: the area under the precision-recall curve, and its mean over the classes."""
    y = [[1, 0], [0, 1], [1, 0], [0, 0]]
    p = [[0.9, 0.1], [0.8, 0.4], [0.7, 0.3], [0.1, 0.2]]
    np.testing.assert_allclose(average_precision(y, p), [(1 + 2 / 3) / 2, 1.0])
    np.testing.assert_allclose(mean_average_precision(y, p), (5 / 6 + 1) / 2)


def test_evaluation_sets():
    """Section 4.2: at least 8 s and 200 files a class for validation, 5 s and 140 for test."""
    y = np.eye(2)[np.arange(1000) % 2]
    durations = np.repeat([4.99, 5.0, 7.99, 8.0], 250)
    rng = np.random.default_rng(0)
    for quota, shortest, left in ((200, 8.0, 250), (140, 5.0, 750)):
        drawn = evaluation_set(y, durations, rng, quota, shortest)
        assert durations[drawn].min() >= shortest
        np.testing.assert_array_equal(y[drawn].sum(axis=0), np.minimum(quota, left // 2))
    defaults = inspect.signature(evaluation_set).parameters
    assert (defaults["quota"].default, defaults["shortest"].default) == (200, 8.0)
