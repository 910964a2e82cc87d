"""The cases of guard.py: what is computed, from sounds, labels and scores that are the same on every machine.

Everything is reached by the command line and by public names, so that modules may move.
"""

import csv
import importlib.util
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from guard import ROOT, run

CORPUS = ROOT / ".." / "shared" / "data" / "corpus"
GROUPS = []


@dataclass(frozen=True)
class Group:
    """Cases that belong together: a generator of (name, kind, result), given an empty folder."""

    name: str
    function: Callable
    quick: bool
    needs: tuple

    def missing(self):
        """What there is not, of packages and files that are needed; empty if all is there."""
        packages = [name for name in self.needs if "/" not in name]
        files = [name for name in self.needs if "/" in name]
        absent = [name for name in packages if importlib.util.find_spec(name) is None]
        return ", ".join(absent + [name for name in files if not (ROOT / name).exists()])


def group(name, *needs, quick=True):
    """Decorator: a group of cases."""

    def add(function):
        GROUPS.append(Group(name, function, quick, needs))
        return function

    return add


# Sounds, exact to the bit: integers all the way -------------------------------------------------------------

_RATES = (16000, 44100, 32000, 48000, 22050, 16000, 44100, 8000, 48000, 16000)


def clip(number, seconds=None):
    """A made-up recording, (n, channels) int16, and its rate: noise, tones, sweeps and clicks, in bursts."""
    rng = np.random.default_rng([2024, number])
    rate = _RATES[number % 10]
    n = int(rate * (seconds or 2.2 + 0.3 * number))
    t = np.arange(n)
    noise = rng.integers(-1, 2, n) * rng.integers(0, 3000, n) >> number % 3
    frequency = (110, 440, 1000, 3000, 220, 700)[number % 6]
    tone = _triangle(t * frequency, rate) + (_triangle(t * 3 * frequency, rate) >> 2)
    sweep = _triangle(t * (200 + t // (rate // 50) * (number + 3)), rate)
    bursts = (t * (number + 2) // rate) % 2
    x = noise + (tone * bursts if number % 2 else tone >> 2) + (sweep * (1 - bursts) if number % 3 else 0)
    x[:: rate // (number + 1)] = 20000
    x = np.clip(x, -32768, 32767).astype(np.int16)
    return np.stack([x, np.roll(x, rate // 100)], axis=1) if number % 4 == 3 else x, rate


def _triangle(phase, rate):
    """Triangle wave of the amplitude 8000."""
    return np.abs(phase * 4 * 8000 // rate % (4 * 8000) - 2 * 8000) - 8000


def write_clips(folder, count=10):
    """Write the recordings; returns their names."""
    names = [f"{i}.{'flac' if i % 3 == 2 else 'wav'}" for i in range(count)]
    for i, name in enumerate(names):
        soundfile.write(folder / name, *clip(i), subtype="PCM_16")
    return names


def write_corpus(folder, count=12, seconds=2.4):
    """Recordings of 16 kHz with a manifest: two classes, their mixture and neither; two folds."""
    rng = np.random.default_rng(7)
    n = int(16000 * seconds)
    rows = ["path,classes,unknown,fold,split,verified"]
    for i in range(count):
        noise = rng.integers(-4000, 4001, n)
        tone = _triangle(np.arange(n) * (300 + 170 * i), 16000)
        present = [c for c, is_in in (("noise", i % 4 in (0, 2)), ("tone", i % 4 in (1, 2))) if is_in]
        x = noise * ("noise" in present) + tone * ("tone" in present) + rng.integers(-20, 21, n)
        soundfile.write(folder / f"{i}.wav", x.astype(np.int16), 16000, subtype="PCM_16")
        fold, unknown = 1 + (i >= count // 2), "noise" if i == 1 else ""
        rows.append(f"{i}.wav,{';'.join(present)},{unknown},{fold},{('train', 'val')[fold - 1]},{i % 2}")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")


# Inference --------------------------------------------------------------------------------------------------


def _predict(folder, backend, names):
    out = run(f"predict --backend {backend} --format jsonl {' '.join(map(str, names))}", folder)
    for line in out.splitlines():
        window = json.loads(line)
        name = f"{Path(window['path']).stem}-{window['start']:g}"
        # Above 4 kHz clip 7 holds but the rounding of its resampling.
        kind = "amplified" if name.startswith("7") else "float32"
        yield name, kind, np.array(list(window["scores"].values()))


@group("predict-numpy")
def predict_numpy(folder):
    names = write_clips(folder)
    yield from _predict(folder, "numpy", names)
    yield "csv", "float32", run("predict --backend numpy --format csv --hop 1 --window 2.5 3.wav", folder)
    yield "table", "run", run("predict --backend numpy --format table --top 1 0.wav", folder)
    rows = "".join(f"{name},{('dog', 'music;voice', '')[i % 3]}\n" for i, name in enumerate(names[:3]))
    (folder / "m.csv").write_text("path,classes\n" + rows)
    run("predict --backend numpy m.csv --scores s.csv", folder)
    yield "scores", "float32", (folder / "s.csv").read_text()
    yield "evaluate", "float32", run("evaluate m.csv --backend numpy --json", folder)


@group("predict-numba", "numba")
def predict_numba(folder):
    yield from _predict(folder, "numba", write_clips(folder))


@group("predict-corpus", "../shared/data/corpus", "numba", quick=False)
def predict_corpus(folder):
    with open(CORPUS / "manifest.csv", newline="") as file:
        paths = [row["path"] for row in csv.DictReader(file)]
    chosen = paths[:: len(paths) // 10][:10]
    for backend in ("numpy", "numba"):
        (folder / "list.csv").write_text("path,classes\n" + "".join(f"{path},\n" for path in chosen))
        run(f"predict --backend {backend} list.csv --root {CORPUS.resolve()} --scores {backend}.npz", folder)
        with np.load(folder / f"{backend}.npz") as file:
            for path, scores in zip(file["ids"], file["scores"], strict=True):
                yield f"{backend}-{Path(str(path)).stem}", "float32", scores


@group("features")
def features(folder):
    from acdref import audio, features

    for i, name in enumerate(write_clips(folder)[:6]):
        for rate in (16000, 32000, 8000):
            yield f"load-{i}-{rate}", "float32", audio.load(folder / name, rate)
    x16, x32 = (audio.load(folder / "1.wav", rate) for rate in (16000, 32000))
    transforms = {
        "features": x16,
        "a_weighted_mel": x32,
        "log_filterbank": x32,
        "log_mel_patches": x16,
        "decibel_mel": x16,
    }
    for name, x in transforms.items():
        yield name, "float32", getattr(features, name)(x)
        yield f"{name}-of-silence", "float32", getattr(features, name)(np.zeros(20000, np.float32))
    X = features.stft(x16)
    yield "stft", "float32", X.view(np.float32)
    yield "compress", "float32", features.compress(X, 0.5).view(np.float32)
    bank = np.random.default_rng(0).random((8, 257)) ** 8
    yield "log_mel", "float32", features.log_mel(x16, bank, 160)
    yield "log_mel-of-silence", "bits", features.log_mel(np.zeros(2000), bank, 160)


# Networks ---------------------------------------------------------------------------------------------------

# name -> width, shape of a batch, learning rate: the deepest network amplifies rounding most
SMALL = {
    "acdnet": (0.25, (2, 140, 257, 2), 1e-3),
    "vgg-gap": (0.06, (2, 195, 128), 1e-3),
    "conv1d": (0.1, (3, 80000), 1e-3),
    "resnet50": (0.05, (2, 1, 96, 64), 1e-3),
    "mobilenetv2": (0.08, (4, 100, 64), 1e-4),
}
CLASSES = 5


def _trained(net, shape, steps, kind, lr=1e-3):
    """Steps of training: losses, weights, statistics, logits; the gradients of the first."""
    from acdref import losses, optim

    rng = np.random.default_rng(11)
    x = rng.standard_normal((steps, *shape)).astype(next(iter(net.params.values())).dtype)
    y = rng.choice([0, 1, np.nan], (steps, shape[0], CLASSES), p=[0.5, 0.3, 0.2])
    # The large eps keeps rounding, where a gradient should be 0, from becoming whole steps.
    optimiser = optim.AdamW(net.params, lr=lr, eps=1e-2)
    curve = []
    for i in range(steps):
        logits, tape = net.forward(x[i], train=True)
        loss, dlogits = losses.bce(y[i], logits)
        grads = net.backward(tape, dlogits)
        if not i:
            yield "gradients", kind, grads
        optimiser.step(grads)
        curve.append(loss)
    yield "losses", kind, np.array(curve)
    yield "weights", kind, net.params
    yield "statistics", kind, net.state
    yield "logits", kind, net.forward(x[0])[0]
    yield "probabilities", kind, net.predict_proba(x[0])


def _networks(backend, dtype, kind, steps=10):
    from acdref import nets

    for name, (width, shape, lr) in SMALL.items():
        net = nets.build(name, CLASSES, width=width, seed=3, dtype=dtype, backend=backend)
        for case, *result in _trained(net, shape, steps, kind, lr):
            yield f"{name}-{case}", *result


@group("initial-weights")
def initial_weights(folder):
    from acdref import nets

    for name, (width, *_) in SMALL.items():
        net = nets.build(name, CLASSES, width=width, seed=5, backend="numpy")
        yield name, "bits", net.params
        yield f"{name}-statistics", "bits", net.state
        yield f"{name}-names", "bits", "\n".join(sorted([*net.params, *net.state]))
    yield "acdnet-full", "bits", nets.ACDNet(nets.ACDNET_2024, seed=2, backend="numpy").params


@group("networks-float64")
def networks_float64(folder):
    yield from _networks("numpy", np.float64, "float64", steps=4)


@group("networks-numpy", quick=False)
def networks_numpy(folder):
    yield from _networks("numpy", np.float32, "amplified")


@group("networks-numba", "numba", quick=False)
def networks_numba(folder):
    yield from _networks("numba", np.float32, "amplified")


@group("acdnet-full", "numba")
def acdnet_full(folder):
    from acdref import nets

    for backend in ("numpy", "numba"):
        net = nets.ACDNet(nets.ACDNetConfig(classes=CLASSES), seed=1, backend=backend)
        for case, *result in _trained(net, (3, 150, 257, 2), 2, "amplified"):
            yield f"{backend}-{case}", *result
    net = nets.build(
        "acdnet", CLASSES, width=0.25, seed=1, dtype=np.float64, backend="numpy", attention="separable"
    )
    for case, *result in _trained(net, (2, 140, 257, 2), 2, "float64"):
        yield f"separable-{case}", *result


@group("info")
def info(folder):
    for name in SMALL:
        found = json.loads(run(f"info --net {name} --json", folder))
        kept = {key: found[key] for key in ("parameters", "macs", "macs_convention")}
        yield name, "bits", json.dumps(kept, sort_keys=True)
        rows = [json.dumps(row, sort_keys=True) for row in found["layers"]]
        yield f"{name}-layers", "bits", "\n".join(rows)


@group("export", "onnx", "onnxruntime")
def export(folder):
    import onnxruntime

    x = np.random.default_rng(1).standard_normal((2, 150, 257, 2)).astype(np.float32)
    for name, words, feed in (
        ("features", "", x),
        ("waveform", "--front-end", 0.1 * x.reshape(2, -1)[:, :40000]),
    ):
        run(f"export --onnx {name}.onnx {words}", folder)
        session = onnxruntime.InferenceSession(folder / f"{name}.onnx", providers=["CPUExecutionProvider"])
        yield name, "float32", session.run(["probabilities"], {name: feed})[0]


# Labels and metrics -----------------------------------------------------------------------------------------

NODES = {  # id -> name, children
    "/m/music": ("Music", ["/m/guitar", "/m/piano"]),
    "/m/guitar": ("Guitar", ["/m/electric", "/m/acoustic"]),
    "/m/electric": ("Electric guitar", []),
    "/m/acoustic": ("Acoustic guitar", []),
    "/m/piano": ("Piano", ["/m/acoustic"]),
    "/m/animal": ("Animal", ["/m/dog"]),
    "/m/dog": ("Dog, domestic", ["/m/bark"]),
    "/m/bark": ("Bark", []),
}
IDS = list(NODES)


def _nodes():
    return [{"id": id, "name": name, "child_ids": below} for id, (name, below) in NODES.items()]


def _matrices(n=60, c=8, seed=5):
    """Labels with unknown ones, scores in 64ths with ties, some without opinion."""
    rng = np.random.default_rng(seed)
    y = rng.choice([0, 1, np.nan], (n, c), p=[0.6, 0.3, 0.1])
    p = np.clip(rng.integers(-4, 69, (n, c)) + 8 * np.nan_to_num(y), 0, 64) / 64
    return y, np.where(rng.random((n, c)) < 0.05, np.nan, p)


@group("labels")
def labels(folder):
    from acdref import labels

    y, p = _matrices()
    graph = labels.Ontology(_nodes())
    yield "closure", "bits", np.asarray(graph.closure, np.float64)
    yield "parent-expand", "bits", graph.parent_expand(y)
    yield "children-mask", "bits", graph.children_mask(y)
    yield "psla-candidates", "bits", np.asarray(graph.psla_candidates(np.nan_to_num(y)), np.float64)
    yield "or-join", "bits", labels.or_join(y[:3])
    for fp in (False, True):
        for mask in (False, True):
            for boundary in ("closed", "literal"):
                found = labels.correct_labels(y, p, T=0.125, fp=fp, mask=mask, boundary=boundary)
                yield f"correct-fp={fp}-mask={mask}-{boundary}", "bits", found
    for q in (0.05, 0.3):
        yield f"percentile-mask-{q}", "bits", labels.percentile_mask(y, p, q)
        yield f"percentile-correct-{q}", "bits", labels.percentile_correct(y, p, q)
    for statistic in ("mean", "median", "p25", "p10", "p5"):
        yield f"mean-threshold-{statistic}", "bits", labels.mean_threshold_correct(y, p, statistic=statistic)
    cosines = 0.3 * np.nan_to_num(p)
    yield "clap-labels", "bits", labels.clap_labels(cosines, 30.0)
    yield "clap-probabilities", "float64", labels.clap_probabilities(cosines, 30.0, cosines[:, :1])
    yield "robust-z", "float64", labels.robust_z_scores(cosines)
    mapped = labels.SuperClasses({"strings": IDS[1:4], "dog": IDS[6:]}).map(y, IDS)
    yield "super-classes", "bits", mapped
    yield from _more_labels(labels, y, p)


def _more_labels(labels, y, p):
    rng = np.random.default_rng(3)
    onset = rng.integers(0, 9000, 12) / 1000
    events = np.stack([onset, onset + rng.integers(1, 4000, 12) / 1000], axis=1)
    frames = labels.frame_events(events, classes=rng.integers(0, 3, 12), n_classes=3)
    yield "frame-events", "bits", frames.astype(np.float64)
    yield "frame-labels", "bits", labels.frame_labels(events, rng.integers(0, 3, 12), 5, [4])
    yield "complementary", "bits", np.asarray(labels.complementary_negatives(frames), np.float64)
    yield "diffuse", "bits", np.asarray(labels.diffuse(frames), np.float64)
    posteriors = np.nan_to_num(p[:, :4]) / 4
    posteriors[:, 0] = 1 - posteriors[:, 1:].sum(axis=1)
    of, verified = rng.integers(0, 4, 60), rng.random(60) < 0.3
    for threshold, cap in ((0.3, 40), (None, 2)):
        accepted = labels.verify(posteriors, of, verified, threshold, cap)
        yield f"verify-{threshold}-{cap}", "bits", accepted.astype(np.float64)
    yield "folds", "bits", np.asarray(labels.stratified_folds(of, verified), np.float64)
    yield "windows", "bits", np.asarray(labels.windows(10.0, 2.0, 1.5), np.float64)
    yield "soft-labels", "float64", labels.soft_labels(np.nan_to_num(p), np.nan_to_num(y), 0.5)
    yield "mixup", "float64", labels.mixup(np.nan_to_num(y[0]), np.nan_to_num(y[1]), 0.3)
    yield "fix-length", "bits", labels.fix_length(np.arange(14.0).reshape(7, 2), 17)
    drawn = labels.evaluation_set(y, rng.random(60) * 20, rng, quota=4)
    yield "evaluation-set", "bits", np.asarray(drawn, np.float64)
    table = labels.contingency(np.nan_to_num(y[:, 0]) == 1, np.nan_to_num(y[:, 1]) == 1)
    yield "contingency", "bits", np.asarray(table, np.float64)


@group("losses")
def losses(folder):
    from acdref import losses

    y, p = _matrices()
    z = 8 * np.nan_to_num(p) - 4
    for denominator in ("unmasked", "all", "sum"):
        for name in ("bce", "mse"):
            loss, gradient = getattr(losses, name)(y, z if name == "bce" else z / 8 + 0.5, denominator)
            yield f"{name}-{denominator}", "float64", np.append(gradient, loss)
    classes = np.eye(8)[np.arange(60) % 8]
    loss, gradient = losses.softmax_cross_entropy(classes, z)
    yield "softmax-cross-entropy", "float64", np.append(gradient, loss)


@group("metrics")
def metrics(folder):
    from acdref import metrics

    y, p = _matrices(400, 8)
    p = np.nan_to_num(p)
    y[:, 7] = 0  # a class without positives
    weight = np.random.default_rng(4).integers(0, 5, 400) / 4
    for name in ("average_precision", "roc_auc", "accuracy", "f_score"):
        yield name, "float64", getattr(metrics, name)(y, p)
        yield f"{name}-weighted", "float64", getattr(metrics, name)(y, p, sample_weight=weight)
    for name in ("mean_average_precision", "mean_accuracy", "lwlrap"):
        yield name, "float64", np.array([getattr(metrics, name)(y, p)])
    yield "lwlrap-per-class", "float64", np.concatenate(metrics.lwlrap_per_class(y, p))
    yield "d-prime", "float64", metrics.d_prime(np.array([0.1, 0.5, 0.73, 0.999]))
    ranked = np.argsort(-p, axis=1, kind="stable")[:, :3]
    yield "map-at-3", "float64", np.array([metrics.map_at_k([[i % 8] for i in range(400)], ranked)])
    explicit = np.random.default_rng(6).random(y.shape) < 0.5
    yield "balanced-negatives", "float64", metrics.balance_negatives(y, explicit)


# Relabelling of files ---------------------------------------------------------------------------------------

FORMATS = {"manifest": "m.csv", "audioset": "a.csv", "fsd50k": "f.csv", "strong": "s.tsv", "framed": "r.tsv"}

# name -> input, options; @ is a blank
RELABEL = {
    "expand-manifest": ("m.csv", "--ontology o.json --expand"),
    "expand-audioset": ("a.csv", "--ontology o.json --expand"),
    "expand-fsd50k": ("f.csv", "--ontology o.json --expand"),
    "expand-strong": ("s.tsv", "--ontology o.json --expand"),
    "expand-framed": ("r.tsv", "--ontology o.json --expand"),
    "mask-manifest": ("m.csv", "--ontology o.json --mask-children"),
    "mask-to-manifest": ("a.csv", "--ontology o.json --mask-children --to manifest"),
    "mask-unknown-out": ("f.csv", "--ontology o.json --mask-children --unknown-out u.csv"),
    "vocabulary": ("a.csv", "--ontology o.json --vocabulary v.csv --mask-children --to manifest"),
    "superclasses": ("m.csv", "--ontology o.json --expand --superclasses c.csv"),
    "map-classes": ("m.csv", "--map-classes i.csv --unknown ignore"),
    "isolate": ("m.csv", "--ontology o.json --expand --unknown isolate"),
    "classes": ("m.csv", "--classes /m/dog,/m/guitar --unknown ignore"),
    "correct": ("m.csv", "--scores p.npz --correct"),
    "correct-fp": ("m.csv", "--scores p.npz --correct --fp --threshold-t 0.125"),
    "correct-no-mask": ("m.csv", "--scores p.csv --correct --fp --no-mask --threshold-t 0.25"),
    "correct-literal": ("m.csv", "--scores p.jsonl --correct --fp --threshold-t 0.125 --boundary literal"),
    "percentile-mask": ("m.csv", "--scores p.npz --percentile mask --q 0.2"),
    "percentile-correct": ("m.csv", "--scores p.csv --percentile correct"),
    "mean-threshold": ("m.csv", "--scores p.npz --mean-threshold mean"),
    "mean-threshold-p10": ("m.csv", "--scores p.npz --mean-threshold p10"),
    "mean-threshold-psla": (
        "m.csv",
        "--ontology o.json --scores p.npz --mean-threshold median --candidates psla",
    ),
    "all-steps": (
        "a.csv",
        "--ontology o.json --vocabulary v.csv --mask-children --scores p.npz --correct --fp "
        "--threshold-t 0.2 --percentile mask --q 0.1 --mean-threshold p25 --to manifest",
    ),
    "zero-shot": ("m.csv", "--scores t.npz --zero-shot"),
    "zero-shot-cosine": (
        "m.csv",
        "--scores t.npz --zero-shot --rule cosine --threshold 0.25 --class-threshold /m/dog=0.1",
    ),
    "zero-shot-z": ("m.csv", "--scores t.npz --zero-shot --rule z --threshold 0.5"),
    "softmax-correct": ("m.csv", "--scores t.npz --correct --fp --threshold-t 0.3 --logit-scale 5"),
    "frame": ("s.tsv", "--frame"),
    "frame-guard": ("s.tsv", "--ontology o.json --expand --frame --guard --absent n.tsv"),
    "frame-hop": ("s.tsv", "--frame --duration 5 --frame-length 0.5 --hop 0.25"),
    "strong-to-manifest": ("s.tsv", "--to manifest"),
}


def _write_label_files(folder):
    rng = np.random.default_rng(9)
    n = 40
    y, p = _matrices(n)
    ids = [f"c{i:02}.wav" for i in range(n)]
    present = [[IDS[c] for c in np.flatnonzero(row == 1)] for row in y]
    unknown = [[IDS[c] for c in np.flatnonzero(np.isnan(row))] for row in y]
    (folder / "o.json").write_text(json.dumps(_nodes()))
    kept = "".join(f'{i},{id},"{NODES[id][0]}"\n' for i, id in enumerate(IDS[1::2]))
    (folder / "v.csv").write_text("index,mid,display_name\n" + kept)
    pets = 'Music,Guitar,Bark\nPiano,Electric guitar,"Dog, domestic"\n'
    (folder / "c.csv").write_text("unused,strings,pets\n" + pets)
    (folder / "i.csv").write_text("unused,strings,pets\n/m/music,/m/guitar,/m/dog\n,/m/electric,\n")

    def table(name, head, rows):
        (folder / name).write_text(head + "\n" + "".join(row + "\n" for row in rows))

    rows = list(enumerate(zip(ids, present, unknown, strict=True)))
    manifest = [f"{i},{k},{';'.join(a)},{';'.join(b)}" for k, (i, a, b) in rows]
    table("m.csv", "path,note,classes,unknown", manifest)
    segments = [f'{i}, {k}.000, {k + 10}.000, "{",".join(a or IDS[:1])}"' for k, (i, a, _) in rows]
    table("a.csv", "# Segments\n# YTID, start_seconds, end_seconds, positive_labels", segments)
    names = {id: name.replace(" ", "_").replace(",_", "_and_") for id, (name, _) in NODES.items()}
    truth = [f'{k},"{",".join(names[id] for id in a)}","{",".join(a)}",train' for k, a in enumerate(present)]
    table("f.csv", "fname,labels,mids,split", truth)
    events, frames, absent = [], [], []
    for i, row in zip(ids[:12], y, strict=False):
        for c in np.flatnonzero(row == 1):
            start = rng.integers(0, 9000)
            events.append(f"{i}\t{start / 1000}\t{(start + rng.integers(1, 3000)) / 1000}\t{IDS[c]}")
        events += [] if (row == 1).any() else [f"{i}\t\t\t"]
        absent += [f"{i}\t{IDS[c]}" for c in np.flatnonzero(np.isnan(row))]
        for c in np.flatnonzero(row == row):
            frames.append(f"{i}\t0.960\t1.920\t{IDS[c]}\t{'PRESENT' if row[c] else 'NOT_PRESENT'}")
    table("s.tsv", "filename\tonset\toffset\tevent_label", events)
    table("r.tsv", "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\tpresent", frames)
    table("n.tsv", "filename\tlabel", absent)
    _write_scores(folder, ids, p)


def _write_scores(folder, ids, p):
    np.savez(folder / "p.npz", ids=np.array(ids), classes=np.array(IDS), scores=p)
    rows = [
        ",".join([i, *("" if np.isnan(v) else repr(float(v)) for v in row)])
        for i, row in zip(ids, p, strict=True)
    ]
    (folder / "p.csv").write_text("\n".join([",".join(["path", *IDS]), *rows]) + "\n")
    with open(folder / "p.jsonl", "w") as file:
        for i, row in zip(ids, p, strict=True):
            for start in (0, 10):  # two windows, of which the mean counts
                scores = {id: float(v) for id, v in zip(IDS, row, strict=True) if v == v}
                window = {"schema": "acdref.predict/1", "path": i, "start": start, "end": start + 10}
                file.write(json.dumps(window | {"scores": scores}) + "\n")
    cosines = 0.4 * np.nan_to_num(p) - 0.05
    np.savez(
        folder / "t.npz",
        paths=np.array(ids),
        classes=np.array(IDS),
        cosines=cosines,
        background=np.array(["silence"]),
        background_cosines=cosines[:, ::-1][:, :1],
        bytes=np.full(len(ids), 1),
        notes=np.array([""] * len(ids)),
        meta=np.array(json.dumps({"schema": "acdref.teach/1", "scale": 20.0})),
    )


@group("relabel")
def relabel(folder):
    _write_label_files(folder)
    for form, source in FORMATS.items():
        yield f"check-{form}", "bits", run(f"relabel {source} --check --json", folder)
    for name, (source, options) in RELABEL.items():
        report = json.loads(run(f"relabel {source} {options} --out out --json", folder))
        yield f"{name}-report", "bits", json.dumps(report, sort_keys=True)
        yield f"{name}-labels", "bits", (folder / "out").read_text()
        if "--unknown-out" in options:
            yield f"{name}-unknown", "bits", (folder / "u.csv").read_text()
    yield "table", "bits", run("relabel m.csv --ontology o.json --mask-children --out out", folder)


# The teacher ------------------------------------------------------------------------------------------------


def _arrays(path, *names):
    with np.load(path) as file:
        return {name: file[name] for name in names}


@group("teach", "onnxruntime")
def teach(folder):
    write_corpus(folder, 6)
    soundfile.write(folder / "long.wav", *clip(1, 12), subtype="PCM_16")
    (folder / "p.txt").write_text("dog = a dog that barks\nrain = rain\ntone = a long tone\n")
    for family in ("hf", "msclap"):
        bundle = ROOT / "fixtures" / f"clap_{family}"
        words = f"--prompts p.txt --background silence --out {family}.npz --labels l.csv --threshold 0.35"
        (folder / "list.csv").write_text(
            "path,classes\nlong.wav,\n" + "".join(f"{i}.wav,\n" for i in range(6))
        )
        yield (
            f"{family}-says",
            "bits",
            run(f"teach {bundle} list.csv {words}", folder).replace(str(folder), ""),
        )
        found = _arrays(folder / f"{family}.npz", "cosines", "background_cosines")
        yield f"{family}-cosines", "float32", found
        yield f"{family}-labels", "bits", (folder / "l.csv").read_text()
        run(f"teach {bundle} list.csv --out d.npz", folder)
        yield f"{family}-default-classes", "float32", _arrays(folder / "d.npz", "cosines")


# Runs -------------------------------------------------------------------------------------------------------


def _weights(path):
    """Parameters and statistics of a weights file, or of all folds in a folder."""
    if path.is_dir():
        found = {file.stem: _weights(file) for file in path.glob("fold-*.npz")}
        return {f"{stem}.{name}": a for stem, arrays in found.items() for name, a in arrays.items()}
    with np.load(path) as file:
        return {name: file[name] for name in file.files if name.startswith(("params/", "state/"))}


TRAINING = (
    "--preset paper --sampling balanced --augment light "
    "--val-fold 2 --epochs 2 --epoch-size 4 --batch 2 --seconds 2.2 --workers 0 --lr 1e-3 --seed 3"
)


@group("train", quick=False)
def train(folder):
    write_corpus(folder)
    runs = {
        "acdnet": "--net acdnet --width 0.2",
        "mobilenetv2": "--net mobilenetv2 --width 0.02 --mixing mixup --average 0.9 --schedule cosine "
        "--fill repeat",
        "paper": "--net conv1d --width 0.06 --augment paper --sampling uniform",
    }
    for name, words in runs.items():
        seconds = "--seconds 10" if name == "paper" else ""
        printed = run(f"train manifest.csv --out {name} {TRAINING} {words} {seconds}", folder)
        yield f"{name}-says", "machine", printed
        with open(folder / name / "metrics.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        for column, kind in (("loss", "run"), ("lr", "float64"), ("val_mAP", "machine")):
            yield f"{name}-{column}", kind, np.array([float(row[column]) for row in rows])
        for file in ("best", "last"):
            yield f"{name}-{file}", "run", _weights(folder / name / f"{file}.npz")


_TINY = "--net mobilenetv2 --width 0.02 --lr 1e-3 --seed 4"
RECIPES = {
    "self-correct": f"manifest.csv {TRAINING} --net acdnet --width 0.2 --threshold-t 0.45 --fp",
    "unlabelled": f"BUNDLE rec {TRAINING.replace('--val-fold 2', '')} --net mobilenetv2 --width 0.02 "
    "--threshold 0.1 --threshold-t 0.49",
    "strong": f"manifest.csv {_TINY} --epochs 2 --part-epochs 2 --tune-epochs 1 --batch 3 --shares 0.5 "
    "--held-out 0.4",
    "pseudo-strong": f"manifest.csv {_TINY} --annotator-epochs 2 --epochs 1 --batch 6 --windows 2",
    "self-verify": f"single.csv {_TINY} --clip 1.2 --excerpt 0.5 --folds 2 --epochs 2 --constant 1 "
    "--rounds 2 --tune-epochs 1 --tune-constant 0 --batch 4 --excerpts 2 --threshold 0.3 --cap 2",
    "relabel-transfer": f"tree/tree.csv --ontology o.json --target Tone {_TINY} --base ol --base pe-cml "
    "--labels pel --seconds 1 --epochs 2 --tune-epochs 1 --extract-epochs 2 --batch 4 --hidden 4",
}


def _write_recipe_files(folder):
    """A corpus in all the forms that recipes take."""
    write_corpus(folder)
    (folder / "rec").mkdir()
    events, single, tree = [], ["path,classes,split,verified"], ["path,classes"]
    for i in range(12):
        if i % 4 < 3:
            (folder / "rec" / f"{i}.wav").write_bytes((folder / f"{i}.wav").read_bytes())
        for c, name in enumerate(("noise", "tone")):
            if i % 4 in (c, 2):
                events.append(f"{i}.wav\t{0.1 * c:.3f}\t{1.0 + c:.3f}\t{name}")
        events += [f"{i}.wav\t\t\t"] * (i % 4 == 3)
        if i % 4 < 2:
            single.append(f"{i}.wav,{('noise', 'tone')[i % 4]},{'val' if i > 8 else 'train'},{i // 4 % 2}")
    (folder / "events.tsv").write_text("filename\tonset\toffset\tevent_label\n" + "\n".join(events) + "\n")
    (folder / "single.csv").write_text("\n".join(single) + "\n")
    (folder / "tree").mkdir()
    write_corpus(folder / "tree", 40, 1.0)
    tree += [
        f"{i}.wav,{('loud', 'low', 'high', ('Noise', 'faint', 'Tone')[i % 3])[i % 4]}" for i in range(40)
    ]
    (folder / "tree" / "tree.csv").write_text("\n".join(tree) + "\n")
    nodes = {
        "Tone": ["low", "high"],
        "low": [],
        "high": [],
        "Noise": ["loud", "faint"],
        "loud": [],
        "faint": [],
    }
    nodes = [{"id": name, "name": name, "child_ids": below} for name, below in nodes.items()]
    (folder / "o.json").write_text(json.dumps(nodes))


def _recipe(name):
    def cases(folder):
        _write_recipe_files(folder)
        words = RECIPES[name].replace("BUNDLE", str(ROOT / "fixtures" / "clap_hf"))
        out = json.loads(run(f"recipe {name} {words} --out out --json", folder))
        for stage, found in out["stages"].items():
            yield stage, "machine", json.dumps(found, sort_keys=True)
            for key in sorted({"loss", "val_loss"} & set(found)):
                yield f"{stage}-{key}", "run", np.array(found[key], np.float64)
        # Rounding makes other weights of a deep network with four channels, not of ACDnet.
        kind = "run" if "--net acdnet" in words else "machine"
        yield "weights", kind, _weights(folder / out["weights"])
        for path in sorted((folder / "out").rglob("train.csv")):
            yield f"labels-{path.parent.name}", "bits", path.read_text().replace(str(folder), "")

    return cases


for _name in RECIPES:
    _needs = ("onnxruntime",) if _name == "unlabelled" else ()
    group(f"recipe-{_name}", *_needs, quick=False)(_recipe(_name))


# Synthetic sounds -------------------------------------------------------------------------------------------


@group("synth")
def synth(folder):
    run("synth scenes --count 3 --seconds 2 --seed 7", folder)
    yield "manifest", "bits", (folder / "scenes" / "manifest.csv").read_text()
    yield "events", "bits", (folder / "scenes" / "events.tsv").read_text()
    for path in sorted((folder / "scenes").glob("*.flac")):
        yield path.stem, "amplified", soundfile.read(path)[0]  # of 16 bits: the last one may differ
