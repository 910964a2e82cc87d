import json
import random
import unicodedata
from pathlib import Path

import pytest
from clap_support import FAMILIES

from acdref.clap.bpe import Tokenizer
from acdref.errors import TeacherError
from acdref.files import resource

REAL = Path(__file__).parents[2] / "../shared/data/clap/tokenizer.json"
PATHS = {family: resource("fixtures", f"clap_{family}") / "tokenizer.json" for family in FAMILIES}
PATHS["RoBERTa's own"] = REAL

PIECES = [
    *(
        "the",
        "dog",
        "barks,",
        "it's",
        "don't",
        "we'll",
        "I'VE",
        "'s",
        "'S",
        "''",
        "''s",
        "...",
        "!!",
        "12",
        "3a",
    ),
    *("4½", "½", "²", "你好", "naïve", "e\u0301", "👩\u200d👩\u200d👧", "\u200b", "\ufeff", "<|endoftext|>"),
    *("<mask>", "</s>", "<s>", "<pad>", "<unk>"),
]
SPACES = ["", " ", "  ", "\t", "\n", " \n ", "\r\n", "\x1c", "\x85", "\xa0", "\u2003", "\u3000"]


def texts(count):
    """Words with all kinds of white space, letters of all scripts, contractions, special tokens."""
    rng = random.Random(20241121)
    assigned = [chr(i) for i in range(0x20000) if unicodedata.category(chr(i)) not in ("Cn", "Cs")]
    for i in range(count):
        if i % 3 == 0:
            yield "".join(rng.choices(assigned, k=rng.randrange(30)))
        elif i % 3 == 1:
            yield "".join(rng.choice(PIECES) + rng.choice(SPACES) for _ in range(rng.randrange(12)))
        else:
            yield "".join(rng.choices("abcstrevmldST' \n\t.,12¹²\u00a0\u2003é", k=rng.randrange(40)))


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_equals_the_tokenizers_package(path):
    tokenizers = pytest.importorskip("tokenizers")
    if not path.exists():
        pytest.skip("no shared data")
    reference = tokenizers.Tokenizer.from_file(str(path))
    reference.no_padding()
    reference.no_truncation()
    ours = Tokenizer.open(path)
    for text in texts(1500):
        assert ours.encode(text) == reference.encode(text, add_special_tokens=False).ids, repr(text)


@pytest.mark.skipif(not REAL.exists(), reason="no shared data")
def test_roberta():
    # What the reference documentation of RoBERTa's tokenizer gives, without <s> and </s>.
    tokenizer = Tokenizer.open(REAL)
    assert tokenizer.encode("Hello world") == [31414, 232]
    assert tokenizer.encode(" Hello world") == [20920, 232]


def test_ids_of_merges_txt_are_gpt2s(tmp_path):
    path = PATHS["msclap"]
    merges = json.loads(path.read_text())["model"]["merges"]
    text = "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges)
    (tmp_path / "merges.txt").write_text(text, encoding="utf-8")
    of_json, of_merges = Tokenizer.open(path), Tokenizer.open(tmp_path / "merges.txt")
    assert of_merges.encode("!") == [0]
    assert of_merges.encode(" ") == [220]  # as in GPT-2, whose <|endoftext|> is 256 + its number of merges
    assert of_merges.encode("<|endoftext|>") == [256 + len(merges)]
    for text in texts(300):
        assert of_merges.encode(text) == of_json.encode(text)


