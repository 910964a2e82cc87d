from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acdref.audio.decode import load
from acdref.clap.bpe import Tokenizer
from acdref.clap.frontends import (
    PADDINGS,
    TRUNCATIONS,
    HfFrontEnd,
    MsclapFrontEnd,
    padded,
    spread,
    window_starts,
)
from acdref.errors import AcdrefError, TeacherError
from acdref.files import resource

SHARED = Path(__file__).parents[2] / "../shared/data/clap"
SETTINGS = {
    "feature_size": 64,
    "sampling_rate": 48000,
    "hop_length": 480,
    "max_length_s": 10,
    "fft_window_size": 1024,
    "frequency_min": 50,
    "frequency_max": 14000,
    "truncation": "rand_trunc",
    "padding": "repeatpad",
}
rng = np.random.default_rng(20241121)


def noise(n):
    """Bursts: loud beside silence, where decibels are hardest."""
    return (rng.standard_normal(n) * 0.2 * (np.sin(np.arange(n) / 3000) > 0)).astype(np.float32)


@given(st.integers(1, 10**6), st.floats(1e-3, 3))
def test_windows_cover_a_sound_evenly(n, length):
    size = max(1, round(n * length))
    starts = window_starts(n, size)
    assert len(starts) == -(-n // size)
    assert starts[0] == 0
    if n > size:
        steps = np.diff(starts)
        assert starts[-1] + size == n
        assert steps.max() <= size
        assert steps.max() - steps.min() <= 1
        even = np.arange(len(starts)) * (n - size) / (len(starts) - 1)
        assert np.abs(starts - even).max() <= 0.5


@given(st.integers(1, 2000), st.integers(1, 300))
def test_windows_of_pieces_are_those_of_the_whole(n, size):
    x = np.arange(n)
    pieces = (x[i : i + size] for i in range(0, n, size))
    windows = list(spread(pieces, n, size))
    expected = [x[i : i + size] for i in window_starts(n, size)]
    assert list(map(list, windows)) == list(map(list, expected))


@pytest.mark.parametrize("pieces", [1, 3])
def test_pieces_that_are_not_as_many_as_windows(pieces):
    with pytest.raises(ValueError, match="argument 2 is"):
        list(spread([np.zeros(5)] * pieces, 10, 5))


@given(st.integers(1, 50), st.integers(0, 200), st.sampled_from(PADDINGS))
def test_padded_sounds_begin_with_the_sound(n, more, how):
    x = np.arange(1, n + 1)
    y = padded(x, n + more, how)
    assert len(y) == n + more
    whole = {"pad": n, "repeatpad": (n + more) // n * n, "repeat": n + more}[how]
    np.testing.assert_array_equal(y[:whole], np.resize(x, whole))
    assert not y[whole:].any()


@pytest.mark.parametrize("n", [0, 11])
def test_what_fits_no_window(n):
    with pytest.raises(ValueError, match="do not fit a window of 10"):
        padded(np.zeros(n), 10, "pad")


@pytest.mark.parametrize("truncation", TRUNCATIONS)
@pytest.mark.parametrize("padding", PADDINGS)
def test_equals_the_reference_extractor(padding, truncation):
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    settings = SETTINGS | {"padding": padding, "truncation": truncation}
    reference = transformers.ClapFeatureExtractor(**settings)
    ours = HfFrontEnd.of_settings(settings, "p")
    for n in (1, 4800, 240001, 480000) if padding != "repeatpad" else (7, 48123, 479999):
        x = noise(n)
        # In float64, since the extractor would compute in the precision of what it is given.
        expected = reference(x.astype(np.float64), sampling_rate=48000)["input_features"][0][0]
        found = ours.inputs(x)
        assert found.shape == ours.shape == (1, 1, 1001, 64)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found[0, 0], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("truncation", TRUNCATIONS)
def test_silence_is_exact(truncation):
    assert (HfFrontEnd(truncation=truncation).inputs(np.zeros(4800, np.float32)) == -100).all()


@pytest.mark.skipif(not SHARED.exists(), reason="no shared data")
def test_equals_what_a_real_export_was_fed():
    import json

    settings = json.loads((SHARED / "preprocessor_config.json").read_text())
    golden = np.load(SHARED / "golden_mel.npy")
    found = HfFrontEnd.of_settings(settings, "p").inputs(load(SHARED / "sample.wav", 48000))
    np.testing.assert_allclose(found[0, 0], golden.reshape(1001, 64), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "mistake",
    [
        lambda mel: mel * np.log(10) / 10,  # natural logarithm
        lambda mel: np.maximum(mel, mel.max() - 80),  # top_db
        lambda mel: mel[:, ::-1],
    ],
)
def test_a_mistake_would_be_seen(mistake):
    mel = HfFrontEnd().inputs(noise(100_000))[0, 0]
    assert np.abs(mistake(mel) - mel).max() > 1e-2


def test_the_scales_differ():
    x = noise(480000)
    slaney, htk = (HfFrontEnd(truncation=t).inputs(x) for t in TRUNCATIONS)
    assert np.abs(slaney - htk).max() > 1


def test_msclap_repeats_and_cuts():
    x = np.arange(100_000, dtype=np.float32)
    found = MsclapFrontEnd().inputs(x)
    assert found.shape == MsclapFrontEnd().shape == (1, 308700)
    np.testing.assert_array_equal(found[0], np.resize(x, 308700))


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (
            {"feature_extractor_type": "WhisperFeatureExtractor"},
            "is of a 'WhisperFeatureExtractor', not of CLAP",
        ),
        ({"sampling_rate": "x"}, "makes no sense"),
        ({"frequency_max": 30000}, "makes no sense"),
        ({"truncation": "middle"}, "truncation 'middle'"),
        ({"padding": "zero"}, "padding 'zero'"),
        ({"hop_length": 0}, "hop 0"),
        ({"hop_length": 320}, r"the shape \(1, 1, 1501, 64\), where CLAP takes \(1, 1, 1001, 64\)"),
        ({"feature_size": 128}, r"the shape \(1, 1, 1001, 128\)"),
        ({"max_length_s": 0.01}, "480 samples"),
        ({"fft_window_size": 1023}, "n_fft 1023"),
    ],
    ids=str,
)
def test_settings_that_make_no_sense(change, cause):
    with pytest.raises(TeacherError, match=cause):
        HfFrontEnd.of_settings(SETTINGS | change, "preprocessor_config.json")


