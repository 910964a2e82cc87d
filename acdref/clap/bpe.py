"""Byte-level byte-pair encoding, as GPT-2 and RoBERTa do it, in plain Python.

Text is cut into words by GPT-2's pattern, each word into its UTF-8 bytes, and the bytes are joined pair by
pair in the order in which a list of merges was learnt.  A byte is written as a visible character in that list
(a space is ``Ġ``).
"""

import itertools
import os
import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from os import PathLike
from typing import Self

from acdref.errors import TeacherError
from acdref.files import parse_json, patient

# GPT-2's pattern is
#     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
# of which Python knows neither \p{L} nor \p{N}.  So it runs over a picture of the text: letters as a (those
# of the English endings as themselves), numbers as 0, white space as a line end (a space as itself), the rest
# as a dot.
_WORDS = re.compile(r"'(?:s|t|re|ve|m|ll|d)| ?[a-z]+| ?0+| ?[^\sa-z0]+|\s+(?!\S)|\s+")
_NOT_DONE = ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "ignore_merges")
_THEMSELVES = frozenset("' strevmld")
# White_Space of Unicode; str.isspace() counts the separators 1C to 1F too.
_SPACE = "\t\n\v\f\r\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000 " + "".join(map(chr, range(0x2000, 0x200B)))


class Tokenizer:
    """Text to token ids.

    Parameters
    ----------
    vocabulary : dict of str to int
        Ids of tokens, bytes written as visible characters.
    merges : sequence of (str, str)
        Pairs in the order in which they are joined.
    added : dict of str to int, optional
        Tokens that are looked for in the text before it is cut into words, as ``</s>``.
    strips : set of str, optional
        Those of them that swallow the white space before them.
    prefix_space : bool
        Whether a space is put before each piece of text that does not begin with one.

    Examples
    --------
    >>> tokenizer = Tokenizer.of_merges([("h", "i"), ("Ġ", "hi")])
    >>> tokenizer.encode("hi hi!")
    [256, 257, 0]
    """

    def __init__(
        self,
        vocabulary: dict[str, int],
        merges: Iterable[Sequence[str]],
        added: dict[str, int] | None = None,
        strips: Collection[str] = frozenset(),
        prefix_space: bool = False,
    ) -> None:
        self.vocabulary = vocabulary
        self.added = added or {}
        self._ranks = {pair: rank for rank, pair in enumerate(merges)}
        self._strips = strips
        self._prefix_space = prefix_space
        # The longest first: where two begin at one place, it counts.
        names = sorted(self.added, key=len, reverse=True)
        self._splits = re.compile("|".join(map(re.escape, names))) if names else None
        self._pieces = lru_cache(maxsize=4096)(self._joined)

    @classmethod
    def open(cls, path: str | PathLike) -> Self:
        """Read a ``tokenizer.json`` (of the tokenizers package) or a ``merges.txt`` (GPT-2's).

        Parameters
        ----------
        path : str or path-like
            Of a merges.txt, the ids are GPT-2's: the bytes, the merges in their order, ``<|endoftext|>``.

        Raises
        ------
        TeacherError
            If it cannot be read or is no byte-level byte-pair encoding.
        """
        try:
            with open(path, encoding="utf-8", opener=patient) as file:
                text = file.read()
        except OSError as error:
            raise TeacherError(path, error.strerror or str(error)) from None
        except UnicodeDecodeError:
            raise TeacherError(path, "is not UTF-8 text") from None
        if os.path.basename(path).endswith(".json"):
            return _of_json(path, text)
        lines = [line for line in text.split("\n") if line and not line.startswith("#version")]
        merges = [tuple(line.rstrip("\r").split(" ")) for line in lines]
        if not merges or any(len(pair) != 2 for pair in merges):
            raise TeacherError(path, "is no list of merges (two tokens a line)")
        return cls.of_merges(merges)

    @classmethod
    def of_merges(cls, merges: Iterable[Sequence[str]]) -> Self:
        """The tokenizer whose ids follow from its merges, as GPT-2's do."""
        merges = [tuple(pair) for pair in merges]
        tokens = [*_BYTES.values(), *(a + b for a, b in merges)]
        vocabulary = {token: id for id, token in enumerate(tokens)}
        return cls(vocabulary, merges, {"<|endoftext|>": len(tokens)})

    def encode(self, text: str) -> list[int]:
        """Ids of a text, without any that a model wants at its ends.

        Parameters
        ----------
        text : str

        Returns
        -------
        list of int

        Raises
        ------
        ValueError
            If the text has half of a surrogate pair, or a byte that the vocabulary lacks.
        """
        ids, start = [], 0
        for found in self._splits.finditer(text) if self._splits else ():
            before = text[start : found.start()]
            if found[0] in self._strips:
                before = before.rstrip(_SPACE)
            ids += self._encode_plain(before)
            ids.append(self.added[found[0]])
            start = found.end()
        return ids + self._encode_plain(text[start:])

    def _encode_plain(self, text):
        if self._prefix_space and text and not text.startswith(" "):
            text = " " + text
        words = _WORDS.finditer("".join(map(_picture, text)))
        return [id for word in words for id in self._pieces(text[word.start() : word.end()])]

    def _joined(self, word):
        """Ids of a word: join the pair that was learnt first, the leftmost of several, until none is left."""
        try:
            tokens = [_BYTES[byte] for byte in word.encode("utf-8")]
        except UnicodeEncodeError:
            raise ValueError(f"the text has half of a surrogate pair: {word!r}") from None
        while len(tokens) > 1:
            ranks = [self._ranks.get(pair, len(self._ranks)) for pair in itertools.pairwise(tokens)]
            best = min(ranks)
            if best == len(self._ranks):
                break
            i = ranks.index(best)
            tokens[i : i + 2] = [tokens[i] + tokens[i + 1]]
        try:
            return [self.vocabulary[token] for token in tokens]
        except KeyError as error:
            raise ValueError(f"the vocabulary has no token {error.args[0]!r}, of {word!r}") from None


