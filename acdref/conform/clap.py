"""Cases of CLAP: log-mel, tokenizer, decisions.  The graphs themselves need a model and are none."""

import json
from collections.abc import Iterator
from functools import cache

import numpy as np

from acdref.clap import teacher
from acdref.clap.bpe import Tokenizer
from acdref.clap.frontends import PADDINGS, TRUNCATIONS, HfFrontEnd, MsclapFrontEnd, padded, window_starts
from acdref.clap.scores import TeacherScores
from acdref.conform.rules import rule_cases
from acdref.conform.writing import Case
from acdref.features.mel import mel_filterbank
from acdref.files import resource
from acdref.labels import threshold_labels
from acdref.matmul import matmul
from acdref.options.labels import RULES

NAN = np.nan


def cases() -> Iterator[Case]:
    """All of this section's."""
    for chapter in (_windows, _padding, _filterbank, _log_mel, _tokenizer, _prompts, _embeddings, _decisions):
        yield from chapter()


def _windows():
    def rule(n, size):
        return {"starts": np.array(window_starts(n, size))}

    def steps(n, size):
        starts = np.arange(0, n, size)
        return {"starts": np.append(starts[:-1], max(n - size, 0))}

    lengths = {"one": 10, "shorter": 3, "one_more": 11, "three": 25, "halves": 35, "many": 88}
    yield from rule_cases(
        "clap/window_starts",
        "ceil(n / size) windows, evenly spread from the start to the end of the sound",
        rule,
        {name: {"n": n, "size": 10} for name, n in lengths.items()},
        {
            "only the last window was moved": steps,
            "halves were rounded down": lambda n, size: {"starts": _rounded_down(n, size)},
        },
    )


