"""Made by engines, motors and loudspeakers: urban, machinery, alarm."""

import numpy as np

from acdref.synth.blocks import Samples, Synth, add_at, glide, high_pass, low_pass, played, resonance, unit

# Urban


def urban(s: Synth, n: int) -> Samples:
    """Street sounds: engines, passing cars, horns, a bed of distant traffic."""
    out = s.log_uniform(0.03, 0.4) * _traffic(s, n)
    streets = [(3, [_engine]), (3, [_passing]), (2, [_horns]), (1, [_passing, _horns]), (1, [_traffic])]
    for part in s.pick(streets):
        out += unit(part(s, n))
    return out


def _traffic(s, n):
    x = s.coloured(n, s.uniform(1.3, 2.0), s.log_uniform(40, 120))
    return x * np.exp(0.3 * s.wander(n, 0.7))


def _engine(s, n):
    """Firing pulses whose rate idles or revs, through an exhaust, with the rattle of the mechanics."""
    idle = s.log_uniform(22, 60)
    revs = np.ones(int(n / s.sr * 0.8) + 2)
    if s.rng.random() < 0.6:
        revs += s.uniform(0, 2.2, len(revs))
    rate = idle * glide(revs, n) * (1 + 0.012 * s.wander(n, 15))
    source = s.harmonics(rate, s.log_uniform(250, 800) * (rate / idle) ** 0.5, n)
    # A second voice at half the rate: the cylinders are not alike.
    source += s.uniform(0.2, 0.8) * s.harmonics(rate / 2, 200, n)
    rattle = s.white(n) * np.maximum(0, s.harmonics(rate, 300, n))
    x = source + s.log_uniform(0.03, 0.3) * rattle
    pipe, width = s.log_uniform(90, 350), s.log_uniform(150, 600)
    return s.filtered(x, lambda f: resonance(f, pipe, width) + 0.15 * low_pass(f, 2500, 1))


def _passing(s, n):
    """Vehicles that come and go."""
    starts = s.onsets(n, 2.0, 5.0)[:4]
    return sum(_vehicle(s, n, start / s.sr + s.uniform(0.3, 1.5) * min(1.5, n / s.sr)) for start in starts)


def _vehicle(s, n, moment):
    """Near at `moment` (s): tyre noise swells and brightens, the pitch of the engine drops (Doppler)."""
    t = np.arange(n, dtype=np.float32) / s.sr
    width = s.log_uniform(0.4, 1.8)
    dull, bright = s.log_uniform(500, 1000), s.log_uniform(1200, 4000)

    def nearness(t):
        return 1 / (1 + ((t - moment) / width) ** 2)

    noise = s.coloured(n, s.uniform(0.6, 1.2), 200)
    tyres = s.filter_moving(noise, lambda u, f: low_pass(f, dull + bright * nearness(u * n / s.sr), 1))
    doppler = 1 - s.uniform(0.02, 0.08) * np.tanh((t - moment) / width)
    engine = s.harmonics(s.log_uniform(40, 120) * doppler, s.log_uniform(150, 500), n)
    return nearness(t) * (tyres + s.log_uniform(0.1, 0.8) * engine)


def _horns(s, n):
    """Two tones about a third apart, bright and steady, in one or several blows."""
    low, bright = s.log_uniform(220, 480), s.log_uniform(800, 1900)
    pitches = low * np.array([1.0, s.uniform(1.18, 1.34)])

    def blow():
        size = int(s.sr * s.log_uniform(0.15, 1.5))
        tones = sum(s.harmonics(pitch, bright, size) for pitch in pitches)
        return s.uniform(0.5, 1.0) * tones * s.swell(size, 0.015, 0.04)

    out = played(n, s.onsets(n, 0.5, 4.0), blow)
    return s.room(out, s.uniform(0.3, 1.2), s.uniform(0.1, 0.6))


# Machinery


def machinery(s: Synth, n: int) -> Samples:
    """Indoor and hand-held machines: fans, motors, humming transformers, drills, hammers, saws."""
    recipes = [(2, _fan), (2, _motor), (1.5, _hum), (2, _drill), (1.5, _hammering), (1.5, _saw)]
    return s.pick(recipes)(s, n)


