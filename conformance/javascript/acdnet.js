// ACDnet as `acdref export --onnx` writes it, run by onnxruntime-web: in node, and in a browser.

import * as ort from "onnxruntime-web/wasm";

import { features } from "./features.js";

ort.env.wasm.numThreads = 1; // more need a page that is isolated from other origins

/** Network of a model: the bytes of the file, or in a browser its address. */
export const load = (model) => ort.InferenceSession.create(model, { executionProviders: ["wasm"] });

/** Logits and probabilities (N, classes) of { shape, data }, data a Float32Array: what the model takes. */
export async function run(network, { shape, data }) {
  const answer = await network.run({ [network.inputNames[0]]: new ort.Tensor("float32", data, shape) });
  const array = ({ dims, data }) => ({ shape: [...dims], data });
  return { logits: array(answer.logits), probabilities: array(answer.probabilities) };
}

/** Probabilities (classes,) of samples at 16 kHz, a Float32Array; the model may have the front end or not. */
export async function tag(network, samples) {
  const one =
    network.inputNames[0] === "waveform" ? { shape: [samples.length], data: samples } : features(samples);
  const { probabilities } = await run(network, { shape: [1, ...one.shape], data: one.data });
  return probabilities.data;
}
