"""Export a CLAP checkpoint to the bundle of ONNX graphs that acdref's teacher opens.

For this script alone: torch, transformers, onnx, onnxruntime; for MS-CLAP also the package msclap:

    python tools/export_clap.py hf laion/clap-htsat-unfused bundle/
    python tools/export_clap.py msclap CLAP_weights_2023.pth bundle/

A checkpoint of the family hf is a folder that ClapModel.from_pretrained reads, or a name on the hub; the
GPT-2 of MS-CLAP (tokenizer and configuration) comes from the hub or from --gpt2.  Each graph is compared with
torch at batches of 1 to 4; one that differs is not kept, and clap_bundle.json not written.
"""

import argparse
import hashlib
import importlib.util
import json
import sys
import types
import warnings
from pathlib import Path

import numpy as np
import torch

from acdref.clap.bundle import FORMAT, probe_sound
from acdref.clap.frontends import MOST_TOKENS, HfFrontEnd, MsclapFrontEnd
from acdref.files import write_text

OPSET = 17
TOLERANCE = 1e-9  # of 1 - cosine between a graph's embeddings and torch's
PROBE_TEXT = "This is a sound of a dog barking"


class HfAudio(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_features):
        return self.model.audio_projection(
            self.model.audio_model(input_features=input_features).pooler_output
        )


class HfText(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask):
        output = self.model.text_model(input_ids=input_ids, attention_mask=attention_mask)
        return self.model.text_projection(output.pooler_output)


class HfFull(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, input_features, attention_mask):
        output = self.model(input_ids=input_ids, input_features=input_features, attention_mask=attention_mask)
        return output.logits_per_audio, output.logits_per_text, output.text_embeds, output.audio_embeds


class MsclapAudio(torch.nn.Module):
    def __init__(self, clap):
        super().__init__()
        self.encoder = clap.audio_encoder

    def forward(self, waveform):
        return self.encoder(waveform)[0]


class MsclapText(torch.nn.Module):
    """As MS-CLAP's text encoder, with the pooled position taken in a way that any batch can be traced."""

    def __init__(self, clap):
        super().__init__()
        self.gpt2, self.projection = clap.caption_encoder.base, clap.caption_encoder.projection

    def forward(self, input_ids, attention_mask):
        hidden = self.gpt2(input_ids=input_ids, attention_mask=attention_mask)[0]
        last = (input_ids != 0).sum(-1) - 1
        pooled = hidden.gather(1, last[:, None, None].expand(-1, 1, hidden.shape[-1]))[:, 0]
        return self.projection(pooled)


def export_hf(model, tokenizer, settings, out):
    """Write a bundle of the family hf.

    Parameters
    ----------
    model : transformers.ClapModel
        Not fused, with attention "eager".
    tokenizer : transformers tokenizer
    settings : dict
        Of preprocessor_config.json.
    out : str or path-like
    """
    if model.config.audio_config.enable_fusion:
        sys.exit("a fused model (enable_fusion): acdref's teacher takes unfused ones only")
    out = _folder(out, "onnx")
    model.eval()
    (out / "preprocessor_config.json").write_text(json.dumps(settings, indent=2) + "\n")
    tokenizer.backend_tokenizer.save(str(out / "tokenizer.json"))
    front_end = HfFrontEnd.of_settings(settings, "preprocessor_config.json")
    rng = np.random.default_rng(0)
    features = torch.tensor(
        np.concatenate([front_end.inputs(rng.uniform(-a, a, n).astype(np.float32)) for a, n in _SOUNDS])
    )
    ids = torch.tensor([tokenizer(PROBE_TEXT)["input_ids"]]).repeat(4, 1)
    ids[1:, 1:-1] = torch.tensor(rng.integers(4, model.config.text_config.vocab_size, (3, ids.shape[1] - 2)))
    mask = torch.ones_like(ids)
    batch, length = {0: "batch"}, {0: "batch", 1: "length"}
    _export(
        HfAudio(model), {"input_features": (features, batch)}, ["audio_embeds"], out / "onnx/audio_model.onnx"
    )
    text = {"input_ids": (ids, length), "attention_mask": (mask, length)}
    _export(HfText(model), text, ["text_embeds"], out / "onnx/text_model.onnx")
    full = {
        "input_ids": text["input_ids"],
        "input_features": (features, batch),
        "attention_mask": (mask, length),
    }
    outputs = ["logits_per_audio", "logits_per_text", "text_embeds", "audio_embeds"]
    _export(HfFull(model), full, outputs, out / "onnx/model.onnx")
    scale = model.logit_scale_a.exp().item()
    sound = torch.tensor(front_end.inputs(probe_sound(front_end.samples)))
    tests = {"audio_embeds": HfAudio(model)(sound), "text_embeds": HfText(model)(ids[:1], mask[:1])}
    _describe(out, "hf", scale, front_end, tests, ids[:1])