def _fan(s, n):
    """Air noise, modulated by the blades, over a few tones of the blade rate."""
    blades = s.log_uniform(15, 160)
    rate = blades * (1 + 0.003 * s.wander(n, 2))
    tone = s.harmonics(rate, s.log_uniform(100, 500), n)
    air = s.coloured(n, s.uniform(0.5, 1.2), 100)
    cutoff = s.log_uniform(800, 6000)
    air = s.filtered(air, lambda f: low_pass(f, cutoff, 1))
    return air * (1 + s.uniform(0.1, 0.5) * s.wave(rate, n)) + s.log_uniform(0.2, 1.0) * tone


def _motor(s, n):
    """Electric motor: a whine that runs up, works and runs down, with brush noise."""
    whine = s.log_uniform(120, 900)
    stops = [s.uniform(0.5, 0.9), 1, *(1 + 0.06 * s.rng.standard_normal(int(n / s.sr) + 1))]
    rate = whine * glide(stops, n) * (1 + 0.004 * s.wander(n, 20))
    tone = s.harmonics(rate, min(1900, whine * s.uniform(1.0, 3.5)), n)
    tone += s.uniform(0.2, 0.8) * s.wave(rate * s.uniform(3, 6.5), n)
    brushes = s.coloured(n, s.uniform(0, 0.8), 200) * (1 + 0.4 * s.wave(rate / 4, n))
    return (tone + s.log_uniform(0.1, 0.6) * brushes) * s.swell(n, 0.2, 0.1)


def _hum(s, n):
    """A transformer or compressor: strong even harmonics of the mains, throbbing, with a buzz on top."""
    mains = 2 * (50 if s.rng.random() < 0.5 else 60)
    throb = 1 + s.uniform(0.15, 0.6) * s.wave(s.log_uniform(0.5, 12), n)
    tone = s.harmonics(mains, s.log_uniform(150, 700), n)
    buzz = s.filtered(s.harmonics(mains, 1500, n), lambda f: high_pass(f, 800))
    air = s.coloured(n, s.uniform(0.7, 1.5), 100)
    return tone * throb + s.log_uniform(0.05, 0.6) * buzz + s.log_uniform(0.05, 0.3) * air


def _drill(s, n):
    """A drill or mixer in runs: under load its pitch sinks and it grates."""
    pitch, bright = s.log_uniform(90, 420), s.log_uniform(700, 1900)
    grate = s.log_uniform(0.15, 0.8)

    def run():
        size = int(s.sr * s.uniform(0.6, 3.5))
        load = 0.1 * np.abs(s.rng.standard_normal(5))
        rate = pitch * glide([0.4, 1, *(1 - load), 0.9, 0.5], size) * (1 + 0.01 * s.wander(size, 40))
        noise = s.filtered(s.white(size), lambda f: high_pass(f, 600)) * (1 + s.wave(rate, size))
        return (s.harmonics(rate, bright, size) + grate * noise) * s.swell(size, 0.05, 0.12)

    return played(n, s.onsets(n, 1.5, 5.0), run)


def _hammering(s, n):
    """Jackhammer, press or sewing machine: the same stroke over and over, with the ring of metal."""
    rate = s.log_uniform(5, 28)
    size = int(s.sr * min(0.25, 2.0 / rate))
    ring = sum(s.uniform(0.2, 1) * s.wave(s.log_uniform(500, 5000), size) for _ in range(4))
    thud = s.coloured(size, s.uniform(0, 1.2), 80)
    stroke = (s.log_uniform(0.05, 0.5) * ring + thud) * s.decay(size, s.uniform(0.03, 0.2), 0.001)
    out = s.log_uniform(0.01, 0.08) * s.coloured(n, 1.0)
    for start in np.arange(0, n, s.sr / rate):
        jitter = int(0.03 * s.sr / rate * s.uniform(0, 1))
        add_at(out, int(start) + jitter, s.log_uniform(0.7, 1.0) * stroke)
    return out


def _saw(s, n):
    """Circular saw or grinder: a high scream that sinks under load, in loud noise."""
    scream = s.log_uniform(900, 3000)
    load = 1 - 0.12 * np.abs(s.rng.standard_normal(int(n / s.sr * 1.5) + 2))
    rate = scream * glide(load, n) * (1 + 0.004 * s.wander(n, 50))
    tone = s.wave(rate, n) + s.uniform(0.1, 0.6) * s.wave(2 * rate, n) + 0.4 * s.wave(rate / 2, n)
    noise = s.filtered(s.white(n), lambda f: high_pass(f, 1000, 1))
    return tone + s.log_uniform(0.15, 0.9) * noise * np.exp(0.3 * s.wander(n, 4))


