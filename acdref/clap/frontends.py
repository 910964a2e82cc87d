"""What the families of CLAP models see: windows of sound as network input, prompts as token ids.

=================  ====================================  ================================================
                   hf (LAION's, Hugging Face layout)     msclap (MS-CLAP 2023)
=================  ====================================  ================================================
window             10 s at 48 kHz                        7 s at 44.1 kHz
audio input        log-mel, (1, 1, 1001, 64)             samples, (1, 308700)
shorter sound      repeated whole, then zeros            repeated, cut
prompt             ``<s> ... </s>``, cut to 77 tokens    ``... <|endoftext|>``, zeros up to 77, mask
=================  ====================================  ================================================

A longer sound is heard in several windows, see :func:`window_starts`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from acdref.clap.bpe import Tokenizer
from acdref.errors import AcdrefError, TeacherError
from acdref.features.mel import log_mel, mel_filterbank

PADDINGS = ("repeatpad", "repeat", "pad")
TRUNCATIONS = ("rand_trunc", "fusion")
MOST_TOKENS = 77

_SHAPE = (1, 1, 1001, 64)  # a graph with free axes takes others without an error, and answers wrongly


def window_starts(n: int, size: int) -> list[int]:
    """Where the windows of a sound begin: as few as cover it, evenly spread from its start to its end.

    Parameters
    ----------
    n, size : int
        Samples of the sound and of a window, >= 1.

    Returns
    -------
    list of int
        ``ceil(n / size)`` positions; the last window ends where the sound does.

    Examples
    --------
    >>> window_starts(10, 10), window_starts(11, 10), window_starts(25, 10)
    ([0], [0, 1], [0, 8, 15])
    """
    count = -(-n // size)
    return [0] if count == 1 else [(i * (n - size) + (count - 1) // 2) // (count - 1) for i in range(count)]


def spread(pieces: Iterable[NDArray], n: int, size: int) -> Iterator[NDArray]:
    """Cut the windows out of a sound that comes piece by piece.

    Parameters
    ----------
    pieces : iterable of (m,) array
        Joined, they are the sound; each has `size` samples, but the last, which may be shorter.
    n, size : int
        Samples of the sound and of a window.

    Yields
    ------
    (size,) array, or (n,) where that is less
        Those that begin at :func:`window_starts`.

    Raises
    ------
    ValueError
        If there are more or fewer pieces than windows.

    Notes
    -----
    There are as many windows as pieces, and window i lies in the pieces i - 1 and i: two are in memory.

    Examples
    --------
    >>> for window in spread([np.array([0, 1, 2]), np.array([3, 4, 5]), np.array([6])], 7, 3):
    ...     print(window)
    [0 1 2]
    [2 3 4]
    [4 5 6]
    """
    before = None
    for i, (start, piece) in enumerate(zip(window_starts(n, size), pieces, strict=True)):
        both = piece if before is None else np.concatenate([before, piece])
        skip = start - max(0, i - 1) * size
        yield both[skip : skip + size]
        before = piece


def padded(x: NDArray, size: int, how: str) -> NDArray:
    """Lengthen a sound to `size` samples.

    Parameters
    ----------
    x : (n,) array, 1 <= n <= size
    size : int
    how : {"repeatpad", "repeat", "pad"}
        Repeat as often as fits and add zeros; repeat and cut; add zeros.

    Returns
    -------
    (size,) array

    Examples
    --------
    >>> x = np.array([1, 2])
    >>> padded(x, 5, "repeatpad"), padded(x, 5, "repeat"), padded(x, 5, "pad")
    (array([1, 2, 1, 2, 0]), array([1, 2, 1, 2, 1]), array([1, 2, 0, 0, 0]))
    """
    if not 1 <= len(x) <= size:
        raise ValueError(f"{len(x)} samples do not fit a window of {size}")
    if how == "repeat":
        return np.resize(x, size)
    repeated = np.tile(x, size // len(x)) if how == "repeatpad" else x
    return np.pad(repeated, (0, size - len(repeated)))


@dataclass(frozen=True)
class HfFrontEnd:
    """LAION CLAP's, with the settings of a ``preprocessor_config.json``.

    Attributes
    ----------
    rate : int
        Hz.
    samples : int
        Of a window.
    n_fft, hop, bands : int
    fmin, fmax : float
        Hz.
    truncation : {"rand_trunc", "fusion"}
        Says which filterbank: slaney's with its norm, or htk's without.
    padding : {"repeatpad", "repeat", "pad"}
    """

    rate: int = 48000
    samples: int = 480000
    n_fft: int = 1024
    hop: int = 480
    bands: int = 64
    fmin: float = 50.0
    fmax: float = 14000.0
    truncation: str = "rand_trunc"
    padding: str = "repeatpad"

    family = "hf"
    audio_input = "input_features"

    @classmethod
    def of_settings(cls, settings: dict, path: str) -> Self:
        """From the content of the file `path`; TeacherError if that makes no sense."""
        kind = settings.get("feature_extractor_type", "ClapFeatureExtractor")
        if kind != "ClapFeatureExtractor":
            raise TeacherError(path, f"is of a {kind!r}, not of CLAP")
        try:
            front_end = cls(
                rate=int(settings["sampling_rate"]),
                samples=round(settings["max_length_s"] * settings["sampling_rate"]),
                n_fft=int(settings["fft_window_size"]),
                hop=int(settings["hop_length"]),
                bands=int(settings["feature_size"]),
                fmin=float(settings["frequency_min"]),
                fmax=float(settings["frequency_max"]),
                truncation=settings["truncation"],
                padding=settings["padding"],
            )
            if front_end.truncation not in TRUNCATIONS or front_end.padding not in PADDINGS:
                raise ValueError(f"truncation {front_end.truncation!r} with padding {front_end.padding!r}")
            if front_end.hop < 1 or front_end.samples <= front_end.n_fft or front_end.n_fft % 2:
                raise ValueError(f"{front_end.samples} samples, hop {front_end.hop}, n_fft {front_end.n_fft}")
            if front_end.shape != _SHAPE:
                raise ValueError(f"features of the shape {front_end.shape}, where CLAP takes {_SHAPE}")
            front_end.filterbank  # noqa: B018 (complains now)
        except KeyError as error:
            raise TeacherError(path, f"lacks {error.args[0]!r}") from None
        except (TypeError, ValueError) as error:
            raise TeacherError(path, f"makes no sense: {error}") from None
        return front_end

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the network's input for one window."""
        return (1, 1, self.samples // self.hop + 1, self.bands)

    @cached_property
    def filterbank(self) -> NDArray[np.float64]:
        """Mel filterbank, (bands, n_fft // 2 + 1)."""
        scale, norm = ("slaney", "slaney") if self.truncation == "rand_trunc" else ("htk", None)
        return mel_filterbank(self.rate, self.n_fft, self.bands, self.fmin, self.fmax, scale, norm)

    def inputs(self, x: NDArray) -> NDArray[np.float32]:
        """Network input (see :attr:`shape`, float32) of a sound of at most one window, (n,) float32."""
        return log_mel(padded(x, self.samples, self.padding), self.filterbank, self.hop)[None, None]

    def tokens(self, tokenizer: Tokenizer, prompt: str) -> dict[str, NDArray[np.int64]]:
        """Ids, (1, n) int64, and their mask.

        Never padded: some text graphs have no attention mask, and padding then shifts the embedding.
        """
        begin, end = (tokenizer.added.get(name) for name in ("<s>", "</s>"))
        if begin is None or end is None:
            raise AcdrefError("the tokenizer has no <s> and </s>: it is not that of an hf bundle")
        ids = np.array([[begin, *_encoded(tokenizer, prompt)[: MOST_TOKENS - 2], end]], dtype=np.int64)
        return {"input_ids": ids, "attention_mask": self.mask(ids)}

    def cut(self, tokenizer: Tokenizer, prompt: str) -> bool:
        """Whether :meth:`tokens` leaves the end of a prompt out."""
        return len(_encoded(tokenizer, prompt)) > MOST_TOKENS - 2

    def mask(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Attention mask of token ids, (1, n) int64: all of them count."""
        return np.ones_like(ids)


@dataclass(frozen=True)
class MsclapFrontEnd:
    """MS-CLAP 2023's; its log-mel is in the graph.

    Attributes
    ----------
    rate : int
        Hz.
    samples : int
        Of a window.
    """

    rate: int = 44100
    samples: int = 308700

    family = "msclap"
    audio_input = "waveform"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the network's input for one window."""
        return (1, self.samples)

    def inputs(self, x: NDArray) -> NDArray[np.float32]:
        """Network input (1, samples) float32 of a sound of at most one window, (n,) float32."""
        return padded(x, self.samples, "repeat")[None]

    def cut(self, tokenizer: Tokenizer, prompt: str) -> bool:
        """Whether :meth:`tokens` leaves the end of a prompt out: never, it refuses what is too long."""
        return False

    def tokens(self, tokenizer: Tokenizer, prompt: str) -> dict[str, NDArray[np.int64]]:
        """Ids, (1, 77) int64, and their mask."""
        if "<|endoftext|>" not in tokenizer.added:
            raise AcdrefError("the tokenizer has no <|endoftext|>: it is not that of an msclap bundle")
        ids = _encoded(tokenizer, prompt + " <|endoftext|>")
        if 0 in ids:  # the graph counts the ids that are not 0 to find the last token
            cause = "has a '!', which MS-CLAP takes for padding: leave it out"
            raise AcdrefError(f"the prompt {prompt!r} {cause}")
        if len(ids) > MOST_TOKENS:
            length = f"{len(ids)} tokens, more than {MOST_TOKENS}"
            raise AcdrefError(f"the prompt {prompt!r} has {length}: shorten it")
        filled = np.array([ids + [0] * (MOST_TOKENS - len(ids))], dtype=np.int64)
        return {"input_ids": filled, "attention_mask": self.mask(filled)}

    def mask(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Attention mask of token ids, (1, n) int64: 0 at the end, where they are padding."""
        return (ids != 0).astype(np.int64)


FRONT_ENDS = {kind.family: kind for kind in (HfFrontEnd, MsclapFrontEnd)}


def _encoded(tokenizer, prompt):
    try:
        return tokenizer.encode(prompt)
    except ValueError as error:
        raise AcdrefError(f"the prompt {prompt!r} cannot be encoded: {error}") from None
