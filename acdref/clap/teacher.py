"""The zero-shot teacher: CLAP's opinion of any sound about any words, without torch, always the same.

A :class:`ClapTeacher` is a directory with ONNX graphs (:mod:`acdref.clap.bundle`), run by onnxruntime.  Sound
becomes windows, windows become embeddings, whose mean is compared with the embeddings of prompts::

    cosine(c)  =  mean over windows(audio graph(window))  .  text graph(prompt of c),  both of length 1

Cosines are kept as they are; what turns them into labels (:mod:`acdref.labels.clap`) can then be decided, and
decided again, without the model.

The same sound gives the same bits on every run of a machine, whatever comes before or beside it: a graph
sees one window or one prompt at a time, and runs in one thread, since onnxruntime's last bits change with
both.  Cores are used by scoring several recordings at a time (:mod:`acdref.clap.teach`).
"""

import dataclasses
import functools
import itertools
import math
import os
from collections.abc import Iterable, Sequence
from os import PathLike
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from acdref.audio.decode import resample
from acdref.clap.bpe import Tokenizer
from acdref.clap.bundle import Bundle, precision_of, probe_sound
from acdref.clap.frontends import MOST_TOKENS, window_starts
from acdref.clap.graphs import Graph, runtime
from acdref.clap.prompts import PromptCache
from acdref.errors import AcdrefError, TeacherError
from acdref.files import sha256
from acdref.matmul import matmul

# Of 1 - cosine: with what the export recorded; between a batch of three and its members one by one.
# Rounding changes it by 1e-12 or so in fp32.
_SELFTEST_LIMITS = {"fp32": 1e-8, "fp16": 1e-4, "int8": 0.2}
_BATCH_LIMITS = {"fp32": 1e-8, "fp16": 1e-4}

_TEXT_INPUTS = {"input_ids": ((None, None), True), "attention_mask": ((None, None), False)}  # see Graph.check


