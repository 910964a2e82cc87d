import pytest
from clap_support import bare, bundle, change

from acdref.clap.bundle import Bundle
from acdref.clap.frontends import HfFrontEnd, MsclapFrontEnd
from acdref.errors import TeacherError


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x")


def test_public_layout(tmp_path):
    touch(
        tmp_path,
        "onnx/audio_model.onnx",
        "onnx/text_model_quantized.onnx",
        "onnx/model.onnx",
        "tokenizer.json",
    )
    found = Bundle.open(tmp_path)
    assert found.precision == "fp32"
    assert found.audio == str(tmp_path / "onnx/audio_model.onnx")
    assert found.text == str(tmp_path / "onnx/text_model_quantized.onnx")
    assert found.full == str(tmp_path / "onnx/model.onnx")
    assert found.tokenizer == str(tmp_path / "tokenizer.json")
    assert (found.settings, found.description) == (None, {})


@pytest.mark.parametrize(
    ("names", "precision", "name"),
    [
        (
            ["onnx/audio_model_fp16.onnx", "onnx/audio_model_quantized.onnx"],
            "fp16",
            "onnx/audio_model_fp16.onnx",
        ),
        (["onnx/audio_model_int8.onnx"], "int8", "onnx/audio_model_int8.onnx"),
        (["audio_model.onnx", "onnx/audio_model.onnx"], "fp32", "audio_model.onnx"),
    ],
)
def test_the_first_precision_that_is_there(tmp_path, names, precision, name):
    touch(tmp_path, *names)
    found = Bundle.open(tmp_path)
    assert (found.precision, found.audio) == (precision, str(tmp_path / name))


def test_a_precision_by_name(tmp_path):
    touch(tmp_path, "audio_model.onnx", "audio_model_quantized.onnx", "text_model.onnx")
    found = Bundle.open(tmp_path, "int8")
    assert found.audio.endswith("audio_model_quantized.onnx")
    assert found.text.endswith("text_model.onnx")
    with pytest.raises(TeacherError, match=r"looked for audio_model_fp16.onnx, onnx/audio_model_fp16.onnx$"):
        Bundle.open(tmp_path, "fp16")


def test_missing_audio_graph_names_what_was_looked_for(tmp_path):
    touch(tmp_path, "onnx/model.onnx")
    with pytest.raises(TeacherError) as caught:
        Bundle.open(tmp_path)
    assert str(caught.value).startswith(
        f"{tmp_path}: no audio graph; looked for audio_model.onnx, onnx/audio_model"
    )


def test_no_directory(tmp_path):
    with pytest.raises(TeacherError, match="no such directory"):
        Bundle.open(tmp_path / "none")
    touch(tmp_path, "file")
    with pytest.raises(TeacherError, match="a bundle is a directory"):
        Bundle.open(tmp_path / "file")


@pytest.mark.parametrize(
    ("values", "cause"),
    [
        ({"format": "acdref.clap/2"}, "has the format 'acdref.clap/2', not 'acdref.clap/1'"),
        ({"family": "clap3"}, "has the family 'clap3'; acdref knows hf, msclap"),
        ({"family": ["hf"]}, "has the family .*hf.*; acdref knows"),
        ({"selftest": {"input_ids": [1e999], "audio_embeds": [1], "text_embeds": [1]}}, "makes no sense"),
        ({"logit_scale": -1}, "must be positive numbers"),
        ({"logit_scale": float("nan")}, "must be positive numbers"),
        ({"duration": "long"}, "makes no sense"),
        ({"selftest": {}}, "lacks 'input_ids'"),
        ({"sha256": []}, "makes no sense"),
    ],
    ids=str,
)
def test_descriptions_that_make_no_sense(tmp_path, values, cause):
    path = bundle(tmp_path)
    change(path / "clap_bundle.json", **values)
    with pytest.raises(TeacherError, match=cause) as caught:
        Bundle.open(path)
    assert caught.value.path == str(path / "clap_bundle.json")


@pytest.mark.parametrize("name", ["clap_bundle.json", "preprocessor_config.json"])
@pytest.mark.parametrize(("content", "cause"), [("{", "is not JSON"), ("[]", "is not a JSON object")])
def test_settings_that_cannot_be_read(tmp_path, name, content, cause):
    path = bundle(tmp_path)
    (path / name).write_text(content)
    with pytest.raises(TeacherError, match=cause) as caught:
        Bundle.open(path)
    assert caught.value.path == str(path / name)


AUDIO = {"input_features": ("tensor(float)", (None, 1, 1001, 64))}
WAVEFORM = {"waveform": ("tensor(float)", (None, 308700))}


def test_the_family_is_known_by_the_description_or_the_inputs(tmp_path):
    found = Bundle.open(bare(tmp_path))
    assert isinstance(found.front_end(AUDIO), HfFrontEnd)
    assert isinstance(found.front_end(WAVEFORM), MsclapFrontEnd)
    assert isinstance(Bundle.open(bundle(tmp_path, "msclap")).front_end(WAVEFORM), MsclapFrontEnd)


def test_unsupported_models_are_refused_by_name(tmp_path):
    found = Bundle.open(bare(tmp_path))
    with pytest.raises(TeacherError, match=r"a fused model \(input is_longer\)"):
        found.front_end(AUDIO | {"is_longer": ("tensor(bool)", (None, 1))})
    with pytest.raises(TeacherError, match="MS-CLAP 2022"):
        found.front_end({"waveform": ("tensor(float)", (None, 220500))})
    with pytest.raises(TeacherError, match="inputs pixels, none of which is input_features or waveform"):
        found.front_end({"pixels": ("tensor(float)", (1,))})
    path = bundle(tmp_path, "msclap")
    with pytest.raises(
        TeacherError, match=r"none of which is waveform \(.* says that the family is msclap\)"
    ):
        Bundle.open(path).front_end(AUDIO)
    change(path / "clap_bundle.json", duration=5)
    with pytest.raises(TeacherError, match="MS-CLAP 2022"):
        Bundle.open(path).front_end(WAVEFORM)
    change(path / "clap_bundle.json", duration=6)
    with pytest.raises(TeacherError, match="takes 264600 samples; MS-CLAP 2023 takes 308700"):
        Bundle.open(path).front_end(WAVEFORM)


def test_hf_needs_its_settings(tmp_path):
    path = bare(tmp_path)
    (path / "preprocessor_config.json").unlink()
    with pytest.raises(TeacherError, match=r"preprocessor_config.json: no such file"):
        Bundle.open(path).front_end(AUDIO)


def test_a_link_to_nowhere_is_not_passed_over(tmp_path):
    touch(tmp_path, "audio_model.onnx", "text_model_fp16.onnx")
    (tmp_path / "text_model.onnx").symlink_to("gone")
    assert Bundle.open(tmp_path).text == str(tmp_path / "text_model.onnx")


def test_the_text_graph_is_of_the_audio_graphs_precision_where_there_is_one(tmp_path):
    touch(tmp_path, "audio_model_int8.onnx", "text_model.onnx", "text_model_int8.onnx")
    assert Bundle.open(tmp_path).text == str(tmp_path / "text_model_int8.onnx")
