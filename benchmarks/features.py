"""Race the features of a 10 s clip against librosa, SciPy and PyTorch.

    python benchmarks/features.py [--rounds 7] [--threads 1,2] [--only NAME,...] [--json FILE]

Everybody makes the compressed spectrogram, (624, 257, 2) float32, from 16 kHz samples: STFT of 512 samples
every 256, and magnitudes to the power 0.3 by one formula, written in NumPy or in PyTorch.  All must agree.
Each round gives every contender a turn in its own process while the others wait; median, least and most are
over the rounds, and so is how many times as long it took as acdref in the same round.
"""

import numpy as np
import turns
from machine import describe
from networks import waveforms
from report import Table

TOLERANCE = 1e-4  # relative to the largest: not everybody transforms in float64, as acdref does


def acdref(case):
    from acdref.features.compressed import features

    audio = waveforms(1)[0]
    return _checked(lambda: features(audio))


def librosa(case):
    stft = turns.need("librosa").stft
    audio = waveforms(1)[0]
    return _checked(lambda: compressed(stft(audio, n_fft=512, hop_length=256, center=False).T))


def scipy(case):
    signal = turns.need("scipy.signal")
    audio = waveforms(1)[0]
    window = signal.get_window("hann", 512).astype(np.float32)
    transform = signal.ShortTimeFFT(window, 256, 16_000, phase_shift=None)
    # Its frames are counted by their middles: number 1 is the first that lies within the clip.
    return _checked(lambda: compressed(transform.stft(audio, p0=1, p1=625).T))


def pytorch(case):
    torch = turns.need("torch")
    import torch_twin

    torch.set_num_threads(case["threads"])
    audio = torch.from_numpy(waveforms(1))
    return _checked(lambda: torch_twin.features(audio)[0].numpy())


def compressed(spectra):
    """Real and imaginary parts of complex spectra, magnitudes to the power 0.3."""
    power = spectra.real**2 + spectra.imag**2
    spectra = spectra * np.maximum(power, 1e-12) ** -0.35
    return np.stack([spectra.real, spectra.imag], -1).astype(np.float32, copy=False)


def _checked(call):
    return call, lambda: np.asarray(call()).ravel()[::101].tolist()


CONTENDERS = {"acdref": acdref, "librosa": librosa, "scipy": scipy, "torch": pytorch}
COLUMNS = {
    "features of 10 s": "{contender}",
    "threads": "{threads}",
    "median ms": "{median:.2f}",
    "least": "{least:.2f}",
    "most": "{most:.2f}",
    "times acdref": "{ratio:.2f}",
}


def main():
    parser = turns.parser(__doc__, CONTENDERS, "features.json", 0.2)
    parser.add_argument("--threads", type=turns.integers, default=[1, 2])
    arguments = parser.parse_args()
    table = Table(COLUMNS, describe("acdref", "numpy", "librosa", "scipy", "torch"), rounds=arguments.rounds)
    for threads in arguments.threads:
        workers = turns.start(__file__, arguments.only, threads)
        try:
            for row in turns.rows(workers, {"threads": threads}, arguments, TOLERANCE):
                table.add(**row)
        finally:
            turns.close(workers)
    table.write(arguments.json)


if __name__ == "__main__":
    turns.main(CONTENDERS, main)
