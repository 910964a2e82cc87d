"""Sound that comes as it is made: options of `acdref predict`."""

import sys
from collections.abc import Callable, Sequence

import click

from acdref.commands._network import one_blas_thread
from acdref.commands._options import option
from acdref.commands._output import is_stream

_pcm = option(
    "--pcm",
    str,
    "In place of PATH, sound comes through stdin as it is made: wav, or raw samples such as s16le:48000:2 "
    "(their format by ffmpeg's name, Hz, channels).",
    metavar="FORMAT:RATE[:CHANNELS]",
)
_mic = click.option(
    "--mic",
    help="In place of PATH, listen to a microphone: its number, a part of its name, or nothing for the "
    "default (needs the package sounddevice).",
    metavar="[DEVICE]",
    is_flag=False,
    flag_value="",
)


def stream_options(command):
    """Decorator: the options that :func:`stream_of` takes."""
    return _pcm(_mic(command))


def stream_of(
    paths: tuple[str, ...], pcm: str | None, mic: str | None, outs: Sequence[str | None], **others: object
) -> tuple[str, Callable] | None:
    """The stream that is asked for in place of paths: its name, and what opens it; None if there is none.

    Raises
    ------
    UsageError
        If there is neither, or both; if stdin is a terminal, one of `outs` a file, or an option given that
        goes with paths alone.
    """
    if pcm is None and mic is None:
        if not paths:
            raise click.UsageError("Missing argument 'PATH...' (or --pcm, or --mic).")
        return None
    flag = "--pcm" if mic is None else "--mic"
    if (pcm is not None and mic is not None) or paths not in ((), ("-",) * (mic is None)):
        raise click.UsageError(f"{flag} is given alone, without PATH or another stream")
    for name, value in others.items():
        if value:
            raise click.UsageError(f"--{name} does not go with {flag}")
    for out in outs:
        if out is not None and not is_stream(out):
            raise click.UsageError(f"--out {out}: it would appear when all is done; {flag} goes with > {out}")
    one_blas_thread()
    from functools import partial

    from acdref.predict import sources

    if pcm is None:
        return mic or "microphone", partial(sources.from_microphone, mic or "")
    if sys.stdin.isatty():
        raise click.UsageError("--pcm reads sound from stdin, which is a terminal")
    try:
        form = None if pcm == "wav" else sources.pcm(pcm)
    except ValueError as error:
        raise click.UsageError(f"--pcm: {error}") from None
    return sources.STDIN, partial(sources.from_pipe, sys.stdin.buffer, form)