class ClapTeacher:
    """A CLAP model.

    Made by :meth:`open`.

    Attributes
    ----------
    bundle : Bundle
    family : {"hf", "msclap"}
    front_end : HfFrontEnd or MsclapFrontEnd
        Has the model's sampling `rate` and the `samples` of its window.

    Examples
    --------
    >>> from acdref.files import resource
    >>> teacher = ClapTeacher.open(resource("fixtures", "clap_hf"))  # doctest: +SKIP
    >>> silence = np.zeros(16000, np.float32)
    >>> teacher.cosines(silence, 16000, ["This is a sound of a dog"]).round(3)  # doctest: +SKIP
    array([0.304])
    """

    def __init__(self, bundle: Bundle, logit_scale: float | None = None) -> None:
        if logit_scale is not None and not 0 < logit_scale < math.inf:
            raise AcdrefError(f"the logit scale must be a positive number, not {logit_scale:g}")
        self.bundle = bundle
        self._logit_scale = logit_scale
        self._digest = functools.cache(sha256)
        for path in filter(None, (bundle.audio, bundle.tokenizer, bundle.settings_path)):
            self._check_digest(path)
        self._audio = Graph(bundle.audio)
        self.front_end = bundle.front_end(self._audio.inputs)
        self.family = self.front_end.family
        self._audio.check(self._audio_inputs())
        self._width = self._check_audio()

    @classmethod
    def open(
        cls, directory: str | PathLike, *, precision: str | None = None, logit_scale: float | None = None
    ) -> Self:
        """Open a bundle.

        Parameters
        ----------
        directory : str or path-like
            See :mod:`acdref.clap.bundle`: a public ONNX export of LAION's CLAP in Hugging Face layout as it
            is, or what tools/export_clap.py wrote.
        precision : {"fp32", "fp16", "int8"}, optional
            Default: the first of these that is there.
        logit_scale : float, optional
            ``exp(logit_scale)`` of the model, where the bundle does not tell.

        Returns
        -------
        ClapTeacher

        Raises
        ------
        AcdrefError
            If onnxruntime is not installed or a parameter makes no sense.
        TeacherError
            If the bundle is incomplete, damaged, of a kind that is not supported, or gives wrong numbers.
        """
        return cls(Bundle.open(directory, precision), logit_scale)

    @functools.cached_property
    def scale(self) -> float:
        """``exp(logit_scale)``: what the model multiplies cosines with before its softmax.

        Given to :meth:`open`, or from clap_bundle.json, or found as logits / cosines with ``model.onnx``.

        Raises
        ------
        TeacherError
            If there is none of these: no other number would do.
        """
        return self._logit_scale or self.bundle.description.get("logit_scale") or self._recovered_scale()

    @property
    def sha256(self) -> str:
        """Of the audio graph."""
        return self._digest(self.bundle.audio)

    def embed_audio(self, audio: ArrayLike, sr: int) -> NDArray[np.float64]:
        """Embedding of a sound.

        Parameters
        ----------
        audio : (n,) or (n, channels) array of floats
            Channels are averaged.
        sr : int
            Hz.

        Returns
        -------
        (D,) float64 array of length 1
            Of the mean over windows, see :func:`acdref.clap.frontends.window_starts`.

        Raises
        ------
        ValueError
            If the sound is empty, not finite or no such array.
        TeacherError
            If the graph fails.
        """
        audio = np.asarray(audio)
        if audio.ndim == 2:
            audio = audio.mean(axis=1, dtype=np.float64)
        x = resample(audio, sr, self.front_end.rate)
        if not len(x):
            raise ValueError("audio must not be empty")
        size = self.front_end.samples
        return self.embed_windows(x[i : i + size] for i in window_starts(len(x), size))

    def embed_windows(self, windows: Iterable[NDArray[np.float32]]) -> NDArray[np.float64]:
        """Embedding of a sound that is cut into windows.

        Parameters
        ----------
        windows : iterable of (n,) float32 array
            At the rate of the front end, each of 1 to `front_end.samples` samples; at least one.

        Returns
        -------
        (D,) float64 array of length 1

        Raises
        ------
        ValueError
            If a window has no sample or too many.
        TeacherError
            If the graph fails.
        """
        inputs = ({self.front_end.audio_input: self.front_end.inputs(window)} for window in windows)
        embeds = [self._audio.embeds("audio_embeds", feed) for feed in inputs]  # (1, D) each
        return _unit(np.concatenate(embeds).mean(axis=0, dtype=np.float64), self._audio.path)

    def embed_prompts(self, prompts: Sequence[str | Sequence[str]]) -> NDArray[np.float64]:
        """Embeddings of prompts.

        Parameters
        ----------
        prompts : sequence of (str or sequence of str)
            Whole prompts; of several in the place of one the mean counts.

        Returns
        -------
        (C, D) float64 array, rows of length 1

        Raises
        ------
        AcdrefError
            If a prompt cannot be used with this model.
        TeacherError
            If the bundle has neither text graph nor the prompt in prompts.npz, or its text is of another
            model than its audio.
        """
        groups = [[prompt] if isinstance(prompt, str) else list(prompt) for prompt in prompts]
        embeds = self._cache.embeds
        texts = dict.fromkeys(itertools.chain(*groups))
        missing = [text for text in texts if text not in embeds]
        if missing:
            embeds |= {text: self._text_embed(text) for text in missing}
            self._cache.save()
        path = self.bundle.text or self._cache.path
        for width in {len(embeds[text]) for text in texts} - {self._width}:
            cause = f"gives embeddings of {width} numbers, the audio graph of {self._width}"
            raise TeacherError(path, f"{cause}: they are not of one model")
        means = [np.mean([_unit(embeds[text], path) for text in group], axis=0) for group in groups]
        return np.array([_unit(mean, path) for mean in means])

    def cosines(
        self, audio: ArrayLike, sr: int, prompts: Sequence[str | Sequence[str]]
    ) -> NDArray[np.float64]:
        """Cosines between a sound and prompts.

        Parameters
        ----------
        audio, sr
            See :meth:`embed_audio`.
        prompts
            See :meth:`embed_prompts`.

        Returns
        -------
        (C,) float64 array
        """
        text = self.embed_prompts(prompts)
        return matmul(text, self.embed_audio(audio, sr)[:, None])[:, 0]

    def cut(self, prompts: Iterable[str]) -> list[str]:
        """Those of some prompts whose end the model does not read, being too long for it."""
        # No text has more tokens than bytes, and one for a blank before it.
        long = [prompt for prompt in prompts if len(prompt.encode(errors="replace")) > MOST_TOKENS - 3]
        if not long or self.bundle.tokenizer is None:
            return []
        tokenizer = Tokenizer.open(self.bundle.tokenizer)
        return [prompt for prompt in long if self.front_end.cut(tokenizer, prompt)]

    def describe(self) -> dict:
        """What decides about the numbers, to be stored beside them: a dict of texts and numbers."""
        from acdref import __version__

        return {
            "family": self.family,
            "precision": self.bundle.precision,
            "front_end": dataclasses.asdict(self.front_end),
            "audio_sha256": self.sha256,
            "text_sha256": self._cache.model,
            "onnxruntime": runtime().__version__,
            "acdref": __version__,
        }

    # The graphs -----------------------------------------------------------------------------------------

    def _text_embed(self, text):
        """Embedding (D,) of a prompt, float32."""
        graph, tokenizer = self._text
        return graph.embeds("text_embeds", self.front_end.tokens(tokenizer, text))[0].astype(np.float32)

    @functools.cached_property
    def _text(self):
        """The text graph and its tokenizer."""
        bundle, absent = self.bundle, None
        if bundle.tokenizer is None:
            absent = "tokenizer (tokenizer.json or merges.txt)"
        if bundle.text is None:
            absent = "text graph (text_model.onnx, onnx/text_model.onnx or in another precision)"
        if absent:
            cause = f"has no {absent}, and its prompts.npz does not have all the prompts"
            raise TeacherError(bundle.directory, cause)
        self._check_digest(bundle.text)
        graph = Graph(bundle.text)
        graph.check(_TEXT_INPUTS)
        graph.output("text_embeds")  # complains now
        tokenizer = Tokenizer.open(bundle.tokenizer)
        self._check_text(graph, tokenizer)
        return graph, tokenizer

    @functools.cached_property
    def _cache(self):
        text = self.bundle.text
        return PromptCache(self.bundle.directory, self._digest(text) if text else None)

    def _recovered_scale(self):
        """logits / cosines of the graph that has both."""
        bundle = self.bundle
        if bundle.full is None or bundle.tokenizer is None:
            missing = "no clap_bundle.json, no model.onnx with a tokenizer"
            cause = f"does not tell the model's logit scale ({missing}): give it (--logit-scale)"
            raise TeacherError(bundle.directory, f"{cause}, for no other number will do")
        graph = Graph(bundle.full)
        graph.check(self._audio_inputs() | _TEXT_INPUTS)
        outputs = ("logits_per_audio", "audio_embeds", "text_embeds")
        for name in outputs:
            if name not in graph.outputs:
                raise TeacherError(graph.path, f"has no output {name}: give the logit scale (--logit-scale)")
        tokenizer = Tokenizer.open(bundle.tokenizer)
        sound = {self.front_end.audio_input: self.front_end.inputs(probe_sound(self.front_end.samples))}
        pairs = []
        for prompt in ("a dog barking", "music", "This is a sound of rain"):
            logits, *embeds = graph.run(outputs, sound | self.front_end.tokens(tokenizer, prompt))
            pairs.append((logits.item(), _cosine(*(e.astype(np.float64).ravel() for e in embeds))))
        logits, cosines = np.array(pairs).T
        scale = logits @ cosines / (cosines @ cosines)
        if not scale > 0 or np.abs(logits - scale * cosines).max() > 0.01 * np.abs(logits).max():
            raise TeacherError(graph.path, "its logits are no multiple of its cosines: give --logit-scale")
        return float(scale)

    def _audio_inputs(self):
        return {self.front_end.audio_input: ((None, *self.front_end.shape[1:]), True)}

    # Is it what it should be? ----------------------------------------------------------------------------

    def _check_digest(self, path):
        """Compare a file with what clap_bundle.json says of it."""
        name = os.path.relpath(path, self.bundle.directory).replace(os.sep, "/")
        expected = self.bundle.description.get("sha256", {}).get(name)
        if expected is not None and os.path.isfile(path) and self._digest(path) != expected:
            raise TeacherError(path, "damaged or replaced: its SHA-256 is not that in clap_bundle.json")

    def _check_audio(self):
        sound = probe_sound(self.front_end.samples)
        batch = [self.front_end.inputs(x) for x in (sound, sound[::-1], sound[: len(sound) // 3])]
        feed = {self.front_end.audio_input: np.concatenate(batch)}
        singles = _one_by_one(self._audio, "audio_embeds", feed)
        self._check_selftest(self._audio, "audio_embeds", singles[0])
        _check_batch(self._audio, "audio_embeds", feed, singles)
        return singles.shape[1]

    def _check_text(self, graph, tokenizer):
        test = self.bundle.description.get("selftest")
        if test:
            ids = np.array([test["input_ids"]], dtype=np.int64)
            feed = {"input_ids": ids, "attention_mask": self.front_end.mask(ids)}
            self._check_selftest(graph, "text_embeds", graph.embeds("text_embeds", feed)[0])
        # Three prompts of one length: the words of two others in the place of those of the first.
        tokens = self.front_end.tokens(tokenizer, "rain falls")
        inner = slice(1, int(tokens["attention_mask"].sum()) - 2)
        feed = {name: np.repeat(rows, 3, axis=0) for name, rows in tokens.items()}
        for row, text in enumerate(("music is played in a large hall", "two dogs bark at a passing car"), 1):
            other = self.front_end.tokens(tokenizer, text)["input_ids"]
            feed["input_ids"][row, inner] = other[0, inner]
        singles = _one_by_one(graph, "text_embeds", feed)
        _check_batch(graph, "text_embeds", feed, singles)

    def _check_selftest(self, graph, name, found):
        test = self.bundle.description.get("selftest")
        if test is None:
            return
        expected = np.array(test[name], dtype=np.float64)
        limit = _SELFTEST_LIMITS[precision_of(graph.path)]
        if expected.shape != found.shape or not 1 - _cosine(expected, found) <= limit:
            cause = "fails the bundle's self-test: its numbers are not those of the export"
            raise TeacherError(graph.path, cause)


def _one_by_one(graph, name, feed):
    """Embeddings (B, D) of the members of a batch, each run by itself."""
    count = len(next(iter(feed.values())))
    rows = ({key: batch[[i]] for key, batch in feed.items()} for i in range(count))
    return np.concatenate([graph.embeds(name, row) for row in rows])


def _check_batch(graph, name, feed, singles):
    """Refuse a graph in which the batch size that it was traced with is a constant.

    Such a graph may give wrong numbers, without an error, for another size, one included.
    """
    limit = _BATCH_LIMITS.get(precision_of(graph.path))
    declared = graph.inputs[next(iter(feed))][1]
    if limit is None or declared[0] is not None:  # quantised activations have the range of the whole batch
        return
    try:
        batch = graph.embeds(name, feed)
        same = all(1 - _cosine(a, b) <= limit for a, b in zip(batch, singles, strict=True))
    except TeacherError:
        same = False
    if not same:
        cause = "gives other numbers for a batch of 3 than for its members"
        raise TeacherError(graph.path, f"{cause}: the batch size that it was traced with is baked in")


def _unit(embed, path):
    embed = np.asarray(embed, dtype=np.float64)
    length = np.sqrt((embed * embed).sum())
    if not 0 < length < math.inf:
        raise TeacherError(path, "gives an embedding of length 0")
    return embed / length


def _cosine(a, b):
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return (a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum())