@lru_cache(maxsize=4096)
def _picture(character):
    if character in _THEMSELVES:
        return character
    if character in _SPACE:
        return "\n"
    return {"L": "a", "N": "0"}.get(unicodedata.category(character)[0], ".")


def _visible_bytes():
    """Byte to visible character, in the order of GPT-2's ids."""
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in visible]
    return {byte: chr(byte) for byte in visible} | {byte: chr(256 + i) for i, byte in enumerate(others)}


_BYTES = _visible_bytes()


def _of_json(path, text):
    try:
        spec = parse_json(text)
        model, before = spec["model"], spec["pre_tokenizer"]
        unusual = _unusual(spec, model, before)
        if unusual:
            raise TeacherError(path, f"is no tokenizer that acdref knows: {unusual}")
        merges = [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in model["merges"]]
        added = {token["content"]: token["id"] for token in spec["added_tokens"]}
        strips = {token["content"] for token in spec["added_tokens"] if token["lstrip"]}
        if any(len(pair) != 2 for pair in merges):
            raise TeacherError(path, "has a merge that is no pair")
        if not all(type(id) is int and id >= 0 for id in (*model["vocab"].values(), *added.values())):
            raise TeacherError(path, "has a token whose id is no whole number")
        return Tokenizer(dict(model["vocab"]), merges, added, strips, before["add_prefix_space"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TeacherError(path, f"is no tokenizer.json ({type(error).__name__}: {error})") from None


def _unusual(spec, model, before):
    """What of a tokenizer.json is not done here, in words; or None."""
    is_bpe, is_bytes = model.get("type", "BPE") == "BPE", before["type"] == "ByteLevel"
    if not (is_bpe and is_bytes and before.get("use_regex", True)):
        return f"a {model.get('type')} behind {before['type']}, not byte-level BPE with GPT-2's pattern"
    if spec.get("normalizer"):
        return f"its normalizer {spec['normalizer'].get('type')}"
    for name in _NOT_DONE:
        if model.get(name):
            return f"its {name}"
    for token in spec["added_tokens"]:
        if token["single_word"] or token["rstrip"]:
            return f"the added token {token['content']!r} with single_word or rstrip"
    return None
