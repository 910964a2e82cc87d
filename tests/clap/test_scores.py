import json

import numpy as np
import pytest

from acdref.clap.scores import SCHEMA, Decision, TeacherScores
from acdref.errors import AcdrefError, FileError
from acdref.labels.clap import clap_labels, robust_z_scores

rng = np.random.default_rng(20241121)


def made(n=6, scale=20.0, **more):
    """Scores of recordings, the second of which could not be used."""
    cosines = rng.uniform(-0.2, 0.6, (n, 3))
    cosines[1] = np.nan
    background = rng.uniform(-0.2, 0.6, (n, 1))
    background[1] = np.nan
    sizes = np.arange(n) * 10
    sizes[1] = -1
    return TeacherScores(
        paths=tuple(f"ä{i}.wav" for i in range(n)),
        classes=("a", "b", "c"),
        cosines=cosines,
        background=("silence",),
        background_cosines=background,
        bytes=sizes,
        notes=("", "an empty file", *[""] * (n - 2)),
        meta={"scale": scale} | more,
    )


def test_saved_and_loaded(tmp_path):
    a = made(prompts={"a": ["ä"]})
    a.save(tmp_path / "s.npz")
    b = TeacherScores.load(tmp_path / "s.npz")
    for name in ("paths", "classes", "background", "notes"):
        assert getattr(a, name) == getattr(b, name)
    for name in ("cosines", "background_cosines", "bytes"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert b.meta == {"schema": SCHEMA, "scale": 20.0, "prompts": {"a": ["ä"]}}


def test_without_background_and_notes(tmp_path):
    a = TeacherScores(("x.wav",), ("a",), np.array([[0.5]]))
    a.save(tmp_path / "s.npz")
    b = TeacherScores.load(tmp_path / "s.npz")
    assert (b.background, b.notes, b.bytes.tolist(), b.meta["scale"]) == ((), ("",), [-1], None)


def test_decisions_are_the_label_rules():
    scores = made()
    expected = clap_labels(scores.cosines, 20.0, 0.3, scores.background_cosines)
    np.testing.assert_array_equal(Decision(threshold=0.3).labels(scores), expected)
    expected = clap_labels(scores.cosines, 5.0, 0.3, scores.background_cosines)
    np.testing.assert_array_equal(Decision(threshold=0.3, scale=5.0).labels(scores), expected)
    z = robust_z_scores(scores.cosines)
    expected = np.where(np.isnan(z), np.nan, z > np.array([1.0, 0.5, 1.0]))
    np.testing.assert_array_equal(Decision("z", 1.0, {"b": 0.5}).labels(scores), expected)
    assert np.isnan(Decision("cosine", 0.1).labels(scores)[1]).all()


def test_a_softmax_needs_a_scale():
    scores = made(scale=None)
    with pytest.raises(FileError, match=r"does not tell the model's logit scale.*\(--logit-scale\)"):
        Decision().labels(scores)
    assert Decision("cosine", 0.1).labels(scores).shape == (6, 3)
    assert Decision(scale=14.0).labels(scores).shape == (6, 3)


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf])
def test_scales_that_make_no_sense(scale):
    with pytest.raises(AcdrefError, match="must be a positive number"):
        Decision(scale=scale).labels(made())


def test_decisions_that_make_no_sense():
    with pytest.raises(FileError, match="a threshold for 'd', which is no class"):
        Decision(by_class={"d": 0.1}).labels(made())
    with pytest.raises(AcdrefError, match="choose one of 'softmax', 'cosine', 'z'"):
        Decision("argmax")
    with pytest.raises(AcdrefError, match="finite"):
        Decision(threshold=np.nan)


def test_embeddings_from_elsewhere():
    audio, text = rng.standard_normal((4, 8)), rng.standard_normal((2, 8))
    scores = TeacherScores.of_embeddings("abcd", audio, ["x", "y"], text, scale=10.0)
    for i in range(4):
        for j in range(2):
            expected = audio[i] @ text[j] / np.linalg.norm(audio[i]) / np.linalg.norm(text[j])
            np.testing.assert_allclose(scores.cosines[i, j], expected, rtol=1e-12)
    assert Decision().labels(scores).shape == (4, 2)


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match="cosines has the shape"):
        TeacherScores(("a",), ("x", "y"), np.zeros((1, 1)))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no npz"])
def test_damaged(tmp_path, content):
    (tmp_path / "s.npz").write_bytes(content)
    with pytest.raises(FileError, match=r"s.npz: damaged"):
        TeacherScores.load(tmp_path / "s.npz")


def test_no_file(tmp_path):
    with pytest.raises(FileError, match="No such file"):
        TeacherScores.load(tmp_path / "s.npz")


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"cosines": None}, "cosines"),
        ({"cosines": np.zeros((6, 2))}, "shape"),
        ({"classes": np.zeros(3)}, "classes is float64"),
        ({"cosines": np.array([[0.5, np.inf, 0]] * 6)}, "infinite cosines"),
        ({"meta": np.array("[" * 100_000)}, "nested too deeply"),
        ({"meta": np.array("{}")}, "its schema is None"),
        ({"meta": np.array("[")}, "damaged"),
        ({"meta": np.array("[]")}, "damaged"),
        ({"meta": np.array(json.dumps({"schema": SCHEMA, "scale": -1}))}, "its scale is -1"),
        ({"meta": np.array(json.dumps({"schema": SCHEMA, "scale": "x"}))}, "damaged"),
        ({"meta": np.array(json.dumps({"schema": "acdref.teach/9"}))}, "acdref.teach/9"),
    ],
    ids=str,
)
def test_alien(tmp_path, change, cause):
    made().save(tmp_path / "s.npz")
    with np.load(tmp_path / "s.npz") as file:
        arrays = {name: value for name, value in (dict(file) | change).items() if value is not None}
    np.savez(tmp_path / "s.npz", **arrays)
    with pytest.raises(FileError, match=cause):
        TeacherScores.load(tmp_path / "s.npz")
