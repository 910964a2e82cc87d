// ACDnet's features: the compressed spectrogram of 16 kHz sound.

import { circle, hann, transform } from "./fourier.js";

export const WINDOW = 512;
export const HOP = 256;
export const EXPONENT = 0.3;
const BINS = WINDOW / 2 + 1;
const FLOOR = 1e-12; // of the power

const CIRCLE = circle(WINDOW);
const HANN = hann(WINDOW);

/** Whole windows in so many samples. */
export const frameCount = (samples) => (samples < WINDOW ? 0 : 1 + Math.floor((samples - WINDOW) / HOP));

/** Spectrum (T, 257, 2), real and imaginary parts, of samples. */
export function stft(audio) {
  const frames = frameCount(audio.length);
  const data = new Float64Array(frames * BINS * 2);
  for (let t = 0; t < frames; t++) {
    const re = HANN.map((weight, n) => weight * audio[HOP * t + n]);
    const im = new Float64Array(WINDOW);
    transform(re, im, CIRCLE);
    for (let f = 0; f < BINS; f++) data.set([re[f], im[f]], 2 * (t * BINS + f));
  }
  return { shape: [frames, BINS, 2], data };
}

/** Both parts of each number (..., 2) times factor(its power). */
function scale({ shape, data }, factor) {
  const scaled = new Float64Array(data.length);
  for (let i = 0; i < data.length; i += 2) {
    const by = factor(data[i] ** 2 + data[i + 1] ** 2);
    scaled.set([data[i] * by, data[i + 1] * by], i);
  }
  return { shape, data: scaled };
}

export const compress = (spectrum, exponent) =>
  scale(spectrum, (power) => Math.max(power, FLOOR) ** ((exponent - 1) / 2));

export const decompress = (compressed, exponent) =>
  scale(compressed, (power) => Math.max(power, FLOOR ** exponent) ** ((1 / exponent - 1) / 2));

/** Features (T, 257, 2), float32, of samples in [-1, 1]. */
export function features(audio) {
  const { shape, data } = compress(stft(audio), EXPONENT);
  return { shape, data: Float32Array.from(data) };
}
