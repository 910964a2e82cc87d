"""Weather and wildlife: nature, windnoise; and the background that is no class at all."""

import numpy as np

from acdref.synth.blocks import (
    add_at,
    coloured,
    decay,
    filtered,
    glide,
    high_pass,
    log_uniform,
    low_pass,
    onsets,
    pick,
    swell,
    wander,
    wave,
    white,
)

# Nature


def nature(rng, n, sr):
    """Birds, rain, streams, thunder, insects; sometimes two of them."""
    recipes = [(4, _birds), (2.5, _rain), (2, _stream), (1.5, _thunder), (2, _insects)]
    out = np.zeros(n, np.float32)
    for _ in range(1 + (rng.random() < 0.25)):
        x = pick(rng, recipes)(rng, n, sr)
        out += log_uniform(rng, 0.4, 1.0) * x / np.sqrt(np.mean(x**2))
    return out


def _birds(rng, n, sr):
    """One to three birds, each repeating its own phrase of notes."""
    out = np.zeros(n, np.float32)
    for _ in range(rng.integers(1, 4)):
        phrase = _bird_phrase(rng, sr)
        length = len(phrase) / sr
        level = log_uniform(rng, 0.2, 1.0)
        for start in onsets(rng, n, sr, length + 0.1, length + log_uniform(rng, 0.4, 3.0)):
            add_at(out, start, level * log_uniform(rng, 0.6, 1.0) * phrase)
    return out


def _bird_phrase(rng, sr):
    """Notes that sweep within 1.5 to 7.5 kHz: a trill of one note, or a few different ones."""
    centre = log_uniform(rng, 2000, 6000)
    trill = rng.random() < 0.4
    length = log_uniform(rng, 0.03, 0.25)
    gap = int(sr * length * rng.uniform(0.2, 1.0))
    note, notes = None, []
    for _ in range(rng.integers(2, 15 if trill else 6)):
        if note is None or not trill:
            size = int(sr * length * log_uniform(rng, 0.6, 1.6))
            sweep = centre * np.exp2(0.35 * rng.standard_normal(rng.integers(2, 5)))
            f = np.clip(glide(sweep, size) * (1 + 0.02 * wave(rng.uniform(20, 80), size, sr)), 1500, 7500)
            note = wave(f, size, sr) * swell(size, sr, 0.3 * size / sr, 0.4 * size / sr)
        notes += [note, np.zeros(gap, np.float32)]
    return np.concatenate(notes)


def _rain(rng, n, sr):
    """Noise of countless distant drops, and near drops that can be told apart."""
    low, high = log_uniform(rng, 300, 1500), log_uniform(rng, 3500, 9000)
    x = filtered(white(rng, n), sr, lambda f: high_pass(f, low, 1) * low_pass(f, high, 1))
    x *= np.exp(0.15 * wander(rng, n, sr, 1.0))
    return x + _drops(rng, n, sr, log_uniform(rng, 10, 150), log_uniform(rng, 1, 6), (700, 5000), 0.012)


def _stream(rng, n, sr):
    """Water: a bed of noise and many bubbles, each a short tone that rises."""
    cutoff = log_uniform(rng, 800, 3000)
    bed = filtered(
        coloured(rng, n, sr, 0.7, 200), sr, lambda f: high_pass(f, 200, 1) * low_pass(f, cutoff, 1)
    )
    bed *= np.exp(0.3 * wander(rng, n, sr, 5.0))
    return log_uniform(rng, 0.2, 1.0) * bed + _drops(
        rng, n, sr, log_uniform(rng, 40, 160), 1.0, (350, 2200), 0.05
    )


def _drops(rng, n, sr, rate, level, pitches, seconds):
    """`rate` short rising tones per second, at random times, from a bank of 16."""
    size = int(sr * seconds)
    bank = []
    for pitch in log_uniform(rng, *pitches, 16):
        rise = glide([1, rng.uniform(1.0, 1.5)], size)
        bank.append(wave(pitch * rise, size, sr) * decay(size, sr, seconds * rng.uniform(0.4, 1), 0.001))
    count = 1 + rng.poisson(rate * n / sr)
    out = np.zeros(n, np.float32)
    levels = level * log_uniform(rng, 0.05, 1.0, count)
    which, starts = rng.integers(16, size=count), rng.integers(n, size=count)
    for start, k, gain in zip(starts.tolist(), which.tolist(), levels.astype(np.float32), strict=True):
        add_at(out, start, gain * bank[k])
    return out


