"""What the five papers print, written out from the papers, against what the code does by default.

docs/fidelity.md names these tests row by row.  Nothing here is computed from the code that it checks.
"""

import dataclasses
import inspect
import math
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from acdref import train
from acdref.augment import Augmentation
from acdref.clap.prompts import DEFAULTS, TEMPLATE, Prompts
from acdref.data import Loader
from acdref.data.sampling import SHORTEST_SECONDS, Sequences
from acdref.features.compressed import EXPONENT, FRAME, HOP, SAMPLE_RATE, compress, features
from acdref.features.front_ends import FRONT_ENDS
from acdref.features.mel import mel_filterbank
from acdref.features.papers import a_weighted_mel, a_weighting, log_filterbank, log_mel_patches
from acdref.fit import Job, Observer, Run
from acdref.labels import (
    Ontology,
    clap_labels,
    clap_probabilities,
    correct_labels,
    diffuse,
    draw_strong,
    evaluation_set,
    fix_length,
    frame_events,
    frame_labels,
    label_counts,
    mean_threshold_correct,
    mixup,
    odds_ratio,
    or_join,
    percentile_correct,
    percentile_mask,
    soft_labels,
    windows,
)
from acdref.labels.verification import excerpt_starts, mean_posterior, stratified_folds, verify
from acdref.losses import bce, mse
from acdref.metrics import average_precision, d_prime, lwlrap, map_at_k, mean_average_precision
from acdref.nets import ACDNet, registry
from acdref.nets.conv1d_net import Conv1D
from acdref.nets.layers import Conv, Dropout, MaxPool
from acdref.nets.mobilenet import MobileNetV2
from acdref.nets.resnet import ResNet50
from acdref.nets.vgg import CLIP_FRAMES, TRAINING_FRAMES, VGGGap
from acdref.optim import AdamW, Plateau, linear
from acdref.options.labels import Decision, FrameOptions, PromptOptions, RuleOptions
from acdref.options.recipes import (
    PseudoStrongOptions,
    RelabelTransferOptions,
    SelfVerifyOptions,
    StrongOptions,
)
from acdref.options.training import TrainOptions
from acdref.predict.scoring import WINDOW
from acdref.recipes import parts
from acdref.recipes.pseudo_strong import MANY
from acdref.recipes.relabel_transfer import LABELLINGS, PARTS, Perceptron, PerceptronConfig, squared_error
from acdref.recipes.silence import normalise_peak
from acdref.recipes.strong import FRAME as FRAME_OF_PATCHES
from acdref.tables import fsd50k
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
    assert table == DEFAULTS
    assert TEMPLATE == PromptOptions().template == "This is a sound of {}"
    assert PromptOptions().background == ()
    assert Prompts.of().classes["music"] == ("This is a sound of music",)


def test_training_of_acdnet():
    """Section 2.2: "one epoch as 10 k training sequences", "1e-4 is halved after 150 epochs"."""
    given = TrainOptions.preset("paper", "m.csv")
    assert values(given, "epoch_size", "lr", "schedule", "patience") == (10_000, 1e-4, "plateau", 150)
    assert (given.net, given.width, given.init) == (None, 1.0, None)  # ACDnet, from the beginning
    assert given.average == 0.0
    plateau = Plateau(given.patience)
    assert {plateau.update(0.5) for _ in range(1 + 150)} == {1.0}
    assert plateau.update(0.5) == 0.5


def test_loss_and_optimiser_of_acdnet(sequences, tmp_path):
    """Section 2.2: binary cross-entropy, AdamW; what the schedule makes of the rate."""
    loader, net = Loader(sequences(), batch=8), registry.build("acdnet", 2, 0.1)
    given = TrainOptions.preset("paper", "m.csv")
    job = train._job(given, tmp_path, loader, loader.sequences.manifest, net)
    assert (job.loss, job.weight_decay, job.epochs) == (bce, 0.01, given.epochs)
    assert job.rate(0, 0) == job.rate(149, 99) == 1e-4
    for _ in range(1 + 151):
        job.plateau.update(0.5)
    assert job.rate(152, 0) == 0.5e-4
    optimiser = Run(net, job, None, Observer()).optimiser
    assert (type(optimiser), optimiser.weight_decay) == (AdamW, 0.01)


