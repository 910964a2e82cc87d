"""`acdref export`: the network for other runtimes."""

import click

from acdref.commands._options import PATH, option, weights_option
from acdref.commands._output import check_output


@click.command(short_help="Write the network as an ONNX model.")
@option("--onnx path", PATH, "The model to write.", required=True, metavar="FILE")
@weights_option
@option("--front-end", bool, "Take waveforms: put what comes before the network into the model.")
@option(
    "--front-end-as form",
    ("stft", "conv"),
    "How, implies --front-end: the STFT of ONNX in float64, or a convolution in float32 for runtimes without "
    "it  [default: stft]",
)
@option(
    "--precision",
    ("float32", "float16", "int8"),
    "In which the model keeps its weights: half or a third of the size; all is computed in float32",
    default="float32",
)
@option(
    "--licence", str, "Of the weights, for the metadata  [default: MIT for those shipped]", metavar="TEXT"
)
def command(path, weights, front_end, form, precision, licence):
    """Write the network as an ONNX model, for any number of clips of any length.

    \b
    Input, float32, as the network's front end makes it:
      acdnet        features   (clips, frames, 257, 2), or with --front-end
                    waveform   (clips, samples) at 16 kHz
      vgg-gap       features   (clips, frames, 128)
      conv1d        waveform   (clips, samples) at 8 kHz, with or without --front-end
      resnet50      features   (clips, patches, 96, 64)
      mobilenetv2   features   (clips, frames, 64)
    Outputs, float32 (clips, classes):
      logits, probabilities

    acdref predict takes away the mean of each window of 10 s, repeats what is shorter up to 10 s, and
    averages the windows of a recording by duration. With --front-end the model does the first two itself;
    without, they are left to its caller. docs/onnx.md has programs in Python and JavaScript that give
    predict's numbers.

    Batch normalisation is folded. The model's metadata (schema acdref.onnx/1) say what a caller must know:
    classes (a JSON list, in the order of the outputs), network, front_end (a name in
    acdref.features.front_ends), front_end_in_model, sample_rate, hop, the shortest clip as min_frames and
    min_samples, window_seconds, window_samples, mean, shorter, longer, prepared_by, output (sigmoid or
    softmax), input, outputs, precision, licence, the version of acdref, and for acdnet frame and exponent.

    Where onnxruntime is installed, the model is run by it, and is only written if its logits are within 1e-5
    of acdref's (1e-2 with --precision float16, 0.1 with int8). Needs the package onnx: pip install
    'acdref[onnx]'.

    \b
    Examples:
      acdref export --onnx acdnet.onnx
      acdref export --onnx tagger.onnx --front-end --weights run/best.npz
      acdref export --onnx openvino.onnx --front-end-as conv
      acdref export --onnx small.onnx --front-end --precision int8

    \b
    Exit codes: 0 success; 1 no model was written (one line on stderr says why); 2 wrong usage.
    """
    from acdref.checkpoint import load_weights
    from acdref.files import weights_file
    from acdref.nets.onnx import export_onnx, input_of

    check_output(path, weights_file(weights), flag="--onnx")
    net, meta = load_weights(weights, backend="numpy")
    front_end = form or front_end
    licence = licence or (None if weights_file(weights) == weights else "MIT")
    difference = export_onnx(path, net, meta["classes"], front_end, licence, precision)
    if difference is None:
        verdict = "not checked: onnxruntime is not installed"
    else:
        verdict = f"onnxruntime agrees with acdref to {difference:.0e}"
    name, _ = input_of(net, front_end)
    click.echo(f"{path}: {name.removesuffix('s')}s to tags ({verdict})")
