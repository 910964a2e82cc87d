"""The whole chain on made-up sound: synthesise, train, evaluate, tag.  No recordings needed."""

from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from acdref import checkpoint, metrics
from acdref.augment import AUGMENTATIONS
from acdref.data import read_manifest
from acdref.predict import scoring
from acdref.synth import write_dataset
from acdref.train import Observer, Options, train

SCENES = 400
OPTIONS = Options(
    manifest="",
    epochs=1,
    epoch_size=640,
    batch=8,
    lr=2e-3,
    schedule="cosine",
    weight_decay=0.05,
    average=0.98,
    mix_max=1,
    seconds=(10.0,),  # of a scene
    fill="concatenate",
    augment=replace(AUGMENTATIONS["light"], low_pass=0.1, equaliser=2.0, speed=0.0),
)


def demo(
    folder: str | PathLike[str],
    observer: Observer | None = None,
    seed: int = 0,
    scenes: int = SCENES,
    options: Options = OPTIONS,
) -> dict[str, Any] | None:
    """Run the demo in `folder`, from the shipped weights on; the same seed gives the same result.

    Parameters
    ----------
    folder : str or path-like
        Gets ``scenes/`` (sound and manifest) and ``run/`` (the training run).
    observer : Observer, optional
        Told about the training.
    seed, scenes, options
        Of the generator and the training.

    Returns
    -------
    dict or None
        None if the observer stopped the training.  ``mAP``, ``prior`` (what chance reaches) and ``ap`` (by
        class) on the held-out scenes, and ``tags``: for a few of these (path, true classes,
        [(class, probability), ...] from the most probable on).
    """
    folder = Path(folder)
    write_dataset(folder / "scenes", scenes, seed, force=True)
    manifest = folder / "scenes" / "manifest.csv"
    options = replace(options, manifest=str(manifest), seed=seed, init="acdnet")
    if train(options, folder / "run", resume=True, observer=observer) is None:
        return None
    net, _ = checkpoint.load_weights(folder / "run" / "best.npz")
    held_out = read_manifest(manifest).where(split="val")
    scores = scoring.score_manifest(net, held_out)
    ap = metrics.average_precision(held_out.labels, scores)
    interesting = np.argsort(-held_out.labels.sum(1), kind="stable")[:5]  # those with the most classes
    return {
        "mAP": metrics.mean_over_classes(ap),
        "prior": float(held_out.labels.mean()),
        "ap": dict(zip(held_out.classes, ap.tolist(), strict=True)),
        "tags": [_tags(held_out, scores, i) for i in interesting],
    }


def _tags(manifest, scores, i):
    true = [name for name, y in zip(manifest.classes, manifest.labels[i], strict=True) if y]
    order = np.argsort(-scores[i], kind="stable")[:4]
    return manifest.paths[i], true, [(manifest.classes[c], float(scores[i, c])) for c in order]
