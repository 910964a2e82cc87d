import shutil
import sys
import threading

import numpy as np
import pytest
from clap_sounds import CASES, PROMPTS, sound
from clap_support import FAMILIES, bare, bundle, change, graph, torch_says

from acdref.clap.bundle import probe_sound
from acdref.clap.graphs import Graph
from acdref.clap.teacher import ClapTeacher
from acdref.errors import AcdrefError, TeacherError
from acdref.labels.clap import clap_probabilities

pytest.importorskip("onnxruntime")

SIXTEEN = np.random.default_rng(7).uniform(-0.5, 0.5, 16000).astype(np.float32)


@pytest.fixture(scope="module", params=FAMILIES)
def teacher(request, tmp_path_factory):
    return ClapTeacher.open(bundle(tmp_path_factory.mktemp("bundle"), request.param))


def edited(path, edit):
    """Change a graph in place."""
    onnx = pytest.importorskip("onnx")
    model = onnx.load(path)
    edit(model.graph)
    onnx.save(model, path)


def test_equals_torch(teacher):
    torch = torch_says(teacher.family)
    np.testing.assert_allclose(teacher.scale, torch["scale"], rtol=1e-6)
    np.testing.assert_allclose(teacher.embed_prompts(PROMPTS), torch["text"], rtol=0, atol=1e-6)
    cosines = np.array([teacher.cosines(*sound(*case), PROMPTS) for case in CASES])
    np.testing.assert_allclose(cosines, torch["cosines"], rtol=0, atol=1e-6)
    softmax = clap_probabilities(cosines, teacher.scale)
    np.testing.assert_allclose(softmax, torch["softmax"], rtol=0, atol=1e-5)
    # That this says something: sounds and prompts differ far more than that.
    assert torch["cosines"].std(axis=0).mean() > 0.05
    assert torch["cosines"].std(axis=1).mean() > 0.01


def test_stereo_is_averaged_not_joined_end_to_end(teacher):
    x, rate = sound(44100, 2, 3.0)
    mean = x.mean(axis=1, dtype=np.float64)
    np.testing.assert_array_equal(teacher.embed_audio(x, rate), teacher.embed_audio(mean, rate))
    joined = teacher.embed_audio(x.T.ravel(), rate)
    assert np.abs(joined - teacher.embed_audio(x, rate)).max() > 1e-3


def test_the_same_sound_gives_the_same_bits(teacher):
    once = teacher.embed_audio(SIXTEEN, 16000)
    results = {}

    def work(i):
        results[i] = teacher.embed_audio(SIXTEEN, 16000)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    again = ClapTeacher.open(teacher.bundle.directory).embed_audio(SIXTEEN, 16000)
    assert len(results) == 3
    assert all((found == once).all() for found in (*results.values(), again))


def test_several_prompts_are_averaged(teacher):
    one, other, both = teacher.embed_prompts(["rain", "a dog", ["rain", "a dog"]])
    np.testing.assert_allclose(both, (one + other) / np.linalg.norm(one + other), atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm([one, other, both], axis=1), 1)


@pytest.mark.parametrize(
    "audio",
    [np.zeros(0, np.float32), np.zeros(9, int), np.full(9, np.nan), np.zeros((2, 2, 2))],
    ids=["empty", "integers", "NaN", "three axes"],
)
def test_what_is_no_sound(teacher, audio):
    with pytest.raises(ValueError, match="audio must"):
        teacher.embed_audio(audio, 16000)


# The logit scale


def test_the_scale_of_a_public_export_is_found_in_its_full_graph(tmp_path):
    assert ClapTeacher.open(bare(tmp_path)).scale == pytest.approx(23.5, rel=1e-5)


