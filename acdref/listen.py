"""What augmentation does, to hear and to see: WAV files and a page of players beside spectrograms."""

import base64
import html
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from acdref import augment
from acdref.audio import decode as audio
from acdref.augment import AUGMENTATIONS, Augmentation, codecs
from acdref.augment.sound import Sound
from acdref.errors import AcdrefError, AudioError
from acdref.features.compressed import FRAME, SAMPLE_RATE, stft
from acdref.files import claimed, replacing, settle, write_text
from acdref.synth import scene

SECONDS = 10.0
LEVEL = -23.0
"""dBFS of everything that is written, so that nothing is better for being louder."""

RANGE = 80.0  # dB from the brightest colour of a spectrogram to the darkest
_COLOURS = 64  # as many as the eye tells apart, and a small file
_STOPS = np.array([(0, 0, 0), (50, 20, 110), (170, 40, 110), (245, 130, 40), (255, 250, 200)], float)


def _in_room(x, rng, decay, ratio):
    return augment.reverberate(x, augment.room_response(rng, decay, ratio))


EXAMPLES = (
    ("equalise", "gains drawn from N(0, 6 dB)", lambda x, rng: augment.equalise(x, rng.normal(0, 6, 8))),
    ("band_pass", "300 to 3400 Hz", lambda x, rng: augment.band_pass(x, 300, 3400)),
    ("low_pass", "2 kHz", lambda x, rng: augment.low_pass(x, 2000)),
    ("reverberate", "decay 0.3 s, ratio 0 dB", lambda x, rng: _in_room(x, rng, 0.3, 0)),
    ("reverberate", "decay 1 s, ratio -3 dB", lambda x, rng: _in_room(x, rng, 1.0, -3)),
    ("change_pitch", "2 semitones down", lambda x, rng: augment.change_pitch(x, -2)),
    ("change_pitch", "2 semitones up", lambda x, rng: augment.change_pitch(x, 2)),
    ("change_tempo", "0.9", lambda x, rng: augment.change_tempo(x, 0.9)),
    ("change_tempo", "1.11", lambda x, rng: augment.change_tempo(x, 1 / 0.9)),
    ("change_speed", "1.1", lambda x, rng: augment.change_speed(x, 1.1)),
    *(
        (f"recode, {codec}", f"quality {quality}", lambda x, rng, c=codec, q=quality: augment.recode(x, c, q))
        for codec in codecs.FORMATS
        for quality in (0.0, 0.3)
    ),
    ("hard_clip", "15 dB", lambda x, rng: augment.hard_clip(x, 15)),
    ("soft_clip", "15 dB", lambda x, rng: augment.soft_clip(x, 15)),
    ("asymmetric_clip", "15 dB", lambda x, rng: augment.asymmetric_clip(x, 15)),
    ("quantise", "6 bits", lambda x, rng: augment.quantise(x, 6)),
    ("add_noise", "10 dB below", lambda x, rng: augment.add_noise(x, rng, 10)),
)
"""Name, parameters, and function of (sound, generator): every effect near its strongest."""


def examples(
    x: Sound, seed: int = 0, augmentation: Augmentation = AUGMENTATIONS["paper"], draws: int = 3
) -> Iterator[tuple[str, str, Sound]]:
    """Vary a sound in every way.

    Parameters
    ----------
    x : ndarray, (n,), float32
        At 16 kHz.
    seed : int
    augmentation : Augmentation
    draws : int
        How many results of the whole augmentation come last.

    Yields
    ------
    name, parameters : str
    y : ndarray, (m,), float32
        The first is ``x`` itself.  A codec that the installed libsndfile lacks is left out.

    Examples
    --------
    >>> [name for name, _, _ in examples(np.ones(8000, np.float32))][:4]
    ['original', 'equalise', 'band_pass', 'low_pass']
    """
    yield "original", "", x
    missing = {f"recode, {codec}" for codec in set(codecs.FORMATS) - set(codecs.available(SAMPLE_RATE))}
    for name, parameters, effect in EXAMPLES:
        if name not in missing:
            yield name, parameters, effect(x, np.random.default_rng(seed))
    for k in range(draws):
        rng = np.random.default_rng([seed, k])
        yield "augmentation", f"draw {k + 1}", augmentation.mixture(augmentation.source(x, rng), rng)


def write_page(
    folder: str | PathLike[str],
    recordings: Sequence[str | PathLike[str]] = (),
    seed: int = 0,
    augmentation: Augmentation = AUGMENTATIONS["paper"],
    on_failure: Callable[[AudioError], object] | None = None,
) -> Path:
    """Write examples of every effect, and ``index.html`` to hear and see them.

    Parameters
    ----------
    folder : str or path-like
        Made if it is not there; files of the same names are replaced.
    recordings : sequence of str or path-like
        Of each, the first 10 s are used.  None: a synthetic scene, drawn from `seed`.
    seed : int
    augmentation : Augmentation
    on_failure : callable, optional
        Called with the AudioError of each recording that cannot be decoded, and is left out.

    Returns
    -------
    Path
        Of the page.  It holds the spectrograms; the WAV files lie beside it.

    Raises
    ------
    AcdrefError
        If none of the recordings can be decoded, or a file cannot be written.
    """
    folder = Path(folder)
    sections: list[str] = []
    names: list[str] = []
    with claimed(folder):
        for title, x in _sounds(recordings, seed, on_failure):
            rows = []
            for k, (name, parameters, y) in enumerate(examples(x, seed, augmentation)):
                names.append(f"{len(sections) + 1}-{k:02}-{name.replace(', ', '-')}.wav")
                _write_wav(folder / names[-1], y)
                rows.append(_row(names[-1], name, parameters, spectrogram(y)))
            sections.append(f"<h2>{html.escape(title)}</h2>\n" + "\n".join(rows))
        if not sections:
            raise AcdrefError("none of the recordings can be decoded")
        page = folder / "index.html"
        settle(folder, names)
        write_text(page, _PAGE.replace("BODY", "\n".join(sections)))
    return page