def export_msclap(clap, tokenizer, out):
    """Write a bundle of the family msclap.

    Parameters
    ----------
    clap : msclap.models.clap.CLAP
    tokenizer : transformers GPT-2 tokenizer
    out : str or path-like
    """
    htsat = _msclap("htsat")
    # As published, the batch that was traced would be a constant of the graph.
    htsat.window_reverse = _window_reverse
    out, front_end = _folder(out), MsclapFrontEnd()
    clap.eval()
    tokenizer.backend_tokenizer.save(str(out / "tokenizer.json"))
    rng = np.random.default_rng(0)
    waveforms = torch.tensor(
        np.concatenate([front_end.inputs(rng.uniform(-a, a, n).astype(np.float32)) for a, n in _SOUNDS])
    )
    texts = [PROBE_TEXT, "rain", "a car that passes by on a wet road", "music"]
    ids = torch.zeros((4, MOST_TOKENS), dtype=torch.int64)
    for row, text in zip(ids, texts, strict=True):
        tokens = tokenizer(text + " <|endoftext|>")["input_ids"]
        row[: len(tokens)] = torch.tensor(tokens)
    mask = (ids != 0).long()
    batch = {0: "batch"}
    _export(MsclapAudio(clap), {"waveform": (waveforms, batch)}, ["audio_embeds"], out / "audio_model.onnx")
    text = {"input_ids": (ids, batch), "attention_mask": (mask, batch)}
    _export(MsclapText(clap), text, ["text_embeds"], out / "text_model.onnx")
    sound = torch.tensor(front_end.inputs(probe_sound(front_end.samples)))
    tests = {"audio_embeds": MsclapAudio(clap)(sound), "text_embeds": MsclapText(clap)(ids[:1], mask[:1])}
    _describe(out, "msclap", clap.logit_scale.exp().item(), front_end, tests, ids[:1])


def _msclap(name):
    """A module of msclap.models, without msclap's own front end, which wants torchaudio."""
    if "msclap" not in sys.modules:
        package = types.ModuleType("msclap")
        package.__path__ = importlib.util.find_spec("msclap").submodule_search_locations
        sys.modules["msclap"] = package
    return importlib.import_module(f"msclap.models.{name}")


_SOUNDS = ((1.0, 48000), (0.01, 300000), (0.3, 100001), (0.1, 7))  # level, samples


def _window_reverse(windows, window_size, H, W):
    x = windows.reshape(-1, H // window_size, W // window_size, window_size, window_size, windows.shape[-1])
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, H, W, windows.shape[-1])


def _folder(out, *inside):
    out = Path(out)
    Path(out, *inside).mkdir(parents=True, exist_ok=True)
    return out