def test_without_a_scale_there_is_no_softmax(tmp_path):
    path = bare(tmp_path)
    (path / "onnx" / "model.onnx").unlink()
    teacher = ClapTeacher.open(path)
    assert teacher.cosines(SIXTEEN, 16000, ["rain"]).shape == (1,)
    with pytest.raises(TeacherError, match=r"does not tell the model's logit scale.*\(--logit-scale\)"):
        teacher.scale  # noqa: B018
    assert ClapTeacher.open(path, logit_scale=17.0).scale == 17.0


@pytest.mark.parametrize("scale", [0.0, -3.0, np.nan, np.inf])
def test_scales_that_make_no_sense(tmp_path, scale):
    with pytest.raises(AcdrefError, match="logit scale must be a positive number"):
        ClapTeacher.open(bundle(tmp_path), logit_scale=scale)


@pytest.mark.parametrize(
    "made", [lambda logits: -logits, lambda logits: logits + 1, np.square], ids=["<0", "+", "^2"]
)
def test_logits_that_are_no_multiple_of_the_cosines(tmp_path, monkeypatch, made):
    run = Graph.run

    def other(graph, outputs, feed):
        found = run(graph, outputs, feed)
        return [made(found[0]), *found[1:]] if outputs[0] == "logits_per_audio" else found

    monkeypatch.setattr(Graph, "run", other)
    with pytest.raises(TeacherError, match="no multiple of its cosines"):
        ClapTeacher.open(bare(tmp_path)).scale  # noqa: B018


def test_a_full_graph_that_gives_no_scale(tmp_path):
    pytest.importorskip("onnx")
    path = bare(tmp_path)
    inputs = {"input_features": (1, ["b", 1, 1001, 64]), "input_ids": (7, ["b", "n"])}
    graph(path / "onnx" / "model.onnx", inputs, outputs=("logits_per_audio",))
    with pytest.raises(TeacherError, match=r"model.onnx: has no output audio_embeds"):
        ClapTeacher.open(path).scale  # noqa: B018


# Prompts without a text graph


def test_cached_prompts_need_neither_text_graph_nor_tokenizer(tmp_path):
    path = bundle(tmp_path)
    expected = ClapTeacher.open(path).embed_prompts(PROMPTS)
    (path / "onnx" / "text_model.onnx").unlink()
    (path / "tokenizer.json").unlink()
    teacher = ClapTeacher.open(path)
    np.testing.assert_array_equal(teacher.embed_prompts(PROMPTS), expected)
    with pytest.raises(TeacherError, match=r"no text graph \(text_model.onnx.*prompts.npz does not have all"):
        teacher.embed_prompts(["another"])


def test_no_tokenizer(tmp_path):
    path = bundle(tmp_path)
    (path / "tokenizer.json").unlink()
    with pytest.raises(TeacherError, match=r"no tokenizer \(tokenizer.json or merges.txt\)"):
        ClapTeacher.open(path).embed_prompts(["rain"])


def test_a_cache_of_another_text_graph_is_not_used(tmp_path):
    path = bare(tmp_path)
    first = ClapTeacher.open(path)
    before = first.embed_prompts(["rain"])

    def louder(graph):
        from onnx import numpy_helper

        tensor = next(t for t in graph.initializer if t.name.endswith("word_embeddings.weight"))
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * 2, tensor.name))

    edited(path / "onnx" / "text_model.onnx", louder)
    assert np.abs(ClapTeacher.open(path).embed_prompts(["rain"]) - before).max() > 1e-3


def test_a_bundle_that_cannot_be_written_to_works(tmp_path, monkeypatch):
    path = bundle(tmp_path)
    monkeypatch.setattr("os.access", lambda *_: False)  # the tests may run as root, who can write anywhere
    assert ClapTeacher.open(path).embed_prompts(["rain"]).shape == (1, 32)
    assert not (path / "prompts.npz").exists()


