from pathlib import Path

import numpy as np
import pytest

from acdref import data
from acdref.features.compressed import features

CORPUS = Path(__file__).parents[2] / ".." / "shared" / "data" / "corpus"


def test_everything_is_reachable():
    assert all(hasattr(data, name) for name in data.__all__)


def test_from_the_shared_corpus_to_batches():
    if not CORPUS.exists():
        pytest.skip("needs the shared corpus")
    manifest = data.open_dataset(CORPUS / "manifest.csv").where(fold="1,2,3")
    failures = []
    with data.Loader(
        data.Sequences(manifest, seed=0), 8, transform=features, on_failure=failures.append
    ) as loader:
        batches = list(loader.batches(epoch=0, steps=4))
    assert not failures
    x, y = (np.concatenate(part) for part in zip(*batches, strict=True))
    assert x.shape == (32, 624, 257, 2)
    assert np.isfinite(x).all()
    assert x.any(axis=(1, 2, 3)).all()
    assert y.shape == (32, 11)
    assert set(np.unique(y)) == {0, 1}
    # Balanced sampling: rare classes are no rarer than the others, and mixtures hold more than one.
    assert (y.sum(axis=0) > 0).all()
    assert 1 < y.sum(axis=1).mean() < 6