def _thunder(rng, n, sr):
    """A crack, if near, and seconds of rolling rumble; in light rain."""
    out = 0.02 * _rain(rng, n, sr)
    near = rng.random() < 0.5
    for start in onsets(rng, n, sr, 3.0, 8.0):
        size = int(sr * rng.uniform(2.0, 6.0))
        roll = np.exp(0.8 * wander(rng, size, sr, rng.uniform(3, 7)))
        boom = (
            coloured(rng, size, sr, rng.uniform(1.4, 2.2), 40) * roll * decay(size, sr, 1.5 * size / sr, 0.1)
        )
        if near:
            crackle = np.exp(1.2 * wander(rng, size, sr, 60)) * decay(size, sr, rng.uniform(0.3, 1.0), 0.01)
            boom += rng.uniform(0.3, 1.0) * coloured(rng, size, sr, 0.7, 200) * crackle
        add_at(out, start, boom * swell(size, sr, 0.02, 0.5))
    return out


def _insects(rng, n, sr):
    """Crickets and cicadas: a high carrier, pulsed fast, in chirps or without end."""
    out = 0.02 * white(rng, n)
    for _ in range(rng.integers(1, 4)):
        carrier = log_uniform(rng, 2800, 7000) * (1 + 0.003 * wander(rng, n, sr, 3))
        pulse = np.maximum(0, wave(log_uniform(rng, 15, 90), n, sr, rng.uniform(0, 6.28)))
        song = wave(carrier, n, sr) * pulse
        if rng.random() < 0.6:
            chirp = wave(log_uniform(rng, 0.7, 4), n, sr, rng.uniform(0, 1.5)) + rng.uniform(-0.3, 0.5)
            song *= np.clip(4 * chirp, 0, 1)
        out += log_uniform(rng, 0.2, 1.0) * song
    return out


# Wind noise


def windnoise(rng, n, sr):
    """Wind on a microphone: low noise in gusts; the stronger the gust, the higher it reaches."""
    gust = np.exp(rng.uniform(0.4, 1.0) * wander(rng, n, sr, log_uniform(rng, 0.5, 2.0)))
    gust *= np.exp(rng.uniform(0.1, 0.4) * wander(rng, n, sr, rng.uniform(5, 12)))
    cutoff = log_uniform(rng, 60, 200)
    rumble = filtered(white(rng, n), sr, lambda f: high_pass(f, 15) * low_pass(f, cutoff, 1.5))
    rush = filtered(white(rng, n), sr, lambda f: high_pass(f, 80) * low_pass(f, 2.5 * cutoff, 1.5))
    out = rumble / np.sqrt(np.mean(rumble**2)) * gust
    out += log_uniform(rng, 0.05, 0.3) * rush / np.sqrt(np.mean(rush**2)) * gust**2
    if rng.random() < 0.4:  # the membrane hits its stop
        limit = np.float32(np.quantile(np.abs(out), rng.uniform(0.95, 0.995)))
        out = limit * np.tanh(out / limit)
    return out


# Background


def background(rng, n, sr):
    """What any recording contains: noise of a random colour, its level drifting, sometimes mains hum.

    Returns
    -------
    (n,) float32
        Of about unit RMS.
    """
    x = coloured(rng, n, sr, pick(rng, [(1, 0.0), (2, 1.0), (1, 2.0), (3, rng.uniform(0, 2))]), 30)
    x *= np.exp(0.1 * wander(rng, n, sr, 0.5))
    if rng.random() < 0.3:
        mains = 50 if rng.random() < 0.5 else 60
        for k in range(1, 1 + rng.integers(1, 4)):
            x += log_uniform(rng, 0.02, 0.3) * wave(k * mains, n, sr)
    return x
