"""Made by engines, motors and loudspeakers: urban, machinery, alarm."""

import numpy as np

from acdref.synth.blocks import (
    add_at,
    coloured,
    decay,
    filter_moving,
    filtered,
    glide,
    harmonics,
    high_pass,
    log_uniform,
    low_pass,
    onsets,
    pick,
    resonance,
    room,
    swell,
    wander,
    wave,
    white,
)

# Urban


def urban(rng, n, sr):
    """Street sounds: engines, passing cars, horns, a bed of distant traffic."""
    out = log_uniform(rng, 0.03, 0.4) * _traffic(rng, n, sr)
    for part in pick(
        rng, [(3, [_engine]), (3, [_passing]), (2, [_horns]), (1, [_passing, _horns]), (1, [_traffic])]
    ):
        x = part(rng, n, sr)
        out += x / np.sqrt(np.mean(x**2))
    return out


def _traffic(rng, n, sr):
    x = coloured(rng, n, sr, rng.uniform(1.3, 2.0), log_uniform(rng, 40, 120))
    return x * np.exp(0.3 * wander(rng, n, sr, 0.7))


def _engine(rng, n, sr):
    """Firing pulses whose rate idles or revs, through an exhaust, with the rattle of the mechanics."""
    idle = log_uniform(rng, 22, 60)
    revs = np.ones(int(n / sr * 0.8) + 2)
    if rng.random() < 0.6:
        revs += rng.uniform(0, 2.2, len(revs))
    rate = idle * glide(revs, n) * (1 + 0.012 * wander(rng, n, sr, 15))
    source = harmonics(rate, log_uniform(rng, 250, 800) * (rate / idle) ** 0.5, n, sr)
    # A second voice at half the rate: the cylinders are not alike.
    source += rng.uniform(0.2, 0.8) * harmonics(rate / 2, 200, n, sr)
    rattle = white(rng, n) * np.maximum(0, harmonics(rate, 300, n, sr))
    x = source + log_uniform(rng, 0.03, 0.3) * rattle
    pipe, width = log_uniform(rng, 90, 350), log_uniform(rng, 150, 600)
    return filtered(x, sr, lambda f: resonance(f, pipe, width) + 0.15 * low_pass(f, 2500, 1))


def _passing(rng, n, sr):
    """Vehicles that come and go."""
    out = np.zeros(n, np.float32)
    for start in onsets(rng, n, sr, 2.0, 5.0)[:4]:
        out += _vehicle(rng, n, sr, start / sr + rng.uniform(0.3, 1.5) * min(1.5, n / sr))
    return out


def _vehicle(rng, n, sr, moment):
    """Near at `moment` (s): tyre noise swells and brightens, the pitch of the engine drops (Doppler)."""
    t = np.arange(n, dtype=np.float32) / sr
    width = log_uniform(rng, 0.4, 1.8)
    dull, bright = log_uniform(rng, 500, 1000), log_uniform(rng, 1200, 4000)

    def nearness(t):
        return 1 / (1 + ((t - moment) / width) ** 2)

    def tyre_gain(u, f):
        return low_pass(f, dull + bright * nearness(u * n / sr), 1)

    tyres = filter_moving(coloured(rng, n, sr, rng.uniform(0.6, 1.2), 200), sr, tyre_gain)
    doppler = 1 - rng.uniform(0.02, 0.08) * np.tanh((t - moment) / width)
    engine = harmonics(log_uniform(rng, 40, 120) * doppler, log_uniform(rng, 150, 500), n, sr)
    return nearness(t) * (tyres + log_uniform(rng, 0.1, 0.8) * engine)


def _horns(rng, n, sr):
    """Two tones about a third apart, bright and steady, in one or several blows."""
    out = np.zeros(n, np.float32)
    low, bright = log_uniform(rng, 220, 480), log_uniform(rng, 800, 1900)
    pitches = low * np.array([1.0, rng.uniform(1.18, 1.34)])
    for start in onsets(rng, n, sr, 0.5, 4.0):
        size = int(sr * log_uniform(rng, 0.15, 1.5))
        blow = sum(harmonics(pitch, bright, size, sr) for pitch in pitches)
        add_at(out, start, rng.uniform(0.5, 1.0) * blow * swell(size, sr, 0.015, 0.04))
    return room(rng, out, sr, rng.uniform(0.3, 1.2), rng.uniform(0.1, 0.6))


# Machinery


def machinery(rng, n, sr):
    """Indoor and hand-held machines: fans, motors, humming transformers, drills, hammers, saws."""
    recipes = [(2, _fan), (2, _motor), (1.5, _hum), (2, _drill), (1.5, _hammering), (1.5, _saw)]
    return pick(rng, recipes)(rng, n, sr)