# Alarm


def alarm(s: Synth, n: int) -> Samples:
    """Sirens, beepers, bells and car alarms, near or far."""
    recipes = [(3, _siren), (3, _beeps), (1.5, _bell), (1, _car_alarm), (1, _buzzer)]
    out = s.pick(recipes)(s, n)
    if s.rng.random() < 0.5:
        out = s.room(out, s.uniform(0.2, 1.5), s.uniform(0.1, 0.6))
    return out


def _siren(s, n):
    """Wail, yelp or two-tone."""
    low = s.log_uniform(380, 800)
    high = low * s.uniform(1.35, 2.6)
    kind = s.rng.integers(3)
    period = (s.uniform(2, 6), s.uniform(0.2, 0.5), s.uniform(0.8, 1.6))[kind]
    swing = s.wave(1 / period, n, s.uniform(0, 2 * np.pi))
    if kind == 2:
        swing = np.tanh(30 * swing)
    return _loudspeaker(s, low * (high / low) ** (0.5 + 0.5 * swing), n)


def _loudspeaker(s, f0, n):
    """A tone with the harmonics of an overdriven horn loudspeaker."""
    bright = np.minimum(1900, np.asarray(f0) * s.uniform(0.4, 2.0))
    return s.harmonics(f0, bright, n)


def _beeps(s, n):
    """Smoke detector, alarm clock, reversing lorry: groups of equal beeps."""
    pitch = s.log_uniform(800, 4000)
    on = s.log_uniform(0.05, 0.6)
    off, count = on * s.uniform(0.5, 1.5), int(s.rng.integers(1, 6))
    pause = s.log_uniform(0.2, 1.2)
    size = int(s.sr * on)
    tones = s.wave(pitch, size) + s.uniform(0, 0.4) * s.wave(min(2 * pitch, 7500), size)
    beep = tones * s.swell(size, 0.004, 0.006)
    starts = [k * s.sr * (on + off) for k in range(count)]
    group = played(int(s.sr * (count * (on + off) + pause)), starts, lambda: beep)
    return np.resize(group, n)


def _bell(s, n):
    """A fire bell struck many times a second, or single strokes: inharmonic partials that ring."""
    pitch = s.log_uniform(500, 1800)
    ratios = np.array([0.5, 1.0, 1.19, 1.56, 2.0, 2.51, 2.66, 3.01]) * s.uniform(0.98, 1.02, 8)
    size = int(s.sr * s.uniform(0.6, 2.0))
    stroke = np.zeros(size, np.float32)
    for ratio in ratios[ratios * pitch < 7500]:
        ringing = s.decay(size, 1.5 * size / s.sr / ratio**0.5, 0.001)
        stroke += s.log_uniform(0.2, 1) * s.wave(pitch * ratio, size) * ringing
    stroke *= s.swell(size, 0.001, 0.05)
    period = 1 / s.uniform(6, 18) if s.rng.random() < 0.6 else s.uniform(0.5, 1.5)
    return played(n, np.arange(0, n, period * s.sr), lambda: s.log_uniform(0.8, 1.0) * stroke)


def _car_alarm(s, n):
    """A sequence of different patterns, each a second or two."""
    out = np.zeros(n, np.float32)
    low = s.log_uniform(500, 1100)
    start = 0
    while start < n:
        size = int(s.sr * s.uniform(0.8, 2.0))
        rate, span = s.log_uniform(2, 12), s.uniform(1.3, 2.4)
        swing = s.wave(rate, size)
        saw = (np.arange(size) * rate / s.sr) % 1 * 2 - 1
        shape = s.pick([(1, swing), (1, np.tanh(20 * swing)), (1, saw)])
        tone = _loudspeaker(s, low * span ** (0.5 + 0.5 * shape), size)
        add_at(out, start, tone * s.swell(size, 0.01, 0.01))
        start += size
    return out


def _buzzer(s, n):
    pitch, bright = s.log_uniform(150, 600), s.log_uniform(1000, 1900)
    size = int(s.sr * s.uniform(0.3, 1.5))
    gap = int(s.sr * s.uniform(0.15, 0.8))
    ring = s.harmonics(pitch, bright, size) * (1 + 0.7 * np.sign(s.wave(s.log_uniform(8, 25), size)))
    return played(n, range(0, n, size + gap), lambda: ring * s.swell(size, 0.005, 0.01))
