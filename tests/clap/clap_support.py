"""Bundles for tests: the fixtures, copied so that a test may change them."""

import json
import shutil

import numpy as np

from acdref.files import resource

FAMILIES = ("hf", "msclap")


def bundle(folder, family="hf"):
    """A copy of a fixture."""
    source = resource("fixtures", f"clap_{family}")
    return shutil.copytree(source, folder / family, ignore=shutil.ignore_patterns("prompts.npz"))


def bare(folder):
    """A copy in the layout of a public export, which has no clap_bundle.json."""
    path = bundle(folder)
    (path / "clap_bundle.json").unlink()
    return path


def torch_says(family):
    """What torch made of the sounds and prompts of clap_sounds: audio, text, cosines, softmax, scale."""
    with np.load(resource("fixtures", "clap_torch.npz")) as file:
        return {name.split("/")[1]: file[name] for name in file.files if name.startswith(family + "/")}


def change(path, **values):
    """Change members of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def graph(path, inputs, outputs=("audio_embeds",), width=4, mixed=False):
    """Write a small graph whose outputs are sin(sum, maximum) of the first input, row by row, times a matrix.

    Parameters
    ----------
    inputs : dict of str to (onnx element type, shape)
    mixed : bool
        Whether rows depend on those before, as where a batch size is baked in.
    """
    from onnx import TensorProto, helper, save

    weights = np.concatenate([np.arange(1, width + 1), np.arange(width, 0, -1)]).astype(np.float32)
    nodes = [
        helper.make_node("Cast", [next(iter(inputs))], ["_x"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["_x"], ["_flat"], axis=1),
        helper.make_node("ReduceSum", ["_flat", "_one"], ["_sum"], keepdims=1),
        helper.make_node("ReduceMax", ["_flat"], ["_max"], keepdims=1, axes=[1]),
        helper.make_node("Concat", ["_sum", "_max"], ["_rows"], axis=1),
        helper.make_node("Sin", ["_rows"], ["_sin"]),
        helper.make_node("CumSum" if mixed else "Add", ["_sin", "_zero"], ["_mixed"]),
        helper.make_node("MatMul", ["_mixed", "_weights"], ["_y"]),
        *(helper.make_node("Identity", ["_y"], [name]) for name in outputs),
    ]
    constants = [
        helper.make_tensor("_one", TensorProto.INT64, [1], [1]),
        helper.make_tensor("_zero", TensorProto.INT32 if mixed else TensorProto.FLOAT, [], [0]),
        helper.make_tensor("_weights", TensorProto.FLOAT, [2, width], weights),
    ]
    declared = [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()]
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["b", width]) for name in outputs]
    made = helper.make_graph(nodes, "g", declared, results, constants)
    save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
