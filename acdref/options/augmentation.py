"""How strongly training varies sounds."""

from dataclasses import dataclass

from acdref.errors import OptionError
from acdref.options import Checked, amount, option, share


@dataclass(frozen=True)
class Strengths(Checked):
    """The strength of each effect; all default to none.

    Attributes
    ----------
    equaliser : float
        Standard deviation in dB.
    band_pass, low_pass, room, pitch, noise : float
        Probability for a segment.
    speed : float
        Largest change, as a fraction.
    codec, distortion, microphone : float
        Probability for a mixture.
    level : (float, float) or None
        Lowest and highest root mean square in dBFS; None: as it is.
    """

    equaliser: float = amount(0.0, "Random equaliser, dB, in place of --augment's.", at_most=30)
    band_pass: float = share(0.0)
    low_pass: float = share(0.0, "Probability of a low-pass, in place of --augment's.")
    room: float = share(0.0)
    pitch: float = share(0.0)
    speed: float = amount(0.0, "Largest change of speed, in place of --augment's.", below=1)
    noise: float = share(0.0)
    codec: float = share(0.0)
    distortion: float = share(0.0)
    microphone: float = share(0.0)
    level: tuple[float, float] | None = option(None, at_least=-300, at_most=300)

    def __post_init__(self) -> None:
        if self.level is not None:
            object.__setattr__(self, "level", tuple(self.level))  # JSON has lists only
        super().__post_init__()
        if self.level is not None and (len(self.level) != 2 or self.level[0] > self.level[1]):
            raise OptionError(f"level must be (lowest, highest), not {self.level}")
