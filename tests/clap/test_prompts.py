import numpy as np
import pytest

from acdref.clap.prompts import DEFAULTS, PromptCache, Prompts, read_prompts
from acdref.errors import AcdrefError, TeacherError
from acdref.tables.manifest import ACD_CLASSES


def test_the_defaults_are_the_super_classes():
    assert tuple(DEFAULTS) == ACD_CLASSES


def test_the_defaults_are_the_papers_table_1():
    """With the prefix of section 3.4, "This is a sound of"; all written out."""
    assert Prompts.of().classes == {
        "voice": ("This is a sound of speech or singing",),
        "music": ("This is a sound of music",),
        "cat": ("This is a sound of cat meow",),
        "dog": ("This is a sound of dog barking",),
        "clapping": ("This is a sound of clapping or applause",),
        "urban": ("This is a sound of an urban environment like traffic and city noise",),
        "machinery": ("This is a sound of machines, tools and industrial sounds",),
        "nature": ("This is a sound of nature sounds like wind, water, fire, animals",),
        "windnoise": ("This is a sound of wind noise distorting the microphone",),
        "alarm": ("This is a sound of alarms and sirens",),
        "gunshot": ("This is a sound of gunshots and explosions",),
    }


def test_template_and_background():
    prompts = Prompts.of({"a": ["x", "y"], "b": "x"}, ["z"], "[{}]")
    assert prompts.classes == {"a": ("[x]", "[y]"), "b": ("[x]",)}
    assert prompts.background == ("[z]",)
    assert prompts.template == "[{}]"


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        (({"a": "x"}, (), "no place"), "must have one {}"),
        (({"a": "x"}, (), "{} {}"), "must have one {}"),
        (({},), "no class"),
        (({"a": []},), "no class, or one has no prompt"),
        (({"a": " "},), "a prompt is empty"),
        (({"a": "x"}, [""]), "a prompt is empty"),
    ],
)
def test_prompts_that_make_no_sense(arguments, cause):
    with pytest.raises(AcdrefError, match=cause):
        Prompts.of(*arguments)


def test_file(tmp_path):
    path = tmp_path / "p.txt"
    path.write_text(
        "\ufeff# birds\n\nowl = an owl = hoots\r\n  crow=a crow  \nowl = a tawny owl\n", encoding="utf-8"
    )
    assert read_prompts(path) == {"owl": ["an owl = hoots", "a tawny owl"], "crow": ["a crow"]}
    path.write_text("b\u00e4r = a bear\nba\u0308r = a growl\n", encoding="utf-8")
    assert read_prompts(path) == {"b\u00e4r": ["a bear", "a growl"]}


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (b"owl\n", "line 1: 'owl' is not of the form"),
        (b"owl = owls\no\0wl = owls\n", r"line 2: 'o\\x00wl = owls' is not of the form"),
        (b"\n= x\n", "line 2"),
        (b"owl =\n", "line 1"),
        (b"# nothing\n", "has no prompts"),
        (b"\xff", "not UTF-8"),
    ],
)
def test_bad_file(tmp_path, text, cause):
    (tmp_path / "p.txt").write_bytes(text)
    with pytest.raises(TeacherError, match=cause):
        read_prompts(tmp_path / "p.txt")


def test_missing_file(tmp_path):
    with pytest.raises(TeacherError, match="No such file"):
        read_prompts(tmp_path / "p.txt")


def cache(folder, model):
    return PromptCache(str(folder), model)


def test_cache_is_keyed_by_the_text_model(tmp_path):
    first = cache(tmp_path, "abc")
    assert first.embeds == {}
    first.embeds["a dog"] = np.arange(3, dtype=np.float32)
    first.save()
    np.testing.assert_array_equal(cache(tmp_path, "abc").embeds["a dog"], [0, 1, 2])
    assert cache(tmp_path, "other").embeds == {}
    without = cache(tmp_path, None)  # no text graph: the file is all there is
    assert (list(without.embeds), without.model) == (["a dog"], "abc")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"junk"])
def test_damaged_cache(tmp_path, content):
    (tmp_path / "prompts.npz").write_bytes(content)
    with pytest.raises(TeacherError, match=r"prompts.npz: damaged"):
        cache(tmp_path, None)


@pytest.mark.parametrize(
    "arrays",
    [
        {"prompts": ["a"], "embeds": [[1.0]]},
        {"prompts": ["a"], "embeds": [[1.0], [2.0]], "sha256": "x"},
        {"prompts": [1], "embeds": [[1.0]], "sha256": "x"},
        {"prompts": ["a"], "embeds": [[np.nan]], "sha256": "x"},
    ],
    ids=["no key", "lengths", "no text", "not finite"],
)
def test_alien_cache(tmp_path, arrays):
    np.savez(tmp_path / "prompts.npz", **arrays)
    with pytest.raises(TeacherError, match="damaged, or not a cache of prompts"):
        cache(tmp_path, None)
