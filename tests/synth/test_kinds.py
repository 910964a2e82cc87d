"""Kinds of sounds and their ontology."""

import numpy as np
import pytest

from acdref.labels import Ontology
from acdref.synth.kinds import KINDS, TREE, kind_sound, ontology_nodes


def test_the_ontology_is_the_tree():
    ontology = Ontology(ontology_nodes())
    leaves = [name for name, below in zip(ontology.ids, ontology.children, strict=True) if not below]
    assert leaves == list(KINDS)
    assert len(ontology) == len(KINDS) + sum(len(below) for below in TREE.values()) + len(TREE)
    assert (ontology.closure.sum(axis=1)[ontology.columns(KINDS)] == 3).all()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_sounds_and_depends_on_its_generator_alone(kind):
    x, again, other = (kind_sound(kind, np.random.default_rng(seed), 0.5) for seed in (0, 0, 1))
    assert x.shape == (8000,) and x.dtype == np.float32 and np.abs(x).max() == 1
    np.testing.assert_array_equal(x, again)
    assert not np.array_equal(x, other)


def test_an_unknown_kind():
    with pytest.raises(ValueError, match="unknown kind 'moo'"):
        kind_sound("moo", np.random.default_rng(0), 1)