def test_sequences_of_acdnet():
    """Section 3.1: "10 s length", "a minimum length of 5 s"; section 5.1: I_max = 2."""
    given = TrainOptions.preset("paper", "m.csv")
    assert values(given, "seconds", "mix_max", "mixing", "fill") == ((10.0,), 2, "or", "concatenate")
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
    assert fsd50k.PARTS == {"val": ("dev", 200, 8.0), "test": ("eval", 140, 5.0)}
    defaults = inspect.signature(evaluation_set).parameters
    assert (defaults["quota"].default, defaults["shortest"].default) == (200, 8.0)


# 2. Dorfer & Widmer


def test_preparation_of_dorfer_widmer():
    """Section 2: "a dB-level of -0.1"."""
    np.testing.assert_allclose(20 * np.log10(np.abs(normalise_peak(np.array([0.2, -0.3]))).max()), -0.1)


def test_spectrograms_of_dorfer_widmer():
    """Section 2: 32,000 Hz, windows of 1024, hops of 192 and 128, 128 bins; a mel bank over decibels."""
    for name, hop in (("a-weighted-mel", 192), ("log-filterbank", 128)):
        assert (FRONT_ENDS[name].rate, FRONT_ENDS[name].hop) == (32000, hop)
    sound = np.random.default_rng(0).normal(0, 0.1, 32000)
    assert a_weighted_mel(sound).shape == (1 + 32000 // 192, 128)
    assert log_filterbank(sound).shape == (32000 // 128, 128)
    # What a click touches tells how long windows are: centred, or from their sample on.
    click = np.zeros(8192)
    click[4096] = 1
    levels = a_weighted_mel(click)
    (heard,) = np.nonzero((levels != levels[0]).any(axis=1))
    assert heard.tolist() == [t for t in range(43) if abs(192 * t - 4096) < 512]
    (heard,) = np.nonzero(log_filterbank(click).any(axis=1))
    assert heard.tolist() == [t for t in range(64) if 0 < 4096 - 128 * t < 1023]
    # Ten times the sound is 20 dB more, and a mel bank over decibels adds 20 times its weights.
    louder = a_weighted_mel(10 * sound) - a_weighted_mel(sound)
    bank = mel_filterbank(32000, 1024, 128, 0, 16000, "slaney", "slaney")
    np.testing.assert_allclose(louder, np.tile(20 * bank.sum(axis=1), (len(louder), 1)), rtol=1e-4)
    # Of silence, which is -100 dB, the weighting alone is left.
    weighted = bank @ (a_weighting(np.arange(513) * 32000 / 1024) - 100)
    np.testing.assert_allclose(a_weighted_mel(np.zeros(2048))[3], weighted, rtol=1e-5)


def test_excerpts_of_dorfer_widmer():
    """Sections 2, 3.2: 3000 frames, excerpts of 384."""
    assert (CLIP_FRAMES, TRAINING_FRAMES) == (3000, 384)
    assert fix_length(np.zeros((1, 7))).shape == (1, 3000)
    assert values(SelfVerifyOptions("m.csv"), "clip", "excerpt") == (None, None)  # these frames
    starts = excerpt_starts(3000, np.random.default_rng(0), n=20000)
    assert (starts.min(), starts.max()) == (0, 3000 - 384)


def test_table_1_of_dorfer_widmer():
    """Table 1, line by line; its pools of 1 x 2 are of time here."""
    printed = """
        5 2 2 64, 3 1 1 64, pool 2 2, 0.3,
        3 1 1 128, 3 1 1 128, pool 2 2, 0.3,
        3 1 1 256, 0.3, 3 1 1 256, 0.3, 3 1 1 384, 0.3, 3 1 1 384, pool 2 2, 0.3,
        3 1 1 512, 3 1 1 512, pool 2 1, 0.3,
        3 1 1 512, 3 1 1 512, pool 2 1, 0.3,
        3 0 1 512, 0.5, 1 0 1 512, 0.5, 1 0 1 41, mean
    """
    net, lines = VGGGap(), []
    for layer in net.layers:
        if isinstance(layer, Conv):
            (size,), (padding,), (stride,) = map(set, (layer.size, layer.padding, layer.stride))
            lines.append(f"{size} {padding} {stride} {layer.outputs}")
            assert layer.activation == (None if layer.outputs == 41 else "relu")
            assert net.params[f"{layer.name}_norm.gamma"].shape == (layer.outputs,)
        elif isinstance(layer, MaxPool):
            lines.append("pool {} {}".format(*layer.window))
        else:
            lines.append(str(layer.rate) if isinstance(layer, Dropout) else type(layer).__name__.lower())
    assert lines == [line.strip() for line in printed.split(",")]
    assert net.as_map(np.zeros((1, 384, 128))).shape == (1, 384, 128, 1)
    assert (net.config.classes, net.output) == (41, "softmax")


def test_count_of_dorfer_widmer():
    """Section 3.1: "14,865,124 trainable parameters"; running statistics are among them."""
    net = VGGGap()
    assert sum(a.size for a in (net.params | net.state).values()) == 14_865_124


def test_training_of_dorfer_widmer():
    """Section 3.2: mixup 0.3, 0.001, 100 samples, 500 epochs, 100; 4.2: 30 epochs, 0.0002, five, ten."""
    given = SelfVerifyOptions("m.csv")
    assert values(given, "alpha", "lr", "batch", "epochs", "constant") == (0.3, 1e-3, 100, 500, 100)
    assert values(given, "tune_epochs", "tune_lr", "tune_constant", "rounds") == (30, 2e-4, 5, 10)
    assert {linear(epoch, 500, 100) for epoch in range(100)} == {1.0}
    rates = [linear(epoch, 500, 100) for epoch in range(99, 500)]
    np.testing.assert_allclose(np.diff(rates), -1 / 400)
    assert Job.weight_decay == 0.0  # AdamW without decay is Adam


def test_verification_of_dorfer_widmer():
    """Sections 4.1, 4.2: four folds of about 900 verified files, K = 25."""
    given = SelfVerifyOptions("m.csv")
    assert values(given, "folds", "excerpts") == (4, 25)
    assert excerpt_starts(3000, np.random.default_rng(0)).shape == (25,)
    rng = np.random.default_rng(1)
    labels, verified = rng.integers(0, 41, 9473), rng.permutation(9473) < 3710
    folds = stratified_folds(labels, verified)
    assert set(np.bincount(folds[verified])) == {927, 928}
    assert np.bincount(folds).size == 4


def test_equation_1_of_dorfer_widmer():
    """The average of the posteriors of K excerpts."""
    posteriors = np.array([[[0.9, 0.1]], [[0.6, 0.4]], [[0.3, 0.7]]])
    np.testing.assert_allclose(mean_posterior(posteriors), [[0.6, 0.4]])


def test_conditions_of_dorfer_widmer():
    """Section 4.2: the label is predicted, above 0.95, and one of 40 of its class at most."""
    given = SelfVerifyOptions("m.csv")
    assert values(given, "threshold", "cap") == (0.95, 40)
    posteriors = np.array([[0.951, 0.049], [0.949, 0.051], [0.04, 0.96]])
    np.testing.assert_array_equal(verify(posteriors, [0, 0, 0], [False] * 3), [True, False, False])
    assert verify(np.tile([[0.96, 0.04]], (60, 1)), [0] * 60, [False] * 60).sum() == 40


def test_map_at_3_by_hand():
    """Section 5: 1, 1/2, 1/3 for the true label at rank 1, 2, 3, else 0."""
    assert map_at_k([[7]] * 4, [[7, 1, 2], [1, 7, 2], [1, 2, 7], [1, 2, 3]], 3) == pytest.approx(11 / 24)


# 3. Grzywalski & Botteldooren


@pytest.fixture
def guitars():
    """The branch of figure 1 that section II names, with a third child, and another root."""
    children = {
        "Music": ["Musical instrument"],
        "Musical instrument": ["Plucked string instrument"],
        "Plucked string instrument": ["Guitar"],
        "Guitar": ["Electric guitar", "Acoustic guitar", "Hum"],
        "Electric guitar": [],
        "Acoustic guitar": [],
        "Hum": [],
        "Animal": ["Dog"],
        "Dog": [],
    }
    return Ontology([{"id": name, "name": name, "child_ids": below} for name, below in children.items()])


def test_labellings_of_grzywalski_botteldooren(guitars):
    """Section III, by its own example: Electric guitar, and Guitar alone."""

    def relabelled(rule, *labels):
        (row,) = rule(guitars.encode([labels]).to_dense())
        return {name: value for name, value in zip(guitars.ids, row.tolist(), strict=True) if value != 0}

    above = ["Guitar", "Plucked string instrument", "Musical instrument", "Music"]
    pel, pe_cml = guitars.parent_expand, guitars.children_mask
    assert relabelled(pel, "Electric guitar") == dict.fromkeys(["Electric guitar", *above], 1)
    assert relabelled(pel, "Guitar", "Dog") == dict.fromkeys([*above, "Dog", "Animal"], 1)
    assert relabelled(pe_cml, "Electric guitar") == relabelled(pel, "Electric guitar")
    assert relabelled(pe_cml, "Music", "Electric guitar") == relabelled(pel, "Electric guitar")
    masked = relabelled(pe_cml, "Guitar")
    assert {name for name, value in masked.items() if value == 1} == set(above)
    assert {name for name, value in masked.items() if value != 1} == {
        "Electric guitar",
        "Acoustic guitar",
        "Hum",
    }
    # All labels below, down to the leaves, and not only the next ones.
    assert sum(np.isnan(value) for value in relabelled(pe_cml, "Musical instrument").values()) == 5


def test_split_of_grzywalski_botteldooren(guitars):
    """Section IV: what has a target label is a target recording, and loses its base labels."""
    labels = guitars.encode([["Guitar", "Dog"], ["Dog"], ["Hum"]]).to_dense()
    split = guitars.split_by_root(labels, "Music")
    assert split.is_target.tolist() == [True, False, True]
    assert split.in_target.tolist() == [True] * 7 + [False] * 2
    np.testing.assert_array_equal(split.base, [[0, 1]])
    np.testing.assert_array_equal(split.target, labels[[0, 2], :7])


def test_parts_of_grzywalski_botteldooren():
    """Section V-B: "80% training recordings, 10% validation recordings, and 10% testing recordings"."""
    assert PARTS == {"train": 0.8, "val": 0.1, "test": 0.1}


def test_table_2_of_grzywalski_botteldooren():
    """Table II, line by line: filters, kernel, stride, output length; "1.8M trainable parameters"."""
    printed = """
        64 17 3 26662
        64 16 3 8883
        96 15 3 2957
        96 14 3 982
        128 13 3 324
        128 12 3 105
        192 9 3 33
        192 9 3 9
        256 9 1 1
    """
    net = Conv1D(backend="numpy")
    rows = {row.name: row.shape for row in net.layer_table(10 * 8000)}
    lines, before = [], 80000
    for layer in net.layers:
        if type(layer) is Conv:
            weight, length = net.params[f"{layer.name}.weight"], rows[layer.name][1]
            assert length == (before - layer.size[0]) // layer.stride[0] + 1  # nothing is padded
            assert layer.outputs == weight.shape[-1]
            lines.append(f"{layer.outputs} {layer.size[0]} {layer.stride[0]} {length}")
            before = length
    assert lines == [line.strip() for line in printed.strip().splitlines()]
    dense = [net.params[f"{name}.weight"].shape for name in ("dense1", "dense2", "dense")]
    assert dense == [(256, 256), (256, 128), (128, 527)]
    # ELU and batch normalisation in all layers except the last.
    hidden = [name for name in net.params if name.endswith("_norm.gamma")]
    assert len(hidden) == 9 + 2
    assert {layer.activation for layer in net.layers if isinstance(layer, Conv)} == {"elu"}
    assert round(sum(a.size for a in net.params.values()) / 1e6, 1) == 1.8
    assert FRONT_ENDS[net.front_end].rate == 8000
    assert net.embedding(np.zeros((1, 80000))).shape == (1, 128)


def test_conditions_of_grzywalski_botteldooren():
    """Section IV: base and target training under OL, PEL and PE-CML each."""
    given = RelabelTransferOptions("m.csv", ontology="o.json", target=("Music",))
    assert given.base == given.labels == ("ol", "pel", "pe-cml") == tuple(LABELLINGS)


def test_perceptron_of_grzywalski_botteldooren():
    """Section V-C: 256 neurons, ELU, batch normalisation, and an output layer with a sigmoid."""
    assert RelabelTransferOptions("m.csv", ontology="o.json", target=("Music",)).hidden == 256
    net = Perceptron(PerceptronConfig(128, 256, 72))
    assert [net.params[f"{name}.weight"].shape[-1] for name in ("hidden", "dense")] == [256, 72]
    assert net.layers[0].activation == "elu"
    assert net.params["hidden_norm.gamma"].shape == (256,)
    values = np.random.default_rng(0).normal(size=(2, 128))
    logits = net.forward(values)[0]
    np.testing.assert_allclose(net.predict_proba(values), 1 / (1 + np.exp(-logits)), rtol=1e-5)


def test_training_of_grzywalski_botteldooren():
    """Section V-D: 0.001, 0.987 per epoch, batches of 24, 100 epochs, "in all three cases"."""
    given = RelabelTransferOptions("m.csv", ontology="o.json", target=("Music",))
    assert values(given, "lr", "tune_lr", "decay", "batch") == (1e-3, 1e-3, 0.987, 24)
    assert values(given, "epochs", "tune_epochs", "extract_epochs") == (100, 100, 100)
    assert Job.weight_decay == 0.0


def test_losses_of_masked_labels():
    """Sections III-B, V-D: mean squared error; masked labels take no part."""
    y, p = np.array([[1.0, NAN, 0.0]]), np.array([[0.75, 0.9, 0.5]])
    loss, gradient = mse(y, p)
    assert loss == pytest.approx((0.25**2 + 0.5**2) / 2)
    np.testing.assert_allclose(gradient, [[-0.25, 0.0, 0.5]])
    logits = np.log(p / (1 - p))
    assert squared_error(y, logits)[0] == pytest.approx(loss)
    assert squared_error(y, logits)[1][0, 1] == 0


# 4. Hershey et al.


def test_odds_ratio_by_hand():
    """Section 3.1 and [18]: the change in the ratio of positive to negative outcomes."""
    assert float(odds_ratio([[6, 2], [3, 5]]).ratio) == pytest.approx((6 / 2) / (3 / 5))


def test_frames_of_hershey():
    """Section 3.2: 960 ms frames; at least 50 % of the frame, 480 ms, or at least 50 % of the label."""
    assert (FrameOptions().frame, FRAME_OF_PATCHES) == (0.96, 0.96)

    def present(*event):
        return np.flatnonzero(frame_events([event])).tolist()

    assert frame_events([[0.0, 10.0]]).tolist() == [True] * 10
    assert present(0.48, 2.40) == [0, 1, 2]  # 480 ms of the first and of the last
    assert present(0.481, 2.399) == [1]
    assert present(1.0, 1.1) == [1]  # shorter than 480 ms, and within
    assert present(0.86, 1.06) == [0, 1]  # half of it in each
    assert present(0.85, 1.06) == [0]


def test_negatives_of_hershey():
    """Section 3.2: complementary negatives beside a class's frames, explicit ones, and nothing else."""
    labels = frame_labels([[1.92, 2.88], [2.88, 3.2]], [0, 0], 3, absent=[1])
    np.testing.assert_array_equal(labels[:, 0], [0, 0, 1, 1, 0, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(labels[:, 1], np.zeros(10))
    np.testing.assert_array_equal(labels[:, 2], np.full(10, NAN))


def test_diffuse_labels_of_hershey():
    """Section 4: "each label expanded to the entire 10 sec"."""
    strong = np.zeros((10, 2))
    strong[3, 0] = 1
    np.testing.assert_array_equal(diffuse(strong), np.tile([1.0, 0.0], (10, 1)))


def test_mixture_of_hershey():
    """Section 4: mu = 0 is weak only, 1 strong only; section 4.1: 0.8 for strong, 0.7 for diffuse."""
    assert values(StrongOptions("m.csv"), "mu_strong", "mu_diffuse") == ((0.8,), (0.7,))
    rng = np.random.default_rng(0)
    assert not draw_strong(1000, 0.0, rng).any()
    assert draw_strong(1000, 1.0, rng).all()
    assert abs(draw_strong(10000, 0.8, rng).mean() - 0.8) < 0.02


def test_patches_of_hershey():
    """Section 4: patches of 96 x 64, 960 ms; [11]: 25 ms windows every 10 ms."""
    assert log_mel_patches(np.zeros(16000 * 10)).shape == (10, 96, 64)
    assert FRONT_ENDS["log-mel-patches"].fewest(1) == (95 * 10 + 25) * 16
    assert FRONT_ENDS["log-mel-patches"].rate == 16000
    # The first of the windows that reaches what begins at a sample; longer or shorter ones were others.
    noise = np.random.default_rng(0).normal(0, 0.1, 16000)
    for start in (7990, 8070):
        (patch,) = log_mel_patches(np.where(np.arange(16000) < start, 0, noise))
        assert np.flatnonzero(np.ptp(patch, axis=1))[0] == 48 == (start - 400) // 160 + 1


def test_resnet_of_hershey():
    """Section 4: "ResNet-50 [21]": 1 + 3 x (3 + 4 + 6 + 3) + 1 layers, and their widths."""
    net = ResNet50(backend="numpy")
    assert [stage.blocks for stage in net.config.stages] == [3, 4, 6, 3]
    assert [stage.channels for stage in net.config.stages] == [64, 128, 256, 512]
    weights = [name for name in net.params if name.endswith(".weight") and "shortcut" not in name]
    assert len(weights) == 50
    assert net.params["stem.weight"].shape == (7, 7, 1, 64)
    assert net.params["dense.weight"].shape == (2048, 527)


def test_training_of_hershey():
    """Section 4: Adam; nothing else is printed, and this is our choice."""
    given = StrongOptions("m.csv")
    assert values(given, "lr", "tune_lr", "batch") == (1e-3, 3e-4, 64)
    assert values(given, "epochs", "part_epochs", "tune_epochs") == (100, 100, 30)
    assert Job.weight_decay == 0.0


def test_learning_of_hershey_and_dinkel(monkeypatch, tmp_path):
    """Adam (paper 4), binary cross-entropy (paper 5); what is not printed: half a cosine."""
    jobs = []
    monkeypatch.setattr(parts, "fit", lambda net, job, *_: jobs.append(job) or [{"epoch": 1}])
    lesson = SimpleNamespace(steps=3, batch=None)
    parts.learn(None, lesson, tmp_path, None, epochs=100, lr=1e-3, seed=0)
    (job,) = jobs
    assert (job.loss, job.weight_decay, job.epochs, job.steps) == (bce, 0.0, 100, 3)
    assert [job.rate(epoch, 0) for epoch in (0, 50)] == [1e-3, pytest.approx(0.5e-3)]


def test_d_prime_by_hand():
    """Papers 4 and 5: sqrt(2) times the normal quantile of the area, of which half is 0."""
    area = 0.5 * (1 + math.erf(1.13 / 2))  # the distribution of a normal variable at 1.13 / sqrt(2)
    np.testing.assert_allclose(d_prime([area, 0.5, 1 - area]), [1.13, 0.0, -1.13], atol=1e-12)


def test_lwlrap_by_hand():
    """Precision at each label's rank, the mean over all labels: 1, 2/3, 1/2."""
    y = [[1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    p = [[0.9, 0.8, 0.7, 0.1], [0.2, 0.3, 0.4, 0.1], [0.5, 0.4, 0.3, 0.2]]
    assert lwlrap(y, p) == pytest.approx((1 + 2 / 3 + 1 / 2) / 3)


# 5. Dinkel et al.


def test_mobilenet_of_dinkel():
    """Highlights: MobileNetV2; 527 labels."""
    net = MobileNetV2(backend="numpy")
    assert [dataclasses.astuple(stage) for stage in net.config.stages] == [  # MobileNetV2's own table 2
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ]
    assert values(net.config, "stem", "last", "classes") == (32, 1280, 527)


def test_windows_of_dinkel():
    """Proposed approach: 5 s and 2 s; main results: 10 s too."""
    assert PseudoStrongOptions("m.csv").windows == (10.0, 5.0, 2.0)
    assert [len(windows(10.0, length)) for length in (10.0, 5.0, 2.0)] == [1, 2, 5]
    np.testing.assert_array_equal(windows(10.0, 5.0), [[0, 5], [5, 10]])


def test_loss_of_dinkel():
    """Training objective: y log p + (1 - y) log(1 - p), of soft labels, and the minus sign that it lacks."""
    y, p = 0.3, 0.8
    loss, _ = bce([[y]], [[math.log(p / (1 - p))]])
    assert loss == pytest.approx(-(y * math.log(p) + (1 - y) * math.log(1 - p)))
    np.testing.assert_array_equal(soft_labels([[0.3, 0.6]], [[1, 0]], 1.0), [[0.3, 0.6]])


def test_training_of_dinkel():
    """Nothing is printed: our choice."""
    given = PseudoStrongOptions("m.csv")
    assert values(given, "lr", "batch", "epochs", "annotator_epochs") == (1e-3, 640.0, 100, 100)


def test_label_counts_of_dinkel():
    """Label count distribution: none, one, and a bar for more than 4 labels; of all windows together."""
    assert MANY == 4
    p = [[0.9, 0.6, 0.4, 0.1, 0.1, 0.1], [0.2, 0.2, 0.2, 0.2, 0.2, 0.2], [0.9, 0.9, 0.9, 0.9, 0.9, 0.4]]
    share, mean = label_counts(p, 0.5)
    np.testing.assert_allclose(share, [1 / 3, 0, 1 / 3, 0, 0, 1 / 3, 0])
    assert mean == pytest.approx((2 + 0 + 5) / 3)


def test_transfer_of_dinkel():
    """Transfer learning: "using the MA and our proposed PSL-2s"."""
    assert PseudoStrongOptions("m.csv").transfer_from == ("annotator", "psl")
