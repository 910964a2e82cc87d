// node tags.js MODEL.onnx SAMPLES.npy: number and probability of each class in samples (n,) at 16 kHz.
//
// The model is that of `acdref export --onnx MODEL.onnx`, with or without --front-end.

import * as acdnet from "./acdnet.js";
import { command, readArray, readBytes } from "./command.js";

await command("tags.js MODEL.onnx SAMPLES.npy", 2, async (model, samples) => {
  const { data } = readArray(samples);
  const network = await acdnet.load(readBytes(model));
  const probabilities = await acdnet.tag(network, Float32Array.from(data));
  probabilities.forEach((probability, c) => console.log(`${c}\t${probability.toFixed(6)}`));
});