def test_merges_are_strings_or_pairs(tmp_path):
    spec = json.loads(PATHS["hf"].read_text())
    spec["model"]["merges"] = [" ".join(pair) for pair in spec["model"]["merges"]]
    (tmp_path / "tokenizer.json").write_text(json.dumps(spec))
    a, b = Tokenizer.open(PATHS["hf"]), Tokenizer.open(tmp_path / "tokenizer.json")
    assert all(a.encode(text) == b.encode(text) for text in texts(100))


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"normalizer": {"type": "NFC"}}, "its normalizer NFC"),
        ({"pre_tokenizer": {"type": "Metaspace"}}, "not byte-level BPE"),
        ({"pre_tokenizer": None}, "no tokenizer.json"),
        ({"model": {"type": "Unigram"}}, "a Unigram"),
        ({"model": {"type": "BPE", "dropout": 0.1}}, "its dropout"),
        ({"model": {"type": "BPE", "vocab": {}, "merges": [["a"]]}}, "a merge that is no pair"),
        ({"model": {"type": "BPE", "vocab": {"a": "b"}, "merges": []}}, "id is no whole number"),
        ({"added_tokens": [{"content": "x", "single_word": True, "rstrip": False}]}, "single_word"),
        ({"added_tokens": 3}, "no tokenizer.json"),
    ],
    ids=str,
)
def test_other_tokenizers_are_refused(tmp_path, change, cause):
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(json.loads(PATHS["hf"].read_text()) | change))
    with pytest.raises(TeacherError, match=cause):
        Tokenizer.open(path)


@pytest.mark.parametrize(
    ("name", "content", "cause"),
    [
        ("tokenizer.json", b"{", "no tokenizer.json"),
        ("tokenizer.json", b"[]", "no tokenizer.json"),
        ("tokenizer.json", b"\xff", "not UTF-8"),
        ("merges.txt", b"#version: 0.2\n", "no list of merges"),
        ("merges.txt", b"a b c\n", "no list of merges"),
    ],
)
def test_bad_files(tmp_path, name, content, cause):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TeacherError, match=cause) as caught:
        Tokenizer.open(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


def test_missing_file(tmp_path):
    with pytest.raises(TeacherError, match="No such file"):
        Tokenizer.open(tmp_path / "tokenizer.json")


def by_hand(**options):
    """A tokenizer of bytes, with <mask>, which swallows white space before it, and </s>, which does not."""
    plain = Tokenizer.of_merges([])
    return Tokenizer(plain.vocabulary, [], {"<mask>": 300, "</s>": 301}, {"<mask>"}, **options)


WHITE = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
NOT_WHITE = "\x1c\x1f\u200b\ufeff."


@pytest.mark.parametrize("character", [*WHITE, *NOT_WHITE], ids=ascii)
def test_white_space_before_a_special_token(character):
    """What Unicode calls white space, not what Python does."""
    tokenizer = by_hand()
    a, kept, b = (tokenizer.encode(text) for text in ("a", character, "b"))
    swallowed = [] if character in WHITE else kept
    assert tokenizer.encode(f"a{character}<mask>b") == [*a, *swallowed, 300, *b]
    assert tokenizer.encode(f"a{character} {character}</s>b")[-2:] == [301, *b]
    assert tokenizer.encode(f"a{character}</s>b") == [*a, *kept, 301, *b]
    assert tokenizer.encode(f"a<mask>{character}b") == [*a, 300, *kept, *b]


@pytest.mark.parametrize("character", [*WHITE, *NOT_WHITE], ids=ascii)
def test_a_space_is_put_before_what_does_not_begin_with_one(character):
    """As the tokenizers package does it: other white space does not count."""
    text = f"{character}a"
    spaced = text if character == " " else " " + text
    assert by_hand(prefix_space=True).encode(text) == by_hand().encode(spaced)


def test_what_cannot_be_encoded():
    tokenizer = Tokenizer({"a": 0}, [])
    with pytest.raises(ValueError, match="surrogate"):
        tokenizer.encode("\ud800")
    with pytest.raises(ValueError, match="no token 'b'"):
        tokenizer.encode("ab")


def test_of_special_tokens_at_one_place_the_longest_counts():
    vocabulary = Tokenizer.of_merges([]).vocabulary
    assert Tokenizer(vocabulary, [], {"<s": 300, "<s>": 301}).encode("<s><s") == [301, 300]


def test_a_merge_of_number_signs_is_no_comment(tmp_path):
    (tmp_path / "merges.txt").write_text("#version: 0.2\n# #\n", encoding="utf-8")
    assert Tokenizer.open(tmp_path / "merges.txt").encode("##") == [256]