def test_settings_that_are_missing():
    with pytest.raises(TeacherError, match="lacks 'hop_length'"):
        HfFrontEnd.of_settings({k: v for k, v in SETTINGS.items() if k != "hop_length"}, "p")


# Prompts


def tokenizer(family):
    return Tokenizer.open(resource("fixtures", f"clap_{family}") / "tokenizer.json")


def test_hf_tokens_are_not_padded_and_cut_at_77():
    tokens = HfFrontEnd().tokens(tokenizer("hf"), "a dog")
    assert tokens["input_ids"][0, [0, -1]].tolist() == [0, 2]
    assert tokens["input_ids"].shape == tokens["attention_mask"].shape
    assert tokens["attention_mask"].all()
    long = HfFrontEnd().tokens(tokenizer("hf"), "xyz " * 100)["input_ids"]
    assert long.shape == (1, 77)
    assert long[0, -1] == 2


def test_msclap_tokens_end_and_are_padded():
    ids, mask = MsclapFrontEnd().tokens(tokenizer("msclap"), "a dog").values()
    count = mask.sum()
    end = tokenizer("msclap").added["<|endoftext|>"]
    assert ids.shape == mask.shape == (1, 77)
    assert ids[0, count - 2 : count].tolist() == [220, end]
    assert ids[0, :count].all()
    assert not ids[0, count:].any()
    assert mask[0, :count].all()


def test_prompts_that_a_family_cannot_take():
    with pytest.raises(AcdrefError, match=r"'stop!' has a '!'"):
        MsclapFrontEnd().tokens(tokenizer("msclap"), "stop!")
    with pytest.raises(AcdrefError, match="tokens, more than 77"):
        MsclapFrontEnd().tokens(tokenizer("msclap"), "xyz " * 100)
    with pytest.raises(AcdrefError, match="cannot be encoded"):
        HfFrontEnd().tokens(tokenizer("hf"), "\ud800")
    with pytest.raises(AcdrefError, match=r"has no <\|endoftext\|>"):
        MsclapFrontEnd().tokens(tokenizer("hf"), "a dog")
    with pytest.raises(AcdrefError, match="has no <s>"):
        HfFrontEnd().tokens(tokenizer("msclap"), "a dog")


def test_msclap_takes_77_tokens():
    text = tokenizer("msclap")
    words = "a" + " a" * (77 - len(text.encode("a <|endoftext|>")))
    assert MsclapFrontEnd().tokens(text, words)["attention_mask"].all()
    with pytest.raises(AcdrefError, match="has 78 tokens, more than 77"):
        MsclapFrontEnd().tokens(text, words + " a")


def test_what_is_cut_is_known():
    words = tokenizer("hf")
    fits = "a" + " a" * (75 - len(words.encode("a")))
    assert len(words.encode(fits)) == 75
    assert not HfFrontEnd().cut(words, fits) and HfFrontEnd().cut(words, fits + " a")
    assert not MsclapFrontEnd().cut(tokenizer("msclap"), "xyz " * 100)