def test_a_text_graph_without_attention_mask(tmp_path):
    path = bare(tmp_path)
    expected = ClapTeacher.open(path).embed_prompts(PROMPTS)
    (path / "prompts.npz").unlink()

    def without_mask(graph):
        from onnx import helper

        index = next(i for i, node in enumerate(graph.input) if node.name == "attention_mask")
        del graph.input[index]
        # All ones, of the shape of the ids.
        ones = [
            helper.make_node("Sub", ["input_ids", "input_ids"], ["zeros"]),
            helper.make_node("Constant", [], ["1"], value_int=1),
            helper.make_node("Add", ["zeros", "1"], ["attention_mask"]),
        ]
        for node in ones[::-1]:
            graph.node.insert(0, node)

    edited(path / "onnx" / "text_model.onnx", without_mask)
    np.testing.assert_allclose(ClapTeacher.open(path).embed_prompts(PROMPTS), expected, atol=1e-7)


# Graphs that give wrong numbers without an error


def flip(path, at=0.5):
    """Flip one bit in the middle of the largest weights."""
    data = bytearray(path.read_bytes())
    data[int(len(data) * at)] ^= 0x40
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("name", ["onnx/audio_model.onnx", "tokenizer.json", "preprocessor_config.json"])
def test_a_flipped_bit_is_found_by_the_hash(tmp_path, name):
    path = bundle(tmp_path)
    flip(path / name)
    with pytest.raises(
        TeacherError, match=f"{name}: .*(damaged or replaced: its SHA-256|not JSON|not UTF-8)"
    ):
        ClapTeacher.open(path)


def test_a_flipped_bit_of_the_text_graph_is_found(tmp_path):
    path = bundle(tmp_path)
    flip(path / "onnx" / "text_model.onnx")
    with pytest.raises(TeacherError, match="SHA-256"):
        ClapTeacher.open(path).embed_prompts(["rain"])


@pytest.mark.parametrize("test", ["audio_embeds", "text_embeds"])
@pytest.mark.parametrize("family", FAMILIES)
def test_other_numbers_are_found_by_the_self_test(tmp_path, family, test):
    import json

    path = bundle(tmp_path, family)
    description = json.loads((path / "clap_bundle.json").read_text())
    description["selftest"][test][3] += 0.001 * np.linalg.norm(description["selftest"][test])
    change(path / "clap_bundle.json", **description)
    with pytest.raises(TeacherError, match="fails the bundle's self-test"):
        ClapTeacher.open(path).embed_prompts(["rain"])


FEATURES = (1, ["b", 1, 1001, 64])


def test_a_baked_batch_size_is_found(tmp_path):
    pytest.importorskip("onnx")
    path = bare(tmp_path)
    graph(path / "onnx" / "audio_model.onnx", {"input_features": FEATURES})
    ClapTeacher.open(path)
    graph(path / "onnx" / "audio_model.onnx", {"input_features": FEATURES}, mixed=True)
    with pytest.raises(TeacherError, match=r"audio_model.onnx: .*batch of 3.*baked in"):
        ClapTeacher.open(path)
    # Declared openly, a batch of one is what it gets.
    graph(path / "onnx" / "audio_model.onnx", {"input_features": (1, [1, 1, 1001, 64])}, mixed=True)
    ClapTeacher.open(path)


def test_a_baked_batch_size_of_the_text_graph_is_found(tmp_path):
    pytest.importorskip("onnx")
    path = bare(tmp_path)
    graph(path / "onnx" / "text_model.onnx", {"input_ids": (7, ["b", "n"])}, ("text_embeds",), 32, mixed=True)
    with pytest.raises(TeacherError, match=r"text_model.onnx: .*baked in"):
        ClapTeacher.open(path).embed_prompts(["rain"])


def test_quantised_graphs_see_one_window_at_a_time(tmp_path):
    pytest.importorskip("onnx")
    path = bare(tmp_path)
    (path / "onnx" / "audio_model.onnx").unlink()
    # Like the range of quantised activations, what a row gives depends on its batch.
    graph(path / "onnx" / "audio_model_quantized.onnx", {"input_features": FEATURES}, mixed=True)
    teacher = ClapTeacher.open(path)
    assert teacher.bundle.precision == "int8"
    np.testing.assert_array_equal(teacher.embed_audio(SIXTEEN, 16000), teacher.embed_audio(SIXTEEN, 16000))


