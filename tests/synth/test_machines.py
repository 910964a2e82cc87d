"""Streets, machines and alarms have the spectra and rhythms of what they are named after."""

import numpy as np
from synth_support import SEEDS, SR, active, pitches, play, share, sounds, synth, tonality

from acdref.synth import machines


def test_street_and_machines_go_on_and_street_is_low():
    assert np.median([share(x, 0, 1000) for x in sounds("urban")]) > 0.6
    for x in sounds("urban"):
        assert active(x, 45) > 0.99  # the bed of traffic never stops
    assert np.median([active(x, frame=SR // 4) for x in sounds("machinery")]) > 0.9


def test_passing_vehicle_swells_brightens_and_drops_in_pitch():
    x = machines._vehicle(synth(), 6 * SR, 3.0)
    loud, start, end = (x[a * SR : (a + 1) * SR] for a in (2, 0, 5))
    assert np.mean(loud**2) > 4 * np.mean(start**2) and np.mean(loud**2) > 4 * np.mean(end**2)
    assert share(loud, 2000, 8000) > share(start, 2000, 8000)


def test_alarms_are_tonal():
    for x in sounds("alarm"):
        assert tonality(x) > 0.5
    assert np.median([tonality(x) for x in sounds("alarm")]) > 0.9


def test_sirens_sweep():
    for seed in SEEDS:
        x = play(machines._siren, seed, 6.0)
        low, high = np.quantile(pitches(x), [0.02, 0.98])
        assert low > 300 and high < 2300 and high / low > 1.25
