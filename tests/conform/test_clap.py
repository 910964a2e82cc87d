"""CLAP's cases, beside librosa, tokenizers and the teacher itself."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from conform_support import assert_consistent, by_function

from acdref.clap.teacher import ClapTeacher
from acdref.conform import clap
from acdref.files import resource

CASES = by_function(clap.cases())


def test_names_kinds_and_mistakes():
    assert_consistent(CASES)


def test_every_function_but_one_tells_mistakes():
    silent = {f for f, variants in CASES.items() if not any(case.mistakes for case in variants.values())}
    assert silent == {"clap/prompt_msclap"}


def test_filterbanks_by_librosa():
    mel = pytest.importorskip("librosa").filters.mel
    for variant, htk, norm in (("rand_trunc", False, "slaney"), ("fusion", True, None)):
        case = CASES["clap/filterbank"][variant]
        expected = mel(
            sr=48000, n_fft=256, n_mels=20, fmin=50, fmax=14000, htk=htk, norm=norm, dtype=np.float64
        )
        np.testing.assert_allclose(case.outputs["filterbank"], expected, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("variant", sorted(CASES["clap/log_mel"]))
def test_log_mel_by_plain_numpy(variant):
    case = CASES["clap/log_mel"][variant]
    assert case.outputs["features"].shape == (1 + case.inputs["window"] // 480, 64)
    expected = clap._mel_otherwise()(**case.inputs)["features"]
    np.testing.assert_allclose(case.outputs["features"], expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("variant", sorted(CASES["clap/tokenizer"]))
def test_ids_by_the_tokenizers_package(variant):
    tokenizers = pytest.importorskip("tokenizers")
    case = CASES["clap/tokenizer"][variant]
    spec = json.loads((resource("fixtures", "clap_hf") / "tokenizer.json").read_text(encoding="utf-8"))
    spec["pre_tokenizer"]["add_prefix_space"] = bool(case.inputs["prefix_space"])
    for token in spec["added_tokens"]:
        token["lstrip"] = token["content"] in json.loads(case.inputs["strips.json"])
    oracle = tokenizers.Tokenizer.from_str(json.dumps(spec))
    texts = json.loads(case.inputs["texts.json"])
    expected = [oracle.encode(text, add_special_tokens=False).ids for text in texts]
    assert json.loads(case.outputs["ids.json"]) == expected


def test_prompts_have_their_ends():
    begin, *_, end = json.loads(CASES["clap/prompt_hf"]["three"].outputs["ids.json"])
    added = json.loads(CASES["clap/prompt_hf"]["three"].inputs["added.json"])
    for ids in (begin, end):
        assert (ids[0], ids[-1]) == (added["<s>"], added["</s>"])
    assert len(end) == 77
    for ids in json.loads(CASES["clap/prompt_msclap"]["two"].outputs["ids.json"]):
        assert len(ids) == 77
        assert [id for id in ids if id][-1] == 381


def test_embeddings_are_the_teachers():
    case = CASES["clap/embeddings"]["three_windows"]
    given, teacher = case.inputs, object.__new__(ClapTeacher)
    teacher.front_end = SimpleNamespace(audio_input="x", inputs=lambda window: window[None])
    teacher._audio = SimpleNamespace(embeds=lambda name, feed: feed["x"], path="p")
    np.testing.assert_allclose(teacher.embed_windows(given["windows"]), case.outputs["audio"], rtol=1e-14)
    embeds = {str(i): prompt for i, prompt in enumerate(given["prompts"])}
    teacher._cache, teacher._width = SimpleNamespace(embeds=embeds, path="p"), 16
    teacher.bundle = SimpleNamespace(text="p")
    groups = [[str(i) for i in np.flatnonzero(given["classes"] == c)] for c in range(3)]
    np.testing.assert_allclose(teacher.embed_prompts(groups), case.outputs["text"], rtol=1e-14)
    np.testing.assert_allclose(np.linalg.norm(case.outputs["text"], axis=1), 1)