def test_a_quantised_text_graph_beside_an_audio_graph_that_is_not(tmp_path):
    pytest.importorskip("onnx")
    path = bare(tmp_path)
    (path / "onnx" / "text_model.onnx").unlink()
    text = {"input_ids": (7, ["b", "n"])}
    graph(path / "onnx" / "text_model_quantized.onnx", text, ("text_embeds",), 32, mixed=True)
    assert ClapTeacher.open(path).embed_prompts(["rain"]).shape == (1, 32)


def test_text_and_audio_of_two_models(tmp_path):
    pytest.importorskip("onnx")
    path = bare(tmp_path)
    graph(path / "onnx" / "text_model.onnx", {"input_ids": (7, ["b", "n"])}, ("text_embeds",), 16)
    cause = r"text_model.onnx: gives embeddings of 16 numbers, the audio graph of 32: they are not of one"
    with pytest.raises(TeacherError, match=cause):
        ClapTeacher.open(path).embed_prompts(["rain"])


def test_half_precision(tmp_path):
    pytest.importorskip("onnx")
    path = bare(tmp_path)
    (path / "onnx" / "audio_model.onnx").unlink()
    graph(path / "onnx" / "audio_model_fp16.onnx", {"input_features": (10, ["b", 1, 1001, 64])})
    teacher = ClapTeacher.open(path)
    assert teacher.bundle.precision == "fp16"
    assert np.isfinite(teacher.embed_audio(SIXTEEN, 16000)).all()


@pytest.mark.parametrize(
    ("inputs", "outputs", "cause"),
    [
        (
            {"input_features": (1, ["b", 1, 998, 64])},
            ("audio_embeds",),
            r"\(\?, 1, 998, 64\), but acdref feeds",
        ),
        ({"input_features": (1, ["b", 1001, 64])}, ("audio_embeds",), "but acdref feeds input_features"),
        ({"input_features": FEATURES}, ("x", "y"), "has no output audio_embeds"),
        ({"input_features": FEATURES, "is_longer": (9, ["b", 1])}, ("audio_embeds",), "a fused model"),
    ],
    ids=["frames", "rank", "outputs", "fused"],
)
def test_graphs_that_do_not_fit(tmp_path, inputs, outputs, cause):
    pytest.importorskip("onnx")
    path = bare(tmp_path)
    graph(path / "onnx" / "audio_model.onnx", inputs, outputs)
    with pytest.raises(TeacherError, match=cause):
        ClapTeacher.open(path)


def test_without_onnxruntime(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(AcdrefError, match=r"onnxruntime is not installed: pip install 'acdref\[teacher\]'"):
        ClapTeacher.open(bundle(tmp_path))


def test_what_is_stored_beside_the_numbers(teacher):
    import onnxruntime

    found = teacher.describe()
    assert found["family"] == teacher.family
    assert found["onnxruntime"] == onnxruntime.__version__
    assert len(found["audio_sha256"]) == len(found["text_sha256"]) == 64


def test_the_probe_is_loud_and_bounded():
    x = probe_sound(48000)
    assert x.dtype == np.float32
    assert 0.4 < np.abs(x).max() <= 0.5


def test_open_does_not_need_torch(tmp_path):
    import subprocess

    path = shutil.copytree(bundle(tmp_path), tmp_path / "b")
    code = (
        "import sys; from acdref.teacher import ClapTeacher; import numpy as np;"
        f"ClapTeacher.open({str(path)!r}).cosines(np.ones(9, 'f'), 16000, ['rain']);"
        "print({'torch', 'transformers', 'tokenizers', 'librosa', 'scipy', 'onnx'} & set(sys.modules))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"