def _export(module, inputs, outputs, path):
    """Export with a batch of 2 and compare with torch at batches of 1 to 4."""
    module.eval()  # of the wrapper: the exporter would put it into training mode, and dropout into the graph
    tensors = {name: tensor for name, (tensor, _) in inputs.items()}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a trace warns of every Python number that it met
        torch.onnx.export(
            module,
            tuple(tensor[:2] for tensor in tensors.values()),
            str(path),
            input_names=list(inputs),
            output_names=outputs,
            dynamic_axes={name: axes for name, (_, axes) in inputs.items()}
            | {name: {0: "batch"} for name in outputs if "embeds" in name},
            opset_version=OPSET,
            dynamo=False,
        )
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for size in range(1, 5):
        some = {name: tensor[:size] for name, tensor in tensors.items()}
        with torch.no_grad():
            expected = module(*some.values())
        expected = expected if isinstance(expected, tuple) else (expected,)
        found = session.run(outputs, {name: tensor.numpy() for name, tensor in some.items()})
        for name, a, b in zip(outputs, found, expected, strict=True):
            b = b.numpy()
            if a.shape != b.shape or 1 - _cosine(a, b).min() > TOLERANCE:
                path.unlink()
                sys.exit(
                    f"{path.name}: {name} differs from torch at a batch of {size}; nothing was described"
                )
    print(
        f"{path.name}: {path.stat().st_size / 1e6:.1f} MB, equals torch at batches of 1 to 4", file=sys.stderr
    )


def _cosine(a, b):
    a, b = a.astype(np.float64), b.astype(np.float64)
    return (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


def _describe(out, family, scale, front_end, tests, ids):
    """Write clap_bundle.json, by which a bundle is known to be whole, and right on another machine."""
    files = sorted(
        p for p in out.rglob("*") if p.is_file() and p.name not in ("clap_bundle.json", "prompts.npz")
    )
    description = {
        "format": FORMAT,
        "family": family,
        "logit_scale": scale,
        "sampling_rate": front_end.rate,
        "duration": front_end.samples / front_end.rate,
        "selftest": {"input_ids": ids[0].tolist()}
        | {name: [float(f"{v:.8g}") for v in tensor[0].tolist()] for name, tensor in tests.items()},
        "sha256": {str(p.relative_to(out)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files},
    }
    write_text(out / "clap_bundle.json", json.dumps(description, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("family", choices=["hf", "msclap"])
    parser.add_argument("checkpoint", help="folder or name on the hub (hf), CLAP_weights_2023.pth (msclap)")
    parser.add_argument("out", help="folder of the bundle")
    parser.add_argument("--gpt2", default="gpt2", help="msclap: GPT-2's folder or name on the hub")
    options = parser.parse_args()
    import transformers

    if options.family == "hf":
        model = transformers.ClapModel.from_pretrained(options.checkpoint, attn_implementation="eager")
        extractor = transformers.ClapFeatureExtractor.from_pretrained(options.checkpoint)
        tokenizer = transformers.AutoTokenizer.from_pretrained(options.checkpoint)
        export_hf(model, tokenizer, extractor.to_dict(), options.out)
    else:
        clap = load_msclap(options.checkpoint, transformers.GPT2Config.from_pretrained(options.gpt2))
        export_msclap(clap, transformers.AutoTokenizer.from_pretrained(options.gpt2), options.out)


def load_msclap(checkpoint, gpt2):
    """MS-CLAP 2023 with the weights of a checkpoint, which hold those of its GPT-2 too.

    Parameters
    ----------
    checkpoint : str or path-like
    gpt2 : transformers.GPT2Config
    """
    clap = build_msclap(gpt2)
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["model"]
    missing, _ = clap.load_state_dict(state, strict=False)
    # Masks and position numbers are buffers that older versions stored.
    missing = [
        name for name in missing if not name.endswith((".bias", ".masked_bias")) or ".attn." not in name
    ]
    if missing:
        sys.exit(f"{checkpoint}: no MS-CLAP 2023 checkpoint; it lacks {', '.join(missing[:3])}, ...")
    return clap


def build_msclap(gpt2):
    """MS-CLAP 2023 with random weights."""
    import transformers

    clap = _msclap("clap")
    gpt2._attn_implementation = "eager"
    # Its constructor would download GPT-2, whose weights the checkpoint replaces.
    clap.AutoModel = type(
        "", (), {"from_pretrained": staticmethod(lambda name: transformers.GPT2Model(gpt2))}
    )
    return clap.CLAP(
        audioenc_name="HTSAT",
        sample_rate=44100,
        window_size=1024,
        hop_size=320,
        mel_bins=64,
        fmin=50,
        fmax=8000,
        classes_num=527,
        out_emb=768,
        text_model="gpt2",
        transformer_embed_dim=gpt2.n_embd,
        d_proj=1024,
    )


if __name__ == "__main__":
    main()
