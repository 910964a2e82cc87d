"""The implementation in C, written from docs/conformance.md alone: its answers, and wrong builds of it."""

import os
import shutil
import subprocess
import sys
import wave
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from acdref.conform import check

SOURCES = sorted((Path(__file__).resolve().parents[2] / "conformance" / "c").glob("*.c"))
CC = shutil.which("cc")
STRICT = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
LEAST = {"resampling": 12, "features": 17, "networks": 3, "labels": 128, "metrics": 31}

pytestmark = pytest.mark.skipif(CC is None or os.name != "posix", reason="needs a C compiler")


@pytest.fixture(scope="session")
def build(tmp_path_factory):
    """A function that compiles the program, with switches, once for each."""
    folder = tmp_path_factory.mktemp("build")

    def compiled(*switches):
        program = folder / "-".join(["acdref-c", *(switch.strip("-") for switch in switches)])
        if not program.exists():
            subprocess.run([CC, *STRICT, *switches, *SOURCES, "-lm", "-o", program], check=True)
        return program

    return compiled


def run(*words):
    return subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=300)


def verdicts(program, cases, answers):
    done = run(program, "answers", cases, answers)
    assert (done.returncode, done.stderr) == (0, "")
    found, strangers = check(cases, answers)
    assert strangers == []
    return [one for one in found if one.status != "missing"]


def section(verdict):
    return verdict.case.partition("/")[0]


def test_all_answers_are_right(build, cases, tmp_path):
    answered = verdicts(build(), cases, tmp_path / "answers")
    assert [(one.case, one.where) for one in answered if one.status != "passed"] == []
    counts = Counter(map(section, answered))
    assert {name: counts[name] for name in LEAST if counts[name] < LEAST[name]} == {}


@pytest.fixture
def narrow(cases, tmp_path):
    """A part of the cases that is quick to answer."""
    for function in (
        "networks/acdnet",
        "networks/acdnet_layers",
        "labels/frame_events",
        "labels/frame_labels",
    ):
        shutil.copytree(cases / function, tmp_path / "cases" / function)
    shutil.copy(cases / "index.json", tmp_path / "cases")
    return tmp_path / "cases"


@pytest.mark.parametrize(
    ("switch", "case", "cause"),
    [
        ("WRONG_EPSILON", "networks/acdnet/shipped", "batch normalisation had the epsilon 1e-3"),
        ("WRONG_FLATTEN", "networks/acdnet/shipped", "maps were flattened (F, C), not (C, F)"),
        (
            "WRONG_FRAMING",
            "labels/frame_events/by_hand",
            "touching or overlapping events of a class were merged",
        ),
    ],
)
def test_a_wrong_build_is_found_out(build, narrow, tmp_path, switch, case, cause):
    answered = verdicts(build(f"-D{switch}"), narrow, tmp_path / "answers")
    failed = {one.case: one.cause for one in answered if one.status == "failed"}
    assert failed[case] == cause
    assert {name.split("/")[0] for name in failed} == {case.split("/")[0]}  # and nothing else is blamed


def test_the_layers_point_at_the_place(build, narrow, tmp_path):
    """A wrong order before the dense layer leaves all layers right but the last."""
    answered = verdicts(build("-DWRONG_FLATTEN"), narrow, tmp_path / "answers")
    (layers,) = [one for one in answered if one.case.startswith("networks/acdnet_layers/")]
    assert layers.where.startswith("dense[")


@pytest.fixture
def folder(cases, tmp_path):
    """Weights, with names."""
    target = shutil.copytree(cases / "networks/acdnet/narrow/in", tmp_path / "weights")
    (target / "names.txt").write_text("cat\ndog\n")
    return target


def write_wave(path, samples, rate=16000, channels=1):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return path


def noise(seconds):
    return np.random.default_rng(0).integers(-9000, 9000, int(16000 * seconds)).astype("<i2")


def test_tag_agrees_with_acdref(build, cases, tmp_path):
    from acdref import checkpoint, files
    from acdref.features.compressed import features

    net, meta = checkpoint.load_weights(files.resource("weights", "acdnet.npz"), backend="numpy")
    samples = noise(2.5)
    folder = shutil.copytree(cases / "networks/acdnet/shipped/in", tmp_path / "weights")
    (folder / "names.txt").write_text("\n".join(meta["classes"]))
    done = run(build(), "tag", folder, write_wave(tmp_path / "noise.wav", samples))
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    expected = net.predict_proba(features(samples.astype(np.float32)[None] / 32768))[0]
    assert [name for name, _ in rows] == list(meta["classes"])
    assert np.allclose([float(probability) for _, probability in rows], expected, rtol=0, atol=1e-4)


def test_tag_numbers_classes_without_a_name(build, folder, tmp_path):
    done = run(build(), "tag", folder, write_wave(tmp_path / "noise.wav", noise(2.2)))
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["cat", "dog", "2"]