def _fan(rng, n, sr):
    """Air noise, modulated by the blades, over a few tones of the blade rate."""
    blades = log_uniform(rng, 15, 160)
    rate = blades * (1 + 0.003 * wander(rng, n, sr, 2))
    tone = harmonics(rate, log_uniform(rng, 100, 500), n, sr)
    air = coloured(rng, n, sr, rng.uniform(0.5, 1.2), 100)
    cutoff = log_uniform(rng, 800, 6000)
    air = filtered(air, sr, lambda f: low_pass(f, cutoff, 1))
    return air * (1 + rng.uniform(0.1, 0.5) * wave(rate, n, sr)) + log_uniform(rng, 0.2, 1.0) * tone


def _motor(rng, n, sr):
    """Electric motor: a whine that runs up, works and runs down, with brush noise."""
    whine = log_uniform(rng, 120, 900)
    stops = [rng.uniform(0.5, 0.9), 1, *(1 + 0.06 * rng.standard_normal(int(n / sr) + 1))]
    rate = whine * glide(stops, n) * (1 + 0.004 * wander(rng, n, sr, 20))
    tone = harmonics(rate, min(1900, whine * rng.uniform(1.0, 3.5)), n, sr)
    tone += rng.uniform(0.2, 0.8) * wave(rate * rng.uniform(3, 6.5), n, sr)
    brushes = coloured(rng, n, sr, rng.uniform(0, 0.8), 200) * (1 + 0.4 * wave(rate / 4, n, sr))
    return (tone + log_uniform(rng, 0.1, 0.6) * brushes) * swell(n, sr, 0.2, 0.1)


def _hum(rng, n, sr):
    """A transformer or compressor: strong even harmonics of the mains, throbbing, with a buzz on top."""
    mains = 2 * (50 if rng.random() < 0.5 else 60)
    throb = 1 + rng.uniform(0.15, 0.6) * wave(log_uniform(rng, 0.5, 12), n, sr)
    tone = harmonics(mains, log_uniform(rng, 150, 700), n, sr)
    buzz = filtered(harmonics(mains, 1500, n, sr), sr, lambda f: high_pass(f, 800))
    air = coloured(rng, n, sr, rng.uniform(0.7, 1.5), 100)
    return tone * throb + log_uniform(rng, 0.05, 0.6) * buzz + log_uniform(rng, 0.05, 0.3) * air


def _drill(rng, n, sr):
    """A drill or mixer in runs: under load its pitch sinks and it grates."""
    out = np.zeros(n, np.float32)
    pitch, bright = log_uniform(rng, 90, 420), log_uniform(rng, 700, 1900)
    grate = log_uniform(rng, 0.15, 0.8)
    for start in onsets(rng, n, sr, 1.5, 5.0):
        size = int(sr * rng.uniform(0.6, 3.5))
        load = 0.1 * np.abs(rng.standard_normal(5))
        rate = pitch * glide([0.4, 1, *(1 - load), 0.9, 0.5], size) * (1 + 0.01 * wander(rng, size, sr, 40))
        noise = filtered(white(rng, size), sr, lambda f: high_pass(f, 600)) * (1 + wave(rate, size, sr))
        add_at(out, start, (harmonics(rate, bright, size, sr) + grate * noise) * swell(size, sr, 0.05, 0.12))
    return out


def _hammering(rng, n, sr):
    """Jackhammer, press or sewing machine: the same stroke over and over, with the ring of metal."""
    rate = log_uniform(rng, 5, 28)
    size = int(sr * min(0.25, 2.0 / rate))
    ring = sum(rng.uniform(0.2, 1) * wave(log_uniform(rng, 500, 5000), size, sr) for _ in range(4))
    thud = coloured(rng, size, sr, rng.uniform(0, 1.2), 80)
    stroke = (log_uniform(rng, 0.05, 0.5) * ring + thud) * decay(size, sr, rng.uniform(0.03, 0.2), 0.001)
    out = log_uniform(rng, 0.01, 0.08) * coloured(rng, n, sr, 1.0)
    for start in np.arange(0, n, sr / rate):
        jitter = int(0.03 * sr / rate * rng.uniform(0, 1))
        add_at(out, int(start) + jitter, log_uniform(rng, 0.7, 1.0) * stroke)
    return out


def _saw(rng, n, sr):
    """Circular saw or grinder: a high scream that sinks under load, in loud noise."""
    scream = log_uniform(rng, 900, 3000)
    load = 1 - 0.12 * np.abs(rng.standard_normal(int(n / sr * 1.5) + 2))
    rate = scream * glide(load, n) * (1 + 0.004 * wander(rng, n, sr, 50))
    tone = wave(rate, n, sr) + rng.uniform(0.1, 0.6) * wave(2 * rate, n, sr) + 0.4 * wave(rate / 2, n, sr)
    noise = filtered(white(rng, n), sr, lambda f: high_pass(f, 1000, 1))
    return tone + log_uniform(rng, 0.15, 0.9) * noise * np.exp(0.3 * wander(rng, n, sr, 4))


