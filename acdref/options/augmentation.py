"""How strongly training varies sounds."""

from dataclasses import dataclass

from acdref.errors import OptionError
from acdref.options import SHARE, Checked, option


@dataclass(frozen=True)
class Strengths(Checked):
    """The strength of each effect; all default to none.

    Attributes
    ----------
    equaliser : float
        Standard deviation in dB.
    band_pass, low_pass, room, pitch : float
        Probability for a segment.
    speed : float
        Largest change, as a fraction.
    codec, distortion, microphone : float
        Probability for a mixture.
    level : (float, float) or None
        Lowest and highest root mean square in dBFS; None: as it is.
    """

    equaliser: float = option(0.0, "Random equaliser, dB, in place of --augment's.", at_least=0, at_most=30)
    band_pass: float = option(0.0, **SHARE)
    low_pass: float = option(0.0, "Probability of a low-pass, in place of --augment's.", **SHARE)
    room: float = option(0.0, **SHARE)
    pitch: float = option(0.0, **SHARE)
    speed: float = option(0.0, "Largest change of speed, in place of --augment's.", at_least=0, below=1)
    codec: float = option(0.0, **SHARE)
    distortion: float = option(0.0, **SHARE)
    microphone: float = option(0.0, **SHARE)
    level: tuple[float, float] | None = option(None, at_least=-300, at_most=300)

    def __post_init__(self) -> None:
        if self.level is not None:
            object.__setattr__(self, "level", tuple(self.level))  # JSON has lists only
        super().__post_init__()
        if self.level is not None and (len(self.level) != 2 or self.level[0] > self.level[1]):
            raise OptionError(f"level must be (lowest, highest), not {self.level}")
