"""A CLAP model as a directory: which files there are, and what they say about themselves.

::

    audio_model.onnx | onnx/audio_model.onnx        or with _fp16, _quantized, _int8 or _uint8 before the dot
    text_model.onnx, likewise                       not needed where prompts.npz has all the prompts
    model.onnx, likewise                            not needed; gives the logit scale
    tokenizer.json | merges.txt
    preprocessor_config.json                        needed by the family hf
    clap_bundle.json                                written by tools/export_clap.py, absent in public exports
    prompts.npz                                     see acdref.clap.prompts
"""

import math
import os
from dataclasses import dataclass, field
from os import PathLike
from typing import Self

import numpy as np
from numpy.typing import NDArray

from acdref.clap.frontends import FRONT_ENDS, HfFrontEnd, MsclapFrontEnd
from acdref.errors import TeacherError
from acdref.files import read_json

FORMAT = "acdref.clap/1"
SETTINGS = "preprocessor_config.json"
PRECISIONS = {"fp32": ("",), "fp16": ("_fp16",), "int8": ("_quantized", "_int8", "_uint8")}


@dataclass(frozen=True)
class Bundle:
    """Paths and settings; the graphs have not been opened.

    Attributes
    ----------
    directory : str
    audio : str
        Path of the audio graph.
    text, full, tokenizer : str or None
    settings : dict or None
        Content of preprocessor_config.json.
    description : dict
        Content of clap_bundle.json, checked; empty if there is none.
    """

    directory: str
    audio: str
    text: str | None
    full: str | None
    tokenizer: str | None
    settings: dict | None = field(repr=False)
    description: dict = field(repr=False)

    @classmethod
    def open(cls, directory: str | PathLike, precision: str | None = None) -> Self:
        """Look at a directory.

        Parameters
        ----------
        directory : str or path-like
        precision : {"fp32", "fp16", "int8"}, optional
            Default: the first of these whose audio graph is there.

        Raises
        ------
        TeacherError
            If there is no such directory or no audio graph in it (the error names what was looked for), or a
            file of settings cannot be read.
        """
        directory = os.fspath(directory)
        if not os.path.isdir(directory):
            is_file = os.path.exists(directory)
            cause = "a file; a bundle is a directory" if is_file else "no such directory"
            raise TeacherError(directory, cause)
        looked_for = _names("audio_model", PRECISIONS if precision is None else [precision])
        audio = _first(directory, looked_for)
        if audio is None:
            raise TeacherError(directory, f"no audio graph; looked for {', '.join(looked_for)}")
        # The text graph may be of another precision: it runs once a prompt.
        precisions = dict.fromkeys([precision_of(audio), *PRECISIONS])
        return cls(
            directory,
            audio,
            text=_first(directory, _names("text_model", precisions)),
            full=_first(directory, _names("model", precisions)),
            tokenizer=_first(directory, ("tokenizer.json", "merges.txt")),
            settings=_json(os.path.join(directory, SETTINGS)),
            description=_description(os.path.join(directory, "clap_bundle.json")),
        )

    @property
    def precision(self) -> str:
        """That of the audio graph: "fp32", "fp16" or "int8"."""
        return precision_of(self.audio)

    @property
    def settings_path(self) -> str:
        """Path of preprocessor_config.json, whether there is one or not."""
        return os.path.join(self.directory, SETTINGS)

    def front_end(self, inputs: dict) -> HfFrontEnd | MsclapFrontEnd:
        """The front end, by clap_bundle.json's family or else by the inputs of the audio graph."""
        if "is_longer" in inputs:
            cause = "a fused model (input is_longer), which acdref does not support: use an unfused one"
            raise TeacherError(self.audio, f"{cause}, or bring its embeddings (acdref.teacher.TeacherScores)")
        family = self.description.get("family")
        kinds = FRONT_ENDS.values() if family is None else [FRONT_ENDS[family]]
        found = next((kind for kind in kinds if kind.audio_input in inputs), None)
        if found is None:
            known = " or ".join(kind.audio_input for kind in kinds)
            of = "" if family is None else f" (clap_bundle.json says that the family is {family})"
            cause = f"declares the inputs {', '.join(inputs)}, none of which is {known}{of}"
            raise TeacherError(self.audio, cause)
        if found is MsclapFrontEnd:
            return self._msclap(inputs)
        if self.settings is None:
            raise TeacherError(self.settings_path, "no such file; it tells how the model wants its sound")
        return HfFrontEnd.of_settings(self.settings, self.settings_path)

    def _msclap(self, inputs):
        front_end = MsclapFrontEnd()
        _, shape = inputs.get("waveform", (None, ()))
        samples = round(self.description.get("sampling_rate", 44100) * self.description.get("duration", 7))
        if 220500 in (samples, *shape):
            cause = "MS-CLAP 2022 (5 s windows), which acdref does not support: use MS-CLAP 2023"
            raise TeacherError(self.audio, f"{cause}, or bring its embeddings (acdref.teacher.TeacherScores)")
        if samples != front_end.samples:
            raise TeacherError(self.audio, f"takes {samples} samples; MS-CLAP 2023 takes {front_end.samples}")
        return front_end


