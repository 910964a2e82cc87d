"""Classes in words: the prompts that a teacher compares sounds with, and a cache of their embeddings."""

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from os import PathLike
from typing import Self

import numpy as np
from numpy.typing import NDArray

from acdref.checkpoint import read_arrays
from acdref.errors import AcdrefError, TeacherError
from acdref.files import BusyError, patient, replacing
from acdref.options.labels import PromptOptions
from acdref.remote import here
from acdref.tables.rows import is_text, tidy

TEMPLATE = PromptOptions.template

DEFAULTS = {
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
"""The prompts of Braun & Gamper's Table 1, to the letter."""


@dataclass(frozen=True)
class Prompts:
    """Classes, each with one or more prompts.

    Attributes
    ----------
    classes : dict of str to tuple of str
        Whole prompts of each class; several are averaged.
    background : tuple of str
        Whole prompts that take part in the softmax but are no class.
    template : str or None
        What the words were put into, where they were.

    Examples
    --------
    >>> Prompts.of({"dog": ["a dog", "barking"]}, background=["silence"])
    Prompts(classes={'dog': ('This is a sound of a dog', 'This is a sound of barking')}, \
background=('This is a sound of silence',), template='This is a sound of {}')
    """

    classes: dict
    background: tuple = ()
    template: str | None = None

    @classmethod
    def of(
        cls, classes: dict | None = None, background: Iterable[str] = (), template: str = TEMPLATE
    ) -> Self:
        """Put words into a template.

        Parameters
        ----------
        classes : dict of str to (str or sequence of str), optional
            Default: the 11 super-classes.
        background : sequence of str
        template : str
            With ``{}`` where the words go.

        Raises
        ------
        AcdrefError
            If the template has no such place, there is no class, or a prompt is empty.
        """
        if template.count("{}") != 1:
            raise AcdrefError(f"the template {template!r} must have one {{}}, where the words of a prompt go")

        def whole(words):
            if not words.strip():
                raise AcdrefError("a prompt is empty")
            return template.replace("{}", words)

        classes = DEFAULTS if classes is None else classes
        if not classes or not all(classes.values()):
            raise AcdrefError("there is no class, or one has no prompt")
        lists = {name: [words] if isinstance(words, str) else words for name, words in classes.items()}
        prompts = {name: tuple(map(whole, words)) for name, words in lists.items()}
        return cls(prompts, tuple(map(whole, background)), template)


def read_prompts(path: str | PathLike) -> dict[str, list[str]]:
    """Read classes from a file of ``name = prompt`` lines.

    Parameters
    ----------
    path : str or path-like
        UTF-8.  A name may have several lines; blank lines, and those that begin with ``#``, say nothing.

    Returns
    -------
    dict of str to list of str
        Without template.

    Raises
    ------
    TeacherError
        If it cannot be read or a line is none of these; the cause names it.
    """
    try:
        with open(here(path), encoding="utf-8-sig", opener=patient) as file:
            lines = file.read().splitlines()
    except OSError as error:
        raise TeacherError(path, error.strerror or str(error)) from None
    except UnicodeDecodeError as error:
        raise TeacherError(path, f"is not UTF-8 (byte {error.start})") from None
    classes: dict[str, list[str]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, words = map(tidy, line.partition("="))
        if not (name and equals and words and is_text(line)):
            raise TeacherError(path, f"line {number}: {line.strip()!r} is not of the form: name = prompt")
        classes.setdefault(name, []).append(words)
    if not classes:
        raise TeacherError(path, "has no prompts")
    return classes


class PromptCache:
    """``prompts.npz`` of a bundle: embeddings of prompts, which make text graph and tokenizer unnecessary.

    The file has the arrays ``prompts`` (P,) text, ``embeds`` (P, D) float32 as the text graph gave them, and
    ``sha256`` of that graph.

    Parameters
    ----------
    directory : str
        Of the bundle.
    model : str or None
        SHA-256 of its text graph; what the file has of another graph is not used.  None: there is no text
        graph, and the file is trusted.

    Raises
    ------
    TeacherError
        If there is a file and it cannot be read.
    """

    def __init__(self, directory: str, model: str | None) -> None:
        self.path = os.path.join(directory, "prompts.npz")
        self.model = model
        self.embeds: dict[str, NDArray[np.float32]] = {}  # prompt -> (D,)
        if os.path.exists(self.path):
            self._read()

    def _read(self):
        kinds = {"prompts": "U", "embeds": "f", "sha256": "U"}
        prompts, embeds, model = read_arrays(self.path, kinds, "a cache of prompts", TeacherError).values()
        if prompts.ndim != 1 or embeds.shape[:-1] != prompts.shape or not np.isfinite(embeds).all():
            cause = f"{embeds.shape} embeds for {prompts.shape} prompts, or embeds that are not finite"
            raise TeacherError(self.path, f"damaged, or not a cache of prompts: {cause}")
        model = str(model)
        if self.model in (None, model):
            self.model = model
            self.embeds = dict(zip(prompts.tolist(), embeds.astype(np.float32), strict=True))

    def save(self) -> None:
        """Write the file, if the bundle can be written to, and nobody else is doing so."""
        if not os.access(os.path.dirname(self.path), os.W_OK):
            return
        with (
            contextlib.suppress(BusyError),
            replacing(self.path, TeacherError) as temporary,
            open(temporary, "wb") as file,
        ):
            np.savez(file, prompts=[*self.embeds], embeds=[*self.embeds.values()], sha256=str(self.model))