# Alarm


def alarm(rng, n, sr):
    """Sirens, beepers, bells and car alarms, near or far."""
    recipes = [(3, _siren), (3, _beeps), (1.5, _bell), (1, _car_alarm), (1, _buzzer)]
    out = pick(rng, recipes)(rng, n, sr)
    if rng.random() < 0.5:
        out = room(rng, out, sr, rng.uniform(0.2, 1.5), rng.uniform(0.1, 0.6))
    return out


def _siren(rng, n, sr):
    """Wail, yelp or two-tone."""
    low = log_uniform(rng, 380, 800)
    high = low * rng.uniform(1.35, 2.6)
    kind = rng.integers(3)
    period = (rng.uniform(2, 6), rng.uniform(0.2, 0.5), rng.uniform(0.8, 1.6))[kind]
    swing = wave(1 / period, n, sr, rng.uniform(0, 2 * np.pi))
    if kind == 2:
        swing = np.tanh(30 * swing)
    return _loudspeaker(rng, low * (high / low) ** (0.5 + 0.5 * swing), n, sr)


def _loudspeaker(rng, f0, n, sr):
    """A tone with the harmonics of an overdriven horn loudspeaker."""
    bright = np.minimum(1900, np.asarray(f0) * rng.uniform(0.4, 2.0))
    return harmonics(f0, bright, n, sr)


def _beeps(rng, n, sr):
    """Smoke detector, alarm clock, reversing lorry: groups of equal beeps."""
    pitch = log_uniform(rng, 800, 4000)
    on = log_uniform(rng, 0.05, 0.6)
    off, count = on * rng.uniform(0.5, 1.5), int(rng.integers(1, 6))
    pause = log_uniform(rng, 0.2, 1.2)
    size = int(sr * on)
    tones = wave(pitch, size, sr) + rng.uniform(0, 0.4) * wave(min(2 * pitch, 7500), size, sr)
    beep = tones * swell(size, sr, 0.004, 0.006)
    group = np.zeros(int(sr * (count * (on + off) + pause)), np.float32)
    for k in range(count):
        add_at(group, int(k * sr * (on + off)), beep)
    return np.resize(group, n)


def _bell(rng, n, sr):
    """A fire bell struck many times a second, or single strokes: inharmonic partials that ring."""
    pitch = log_uniform(rng, 500, 1800)
    ratios = np.array([0.5, 1.0, 1.19, 1.56, 2.0, 2.51, 2.66, 3.01]) * rng.uniform(0.98, 1.02, 8)
    size = int(sr * rng.uniform(0.6, 2.0))
    stroke = np.zeros(size, np.float32)
    for ratio in ratios[ratios * pitch < 7500]:
        ringing = decay(size, sr, 1.5 * size / sr / ratio**0.5, 0.001)
        stroke += log_uniform(rng, 0.2, 1) * wave(pitch * ratio, size, sr) * ringing
    stroke *= swell(size, sr, 0.001, 0.05)
    period = 1 / rng.uniform(6, 18) if rng.random() < 0.6 else rng.uniform(0.5, 1.5)
    out = np.zeros(n, np.float32)
    for start in np.arange(0, n, period * sr):
        add_at(out, int(start), log_uniform(rng, 0.8, 1.0) * stroke)
    return out


def _car_alarm(rng, n, sr):
    """A sequence of different patterns, each a second or two."""
    out = np.zeros(n, np.float32)
    low = log_uniform(rng, 500, 1100)
    start = 0
    while start < n:
        size = int(sr * rng.uniform(0.8, 2.0))
        rate, span = log_uniform(rng, 2, 12), rng.uniform(1.3, 2.4)
        swing = wave(rate, size, sr)
        shape = pick(
            rng, [(1, swing), (1, np.tanh(20 * swing)), (1, (np.arange(size) * rate / sr) % 1 * 2 - 1)]
        )
        add_at(
            out,
            start,
            _loudspeaker(rng, low * span ** (0.5 + 0.5 * shape), size, sr) * swell(size, sr, 0.01, 0.01),
        )
        start += size
    return out


def _buzzer(rng, n, sr):
    out = np.zeros(n, np.float32)
    pitch, bright = log_uniform(rng, 150, 600), log_uniform(rng, 1000, 1900)
    size = int(sr * rng.uniform(0.3, 1.5))
    gap = int(sr * rng.uniform(0.15, 0.8))
    ring = harmonics(pitch, bright, size, sr) * (1 + 0.7 * np.sign(wave(log_uniform(rng, 8, 25), size, sr)))
    for start in range(0, n, size + gap):
        add_at(out, start, ring * swell(size, sr, 0.005, 0.01))
    return out
