"""The programs of docs/onnx.md: what they say of recordings is what `acdref predict` says."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from predict_support import noise, program, write

from acdref import checkpoint
from acdref.files import resource
from acdref.predict.scoring import mean_over_windows, score_recording

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

PROJECT = Path(__file__).resolve().parents[2]
PAGE = (PROJECT / "docs" / "onnx.md").read_text(encoding="utf-8")
NODE_MODULES = PROJECT / "conformance" / "javascript" / "node_modules"
NODE = shutil.which("node")
FORMS = ("stft", "conv")
CLOSE = 2e-5  # of probabilities, on noise


def code(language, number=0):
    """One of the page's pieces of code in a language; the first is a whole program."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[number]


def hum(seconds):
    """Noise that fades, without an offset."""
    x = noise(seconds) * np.linspace(1, 0.1, round(16000 * seconds), dtype=np.float32)
    return x - x.mean()


SOUNDS = {
    "short": hum(0.85),
    "window": hum(10),
    "long": hum(23.4),
    "offset": hum(12.1) + np.float32(0.1),
    "short and offset": hum(0.4) - np.float32(0.03),
    "silence": np.zeros(4_000, np.float32),
}


@pytest.fixture(scope="module", params=FORMS)
def folder(request, tmp_path_factory):
    """A folder with the model, the recordings, and what predict says of them."""
    folder = tmp_path_factory.mktemp("clients")
    assert program("export", "--onnx", folder / "tagger.onnx", "--front-end-as", request.param)[0] == 0
    net, meta = checkpoint.load_weights(resource("weights", "acdnet.npz"), backend="numpy")
    expected = {}
    for name, x in SOUNDS.items():
        path = write(folder / f"{name}.wav", x, subtype="FLOAT")
        expected[name] = mean_over_windows(score_recording(net, path)).tolist()
        x.tofile(folder / f"{name}.f32")
    (folder / "expected.json").write_text(json.dumps({"classes": meta["classes"], "scores": expected}))
    return folder


def expected_of(folder):
    known = json.loads((folder / "expected.json").read_text())
    return known["classes"], known["scores"]


def test_python(folder):
    (folder / "tags.py").write_text(code("python"), encoding="utf-8")
    names = [f"{name}.wav" for name in SOUNDS]
    done = subprocess.run(
        [sys.executable, "-I", "tags.py", *names], cwd=folder, capture_output=True, text=True, timeout=300
    )
    assert (done.returncode, done.stderr) == (0, "")
    classes, scores = expected_of(folder)
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert [line[:2] for line in lines] == [[name, one] for name in names for one in classes]
    found = np.array([float(line[2]) for line in lines]).reshape(len(names), -1)
    np.testing.assert_allclose(found, list(scores.values()), rtol=0, atol=CLOSE)


def test_python_refuses_what_it_would_guess(folder):
    (folder / "tags.py").write_text(code("python"), encoding="utf-8")
    write(folder / "other.wav", hum(1), 22050)
    done = subprocess.run(
        [sys.executable, "-I", "tags.py", "other.wav"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1 and "other.wav: 22050 Hz; resample it to 16000 Hz first" in done.stderr


def test_openvino(folder, monkeypatch):
    openvino = pytest.importorskip("openvino")
    if "front_end_in_model\x12\x04conv" not in (folder / "tagger.onnx").read_bytes().decode("latin-1"):
        pytest.skip("OpenVINO has no STFT of sounds of any length")
    monkeypatch.chdir(folder)
    _, scores = expected_of(folder)
    for name in ("short and offset", "window"):
        known = {"openvino": openvino, "part": SOUNDS[name]}
        exec(code("python", 1), known)
        np.testing.assert_allclose(known["probabilities"], scores[name], rtol=0, atol=CLOSE)


def test_what_static_shapes_want():
    from acdref.features.front_ends import FRONT_ENDS

    known = {"np": np, "part": SOUNDS["short and offset"], "window": 160_000}
    exec(code("python", 2), known)
    assert known["part"].dtype == np.float32
    expected = FRONT_ENDS["waveform"].window(SOUNDS["short and offset"], 160_000)
    np.testing.assert_allclose(known["part"], expected, rtol=0, atol=1e-7)


RUNNER = """
import { readFileSync } from "node:fs";
import { load, tag } from "./tags.mjs";
const session = await load(readFileSync("tagger.onnx"));
const found = {};
for (const name of process.argv.slice(2)) {
  const bytes = readFileSync(`${name}.f32`);
  found[name] = [...(await tag(session, new Float32Array(new Uint8Array(bytes).buffer), 16000))];
}
const refusal = (rate, n) => tag(session, new Float32Array(n), rate).catch(String);
console.log(JSON.stringify({ found, refused: [await refusal(22050, 1), await refusal(16000, 0)] }));
"""


@pytest.mark.skipif(NODE is None, reason="needs node")
@pytest.mark.parametrize("package", ["onnxruntime-web", "onnxruntime-node"])
def test_javascript(folder, package):
    if not (NODE_MODULES / package).is_dir():
        pytest.skip(f"needs {package} in conformance/javascript")
    text = code("js")
    if package != "onnxruntime-web":
        assert text.count('"onnxruntime-web/wasm"; // or "onnxruntime-node"') == 1
        text = text.replace("onnxruntime-web/wasm", package)
    (folder / "tags.mjs").write_text(text, encoding="utf-8")
    (folder / "run.mjs").write_text(RUNNER, encoding="utf-8")
    if not (folder / "node_modules").exists():
        (folder / "node_modules").symlink_to(NODE_MODULES)
    done = subprocess.run([NODE, "run.mjs", *SOUNDS], cwd=folder, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    answer = json.loads(done.stdout)
    _, scores = expected_of(folder)
    for name in SOUNDS:
        np.testing.assert_allclose(answer["found"][name], scores[name], rtol=0, atol=CLOSE)
    assert answer["refused"] == ["Error: 22050 Hz: resample to 16000 Hz first", "Error: no samples"]


def test_the_table_has_every_key_of_the_metadata():
    from acdref.nets.onnx import metadata

    net, meta = checkpoint.load_weights(resource("weights", "acdnet.npz"), backend="numpy")
    table = re.search(r"^\| key \|.*?\n\n", PAGE, re.MULTILINE | re.DOTALL)[0]
    rows = [line.split(" | ") for line in table.strip().splitlines()[2:]]
    keys = {key for row in rows for key in re.findall(r"`(\w+)`", row[0])}
    about = metadata(net, meta["classes"], "stft", "MIT")
    assert keys == set(about)
    for row in rows:
        for key, value in zip(re.findall(r"`(\w+)`", row[0]), re.findall(r"`(.*?)`", row[1]), strict=False):
            assert about[key].startswith(value.removesuffix("...]"))