def _rounded_down(n, size):
    count = -(-n // size)
    return np.ceil(np.arange(count) * (n - size) / max(count - 1, 1) - 0.5).clip(0).astype(np.int64)


def _padding():
    samples = np.arange(1, 8, dtype=np.float32) / 8

    def rule(samples, size, padding):
        return {"padded": padded(samples, size, PADDINGS[padding])}

    yield from rule_cases(
        "clap/padded",
        "repeated as often as it fits and zeros behind; or repeated and cut; or zeros behind",
        rule,
        {word: {"samples": samples, "size": 17, "padding": code} for code, word in enumerate(PADDINGS)}
        | {"full": {"samples": samples, "size": 7, "padding": 0}},
        {
            "the last repetition was cut, not left out": lambda samples, size, padding: rule(
                samples, size, 1
            ),
            "nothing was repeated": lambda samples, size, padding: rule(samples, size, 2),
        },
    )


def _filterbank():
    def rule(rate, n_fft, bands, fmin, fmax, truncation):
        kind = [("slaney", "slaney"), ("htk", None)][truncation]
        return {"filterbank": mel_filterbank(rate, n_fft, bands, fmin, fmax, *kind)}

    given = {"rate": 48000, "n_fft": 256, "bands": 20, "fmin": 50.0, "fmax": 14000.0}
    yield from rule_cases(
        "clap/filterbank",
        "triangles over corners that are even in mel; slaney: area 1, htk: height 1",
        rule,
        {word: given | {"truncation": code} for code, word in enumerate(TRUNCATIONS)},
        {
            "the other mel scale was taken": lambda truncation, **given: rule(
                truncation=1 - truncation, **given
            ),
            "slaney's triangles had the height 1": lambda rate, n_fft, bands, fmin, fmax, truncation: {
                "filterbank": mel_filterbank(rate, n_fft, bands, fmin, fmax, norm=None)
            },
        },
        rtol=1e-10,
        atol=1e-13,  # beside the corners a difference of frequencies cancels
    )


def _log_mel():
    rng = np.random.default_rng(40)
    t = np.arange(10007) / 48000
    sound = 0.3 * np.sin(2 * np.pi * (200 + 15000 * t) * t) + 0.02 * rng.standard_normal(len(t))
    small = {
        "rate": 48000,
        "window": 24000,
        "n_fft": 1024,
        "hop": 480,
        "bands": 64,
        "fmin": 50.0,
        "fmax": 14000.0,
    }
    given = {"samples": sound.astype(np.float32)} | small
    variants = {word: given | {"truncation": code, "padding": 0} for code, word in enumerate(TRUNCATIONS)}
    variants["zeros"] = given | {"truncation": 0, "padding": 2}
    # Half a second keeps the mistakes small; whole windows of 10 s have none.
    whole = {word: {**inputs, "window": 480000} for word, inputs in variants.items() if word != "zeros"}
    formula = "10 log10(max(1e-10, filterbank |STFT|^2)), after padding"
    # 10 s of float32 arithmetic: bands 60 dB below others in their frame are right to 1e-3 dB or so.
    close = {"rtol": 0.0, "atol": 5e-3}
    yield from rule_cases("clap/log_mel", formula, _mel_rule, variants, _WRONG_MEL, **close)
    longer = {f"{word}_ten_seconds": inputs for word, inputs in whole.items()}
    yield from rule_cases("clap/log_mel", formula, _mel_rule, longer, **close)


def _mel_rule(samples, rate, window, n_fft, hop, bands, fmin, fmax, truncation, padding):
    settings = (rate, window, n_fft, hop, bands, fmin, fmax, TRUNCATIONS[truncation], PADDINGS[padding])
    return {"features": HfFrontEnd(*settings).inputs(samples)[0, 0]}  # (frames, bands)


def _mel_otherwise(symmetric=False, mode="reflect", power=2, floor=1e-10, unit=10.0, top=np.inf):
    """The log-mel spectrogram with other details."""

    def features(samples, rate, window, n_fft, hop, bands, fmin, fmax, truncation, padding):
        bank = mel_filterbank(
            rate, n_fft, bands, fmin, fmax, *[("slaney", "slaney"), ("htk", None)][truncation]
        )
        x = np.pad(padded(samples.astype(np.float64), window, PADDINGS[padding]), n_fft // 2, mode)
        frames = np.lib.stride_tricks.sliding_window_view(x, n_fft)[::hop]  # (frames, n_fft)
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / (n_fft - symmetric))
        mel = np.abs(np.fft.rfft(frames * hann)) ** power @ bank.T  # (frames, bands)
        decibels = unit * np.log10(np.maximum(mel, floor))
        return {"features": np.maximum(decibels, decibels.max() - top).astype(np.float32)}

    return features


_WRONG_MEL = {
    "the other mel filterbank was taken": lambda truncation, **given: _mel_rule(
        truncation=1 - truncation, **given
    ),
    "the Hann window was symmetric": _mel_otherwise(symmetric=True),
    "zeros, not the mirrored sound, stood beside the ends": _mel_otherwise(mode="constant"),
    "the magnitude was taken, not the power": _mel_otherwise(power=1),
    "the logarithm was natural, not in decibels": _mel_otherwise(unit=np.log(10)),
    "the smallest power was 1e-5": _mel_otherwise(floor=1e-5),
    "what is 80 dB below the maximum was cut off": _mel_otherwise(top=80.0),
    "the sound was not repeated": lambda padding, **given: _mel_rule(padding=2, **given),
}


# Text


@cache
def _small_vocabulary():
    """Vocabulary, merges and added tokens of the small model that acdref's tests use, as JSON."""
    spec = json.loads((resource("fixtures", "clap_hf") / "tokenizer.json").read_text(encoding="utf-8"))
    added = {token["content"]: token["id"] for token in spec["added_tokens"]}
    strips = [token["content"] for token in spec["added_tokens"] if token["lstrip"]]
    merges = [merge.split(" ") if isinstance(merge, str) else merge for merge in spec["model"]["merges"]]
    parts = {"vocabulary": spec["model"]["vocab"], "merges": merges, "added": added, "strips": strips}
    return {f"{name}.json": _json(value) for name, value in parts.items()}


def _json(value):
    return json.dumps(value, ensure_ascii=False) + "\n"


def _opened(kind=Tokenizer, prefix_space=0, **parts):
    """A tokenizer of the parts that a case has."""
    names = ("vocabulary", "merges", "added", "strips")
    vocabulary, merges, added, strips = (json.loads(parts[f"{name}.json"]) for name in names)
    return kind(vocabulary, [tuple(pair) for pair in merges], added, set(strips), bool(prefix_space))


def _letters(word):
    """The bytes of a word as the characters that stand for them."""
    signs = [*Tokenizer.of_merges([]).vocabulary]
    values = bytes(range(0x21, 0x7F)) + bytes(range(0xA1, 0xAD)) + bytes(range(0xAE, 0x100))
    order = [*values, *(value for value in range(256) if value not in values)]
    return "".join(signs[order.index(value)] for value in word.encode("utf-8"))


class _Greedy(Tokenizer):
    """The longest token first, whatever was learnt first."""

    def _joined(self, word):
        text, ids = _letters(word), []
        while text:
            size = next(n for n in range(len(text), 0, -1) if text[:n] in self.vocabulary)
            ids.append(self.vocabulary[text[:size]])
            text = text[size:]
        return ids


class _LeftToRight(Tokenizer):
    """The leftmost pair first, whatever was learnt first."""

    def _joined(self, word):
        tokens, i = list(_letters(word)), 0
        while i + 1 < len(tokens):
            if (tokens[i], tokens[i + 1]) in self._ranks:
                tokens[i : i + 2] = [tokens[i] + tokens[i + 1]]
                i = 0
            else:
                i += 1
        return [self.vocabulary[token] for token in tokens]


TEXTS = [
    "This is a sound of a dog", "a dog", " a dog", "a  dog", "rain falls\n", "\n\n two lines\t and",
    "tab\tend ",
    "it's what we'll hear, they've said: don't", "IT'S I'VE", "''s", "wind 12 34m/s", "no!!! stop...",
    "", " ", "   ", "naïve café", "音楽", "a\u00a0b\u3000c", "4½ m²", "👏👏 applause", "_under_score",
    "<s>a dog</s>", "a dog  <pad> barks", "a dog<pad>", "x <|endoftext|> y",
]  # fmt: skip
"""Contractions, runs of blanks, digits, other scripts, added tokens."""


def _tokenizer():
    def rule(kind=Tokenizer, **given):
        tokenizer = _opened(kind, **{name: value for name, value in given.items() if name != "texts.json"})
        return {"ids.json": _json([tokenizer.encode(text) for text in json.loads(given["texts.json"])])}

    given = _small_vocabulary() | {"texts.json": _json(TEXTS)}
    yield from rule_cases(
        "clap/tokenizer",
        "cut into words, words into bytes, bytes joined pair by pair in the order of the merges",
        rule,
        {
            "plain": given | {"prefix_space": 0},
            "prefix_space": given | {"prefix_space": 1},
            "stripping": given | {"strips.json": _json(["<pad>"]), "prefix_space": 0},
        },
        {
            "the longest token was taken first": lambda **given: rule(_Greedy, **given),
            "the leftmost pair was joined first, not the one learnt first": lambda **given: rule(
                _LeftToRight, **given
            ),
            "added tokens were not looked for": lambda **given: rule(**given | {"added.json": "{}"}),
            "white space before a token that strips it was kept": lambda **given: rule(
                **given | {"strips.json": "[]"}
            ),
            "the blank before a word was not part of it": lambda **given: rule(
                **given | {"texts.json": _json([" ".join(t.split()) for t in TEXTS])}
            ),
        },
    )


def _prompts():
    hf, msclap = HfFrontEnd(), MsclapFrontEnd()

    def rule(kind, **given):
        tokenizer = _opened(
            **{name: value for name, value in given.items() if name not in ("texts.json", "family")}
        )
        texts = json.loads(given["texts.json"])
        return {"ids.json": _json([kind.tokens(tokenizer, text)["input_ids"][0].tolist() for text in texts])}

    texts = _json(["This is a sound of a dog", "", "xyz " * 40])
    yield from rule_cases(
        "clap/prompt_hf",
        "<s>, at most 75 ids, </s>",
        lambda **given: rule(hf, **given),
        {"three": _small_vocabulary() | {"texts.json": texts}},
        {
            "it was cut to 77 ids before <s> and </s> were put round them": lambda **given: {
                "ids.json": _json(
                    [
                        [0, *_opened(**_small_vocabulary()).encode(t)[:77], 2]
                        for t in json.loads(given["texts.json"])
                    ]
                )
            }
        },
    )
    parts = json.loads(_small_vocabulary()["added.json"]) | {"<|endoftext|>": 381}
    yield from rule_cases(
        "clap/prompt_msclap",
        "the prompt and <|endoftext|>, zeros up to 77",
        lambda **given: rule(msclap, **given),
        {
            "two": _small_vocabulary()
            | {"added.json": _json(parts), "texts.json": _json(["This is a sound of a dog", "rain  falls"])}
        },
    )


# Embeddings and decisions


def _embeddings():
    rng = np.random.default_rng(41)
    given = {
        "windows": rng.normal(size=(3, 16)).astype(np.float32) * np.float32([[1], [3], [0.5]]),
        "prompts": rng.normal(size=(5, 16)).astype(np.float32) * np.float32([[1], [4], [1], [2], [1]]),
        "classes": np.array([0, 0, 1, 2, 2]),
    }

    def rule(windows, prompts, classes, unit=teacher._unit):
        audio = teacher._unit(windows.mean(axis=0, dtype=np.float64), "windows")
        units = np.array([unit(one, "prompts") for one in prompts])
        means = [units[classes == c].mean(axis=0) for c in range(classes.max() + 1)]
        text = np.array([teacher._unit(mean, "prompts") for mean in means])
        return {"audio": audio, "text": text, "cosines": matmul(text, audio[:, None])[:, 0]}

    yield from rule_cases(
        "clap/embeddings",
        "audio: mean of the windows, to length 1; text: prompts to length 1, their mean, to length 1",
        rule,
        {"three_windows": given},
        {
            "windows had length 1 before their mean was taken": lambda windows, **others: rule(
                np.array([teacher._unit(one, "windows") for one in windows]), **others
            ),
            "prompts were averaged before they had length 1": lambda **given: rule(
                unit=lambda one, _: one.astype(np.float64), **given
            ),
        },
        "1, sec. 3.4",
        rtol=1e-10,
        atol=1e-12,
    )


def _decisions():
    rng = np.random.default_rng(42)
    cosines, background = (
        np.round(rng.uniform(-0.1, 0.5, (7, 3)), 2),
        np.round(rng.uniform(0, 0.3, (7, 2)), 2),
    )
    cosines[3] = NAN
    background[3] = NAN

    def rule(cosines, background, scale, rule, thresholds):
        names = (tuple(map(str, range(len(cosines)))), ("a", "b", "c"))
        scores = TeacherScores(names[0], names[1], cosines, ("d", "e"), background)
        values = scores.values(RULES[rule], scale)
        return {"values": values, "labels": threshold_labels(values, thresholds)}

    given = {"cosines": cosines, "background": background, "scale": 12.5}
    thresholds = {"softmax": [0.2, 0.25, 0.3], "cosine": [0.25, cosines[1, 1], 0.1], "z": [0.0, 0.5, -0.5]}
    yield from rule_cases(
        "clap/decisions",
        "softmax with the background, cosine or robust z-score; 1 above the class's threshold",
        rule,
        {word: given | {"rule": code, "thresholds": thresholds[word]} for code, word in enumerate(RULES)},
        {
            "a value equal to its threshold was labelled": lambda thresholds, **given: rule(
                thresholds=np.nextafter(thresholds, -1), **given
            ),
            "the background did not compete": lambda background, **given: rule(
                background=background - 1e3, **given
            ),
        },
        "1, sec. 3.4",
        rtol=1e-11,
        atol=1e-13,
    )
