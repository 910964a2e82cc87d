// ACDnet as `acdref export --onnx` writes it, run by onnxruntime-web: in node, and in a browser.

import * as ort from "onnxruntime-web/wasm";

import { features } from "./features.js";

const WINDOW = 160000; // samples that the network hears at a time, 10 s

ort.env.wasm.numThreads = 1; // more need a page that is isolated from other origins

/** Network of a model: the bytes of the file, or in a browser its address. */
export const load = (model) => ort.InferenceSession.create(model, { executionProviders: ["wasm"] });

/** Logits and probabilities (N, classes) of { shape, data }, data a Float32Array: what the model takes. */
export async function run(network, { shape, data }) {
  const answer = await network.run({ [network.inputNames[0]]: new ort.Tensor("float32", data, shape) });
  const array = ({ dims, data }) => ({ shape: [...dims], data });
  return { logits: array(answer.logits), probabilities: array(answer.probabilities) };
}

/** A window as the network hears it: without the samples' mean, and repeated up to 10 s. */
export function prepared(samples) {
  const mean = samples.reduce((sum, x) => sum + x, 0) / samples.length;
  const length = Math.max(samples.length, WINDOW);
  return Float32Array.from({ length }, (_, i) => samples[i % samples.length] - mean);
}

/** Probabilities (classes,) of a window of samples at 16 kHz; the model may have the front end or not. */
export async function tag(network, samples) {
  if (samples.length === 0) throw new Error("the sound has no samples");
  const window = prepared(samples);
  const one = network.inputNames[0] === "waveform" ? { shape: [window.length], data: window } : features(window);
  const { probabilities } = await run(network, { shape: [1, ...one.shape], data: one.data });
  return probabilities.data;
}