def probe_sound(n: int) -> NDArray[np.float32]:
    """The sound that a bundle's self-test is made of: a sweep that grows louder.

    Parameters
    ----------
    n : int
        Samples.

    Returns
    -------
    (n,) float32 array

    Examples
    --------
    >>> probe_sound(4).round(3)
    array([0.   , 0.032, 0.194, 0.38 ], dtype=float32)
    """
    t = np.arange(n) / n
    return (0.5 * (0.1 + 0.9 * t) * np.sin(np.pi * n / 4 * t**2)).astype(np.float32)


def precision_of(path: str) -> str:
    """The precision that the name of a graph tells.

    Parameters
    ----------
    path : str

    Returns
    -------
    {"fp32", "fp16", "int8"}

    Examples
    --------
    >>> precision_of("onnx/text_model_quantized.onnx"), precision_of("audio_model.onnx")
    ('int8', 'fp32')
    """
    stem = os.path.splitext(os.path.basename(path))[0]
    return next((p for p in ("fp16", "int8") if stem.endswith(PRECISIONS[p])), "fp32")


def _names(stem, precisions):
    """File names of a graph in some precisions, in the order in which they count."""
    suffixes = [suffix for precision in precisions for suffix in PRECISIONS[precision]]
    return [f"{folder}{stem}{suffix}.onnx" for suffix in suffixes for folder in ("", "onnx/")]


def _first(directory, names):
    paths = (os.path.join(directory, *name.split("/")) for name in names)
    return next(filter(os.path.lexists, paths), None)  # a broken link is complained about, not passed over


def _json(path):
    """Content of a JSON file, which must be an object; None if there is no such file."""
    if not os.path.lexists(path):
        return None
    content = read_json(path, TeacherError)
    if not isinstance(content, dict):
        raise TeacherError(path, "is not a JSON object")
    return content


def _description(path):
    description = _json(path)
    if description is None:
        return {}
    if description.get("format") != FORMAT:
        raise TeacherError(path, f"has the format {description.get('format')!r}, not {FORMAT!r}")
    if description.get("family") not in tuple(FRONT_ENDS):
        known = ", ".join(FRONT_ENDS)
        raise TeacherError(path, f"has the family {description.get('family')!r}; acdref knows {known}")
    try:
        numbers = [float(description[name]) for name in ("logit_scale", "sampling_rate", "duration")]
        if not all(0 < number < math.inf for number in numbers):
            raise ValueError("logit_scale, sampling_rate and duration must be positive numbers")
        test = description["selftest"]
        for name in ("input_ids", "audio_embeds", "text_embeds"):
            np.array(test[name], dtype=np.int64 if name == "input_ids" else np.float64).reshape(1, -1)
        {str(name): str(digest) for name, digest in description["sha256"].items()}
    except KeyError as error:
        raise TeacherError(path, f"lacks {error.args[0]!r}") from None
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise TeacherError(path, f"makes no sense: {error}") from None
    return description
