"""The shipped weights: whole, of the documented network, and not deaf to sounds of the generator."""

import numpy as np

from acdref import checkpoint
from acdref.files import resource
from acdref.nets import ACDNET_2024
from acdref.predict.scoring import score_samples
from acdref.synth import sound
from acdref.tables.manifest import ACD_CLASSES


def test_they_are_the_network_of_the_paper_with_its_classes():
    net, meta = checkpoint.load_weights(resource("weights", "acdnet.npz"))
    assert net.config == ACDNET_2024
    assert tuple(meta["classes"]) == ACD_CLASSES
    assert sum(p.size for p in net.params.values()) == 248_539
    assert resource("weights", "README.md").exists()


def test_they_hear_wind_and_bangs():
    net, _ = checkpoint.load_weights(resource("weights", "acdnet.npz"))
    rng = np.random.default_rng(0)
    for name in ("windnoise", "gunshot"):
        own = ACD_CLASSES.index(name)
        heard = np.mean([score_samples(net, sound(name, rng, 3.0))[own] for _ in range(4)])
        other = np.mean([score_samples(net, sound("music", rng, 3.0))[own] for _ in range(4)])
        assert heard > other
