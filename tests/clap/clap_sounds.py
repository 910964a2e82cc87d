"""The sounds and prompts that fixtures/clap_torch.npz was recorded with."""

import numpy as np

RATES = (8000, 16000, 22050, 44100, 48000)
SECONDS = (0.1, 3.0, 10.0, 35.0)
CASES = [
    (rate, channels, seconds)
    for i, rate in enumerate(RATES)
    for j, seconds in enumerate(SECONDS)
    for channels in ((1, 2) if i == j or seconds == 3.0 else (1,))
]
PROMPTS = [
    "This is a sound of human speech",
    "This is a sound of a dog barking",
    "This is a sound of wind noise",
    "rain",
    "Café müsic, it's 2 o'clock…",
]


def sound(rate, channels, seconds):
    """((n, channels) float32 samples, rate): tones that glide, with noise, different from case to case."""
    rng = np.random.default_rng([rate, channels, round(10 * seconds)])
    t = np.arange(round(rate * seconds)) / rate
    x = np.empty((len(t), channels), np.float32)
    for c in range(channels):
        f, glide, level = rng.uniform(100, rate / 4), rng.uniform(-0.2, 0.2), rng.uniform(-60, -20)
        noise = rng.standard_normal(len(t)) * 10 ** (level / 20)
        x[:, c] = 0.3 * np.sin(2 * np.pi * f * (t + glide * np.sin(t))) * (1 + np.sin(7 * t)) + noise
    return x, rate