@pytest.mark.parametrize(
    ("make", "cause"),
    [
        (lambda path: None, "cannot be opened"),
        (lambda path: path.write_bytes(b"RIFFjunk"), "is not a WAV file"),
        (lambda path: write_wave(path, noise(3), rate=8000), "is not mono, 16 kHz, 16-bit PCM"),
        (lambda path: write_wave(path, noise(3), channels=2), "is not mono, 16 kHz, 16-bit PCM"),
        (lambda path: write_wave(path, noise(61)), "is longer than a minute: cut it"),
        (lambda path: write_wave(path, noise(2)), "features: have 124 frames, fewer than 130"),
    ],
)
def test_sounds_that_cannot_be_tagged(build, folder, tmp_path, make, cause):
    sound = tmp_path / "sound.wav"
    make(sound)
    done = run(build(), "tag", folder, sound)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"{sound}: {cause}\n")


def damage(change):
    def write(path):
        content = path.read_bytes()
        path.write_bytes(change(content))

    return write


@pytest.mark.parametrize(
    ("make", "cause"),
    [
        (Path.unlink, "No such file or directory"),
        (damage(lambda content: b""), "is not a .npy file of version 1.0"),
        (damage(lambda content: content[:40]), "is cut off"),
        (damage(lambda content: content[:-1]), "has not the size that its header says"),
        (damage(lambda content: content + b"0"), "has not the size that its header says"),
        (
            damage(lambda content: content.replace(b"<f4", b"<i2")),
            "is not an array of <f4, <f8 or <i8 in C order",
        ),
        (
            damage(lambda content: content.replace(b"False", b"True ")),
            "is not an array of <f4, <f8 or <i8 in C order",
        ),
        (lambda path: np.save(path, np.zeros(7)), "has a shape that does not fit the network"),
        (lambda path: np.save(path, np.zeros((2, 3, 3))), "has a shape that does not fit the network"),
    ],
)
def test_damaged_weights(build, folder, tmp_path, make, cause):
    """One line, exit code 1, and nothing that an address sanitiser objects to."""
    weight = folder / "block3.depthwise.weight.npy"
    make(weight)
    done = run(build("-fsanitize=address,undefined"), "time", folder, 3, 1)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"{weight}: {cause}\n")


def test_damaged_cases(build, narrow, tmp_path):
    """An input whose numbers lie outside what they point into."""
    classes = narrow / "labels/frame_events/by_hand/in/classes.npy"
    np.save(classes, np.load(classes) + 100)
    done = run(build(), "answers", narrow, tmp_path / "answers")
    assert (done.returncode, done.stderr) == (1, f"{classes}: has a number that is out of range\n")
    done = run(build(), "answers", tmp_path / "nowhere", tmp_path / "answers")
    assert (done.returncode, done.stderr) == (1, f"{tmp_path / 'nowhere'}: is not a folder\n")


def test_time(build, folder):
    done = run(build(), "time", folder, 2.5, 1)
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["features", "network"]
    assert run(build(), "time", folder, 0).returncode == 1
    assert run(build(), "nonsense").returncode == 2


def test_answers_are_clean_under_sanitisers(build, narrow, tmp_path):
    shutil.rmtree(narrow / "networks/acdnet/shipped")
    assert verdicts(build("-fsanitize=address,undefined"), narrow, tmp_path / "answers")


@pytest.mark.skipif(sys.platform == "darwin", reason="libraries are linked otherwise there")
def test_it_can_be_embedded(cases, tmp_path):
    """What acdnet.h promises, with the three files that it names."""
    host = tmp_path / "host.c"
    host.write_text(
        """
        #include <stdio.h>
        #include "acdnet.h"
        int main(int count, char **words)
        {
            char error[ACDNET_ERROR_SIZE];
            static float samples[40000], features[160 * ACDNET_FRAME], probabilities[3];
            Acdnet *net = count == 2 ? acdnet_load(words[1], error) : NULL;
            if (!net || acdnet_classes(net) != 3 || acdnet_frames(40000) > 160)
                return 1;
            if (!acdnet_features(samples, 40000, features) ||
                !acdnet_probabilities(net, features, acdnet_frames(40000), probabilities, error))
                return 1;
            acdnet_free(net);
            return printf("%f\\n", probabilities[0]) < 0;
        }
        """
    )
    needed = [path for path in SOURCES if path.name in ("features.c", "acdnet.c", "npy.c")]
    command = [CC, *STRICT, f"-I{needed[0].parent}", host, *needed, "-lm", "-o", tmp_path / "host"]
    subprocess.run(command, check=True)
    done = run(tmp_path / "host", cases / "networks/acdnet/narrow/in")
    assert done.returncode == 0 and 0 < float(done.stdout) < 1