def spectrogram(x: Sound) -> bytes:
    """Picture of a sound.

    Parameters
    ----------
    x : ndarray, (n,), float32
        At 16 kHz.

    Returns
    -------
    bytes
        A PNG file: a column for each 16 ms, 257 rows from 8 kHz at the top to 0; 80 dB from the loudest
        down.

    Examples
    --------
    >>> spectrogram(np.zeros(16000, np.float32))[:4]
    b'\\x89PNG'
    """
    magnitude = np.abs(stft(np.pad(x, (0, max(0, FRAME - len(x)))))).T[::-1]
    magnitude = magnitude / (magnitude.max() or 1)
    decibels = 20 * np.log10(np.maximum(magnitude, 10 ** (-RANGE / 20)))
    pixels = np.rint((decibels / RANGE + 1) * (_COLOURS - 1)).astype(np.uint8)
    return png(pixels, palette(_COLOURS))


def palette(colours: int) -> NDArray[np.uint8]:
    """Colours from dark to bright, which grow brighter in equal steps: (colours, 3) of red, green and blue.

    Examples
    --------
    >>> palette(3).tolist()
    [[0, 0, 0], [170, 40, 110], [255, 250, 200]]
    """
    position = np.linspace(0, len(_STOPS) - 1, colours)
    found = np.column_stack([np.interp(position, range(len(_STOPS)), stop) for stop in _STOPS.T])
    return np.rint(found).astype(np.uint8)


def png(pixels: NDArray[np.uint8], palette: NDArray[np.uint8]) -> bytes:
    """Encode a picture.

    Parameters
    ----------
    pixels : (height, width) array of uint8
        Numbers of colours; the first row is the top.
    palette : (K, 3) array of uint8
        Red, green and blue of each colour; K at most 256, and above every number in `pixels`.

    Returns
    -------
    bytes
        A PNG file with a palette (ISO/IEC 15948, colour type 3).

    Raises
    ------
    ValueError
        If a shape or type is another, or a pixel has no colour.

    Examples
    --------
    >>> png(np.array([[0, 1]], np.uint8), np.array([[0, 0, 0], [255, 0, 0]], np.uint8))[:4]
    b'\\x89PNG'
    """
    pixels, palette = np.asarray(pixels), np.asarray(palette)
    if pixels.ndim != 2 or pixels.size == 0 or pixels.dtype != np.uint8:
        raise ValueError(f"pixels must be a matrix of uint8, not {pixels.dtype} of shape {pixels.shape}")
    if palette.shape[1:] != (3,) or palette.dtype != np.uint8 or not pixels.max() < len(palette) <= 256:
        raise ValueError("the palette must be (K, 3) uint8 with a colour for every pixel, K at most 256")
    height, width = pixels.shape
    # 8 bits a pixel, colour type 3, the only compression and filters there are, not interlaced
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    rows = np.pad(pixels, ((0, 0), (1, 0)))  # each begins with its filter: 0, none
    data = zlib.compress(rows.tobytes())
    chunks = (b"IHDR", header), (b"PLTE", palette.tobytes()), (b"IDAT", data), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _sounds(recordings, seed, on_failure):
    if not recordings:
        yield f"a synthetic scene (seed {seed})", scene(np.random.default_rng(seed), SECONDS)[0]
    for path in recordings:
        try:
            yield str(path), next(audio.blocks(path, SAMPLE_RATE, SECONDS)).samples
        except AudioError as error:
            if on_failure is not None:
                on_failure(error)


def _write_wav(path, x):
    from soundfile import write

    with replacing(path, durable=False) as temporary:
        write(temporary, augment.set_level(x, LEVEL), SAMPLE_RATE, subtype="PCM_16", format="WAV")


def _row(file, name, parameters, picture):
    address = base64.b64encode(picture).decode()
    return (
        f'<figure><img src="data:image/png;base64,{address}" alt="spectrogram">'
        f"<figcaption><b>{html.escape(name)}</b> {html.escape(parameters)}<br>"
        f'<audio controls preload="none" src="{quote(file)}"></audio></figcaption></figure>'
    )


_PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Augmentation</title>
<style>
body { font: 15px/1.4 system-ui, sans-serif; margin: 1.5em; color: #222; background: #fff }
figure { display: inline-block; width: 20em; margin: 0 1em 1.5em 0; vertical-align: top }
img { width: 100%; height: 8em; background: #000; image-rendering: auto }
audio { width: 100%; height: 2em; margin-top: .3em }
</style>
<h1>Augmentation</h1>
<p>Every effect near its strongest, alone; at the end, all of them as training draws them. Everything is
at the same level. Spectrograms: 0 to 8 kHz from bottom to top, 80 dB from bright to dark.</p>
BODY
</html>
"""
