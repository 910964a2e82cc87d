// What stands before and behind CLAP's audio and text encoders.

import { at, indices, matrix, row, sum, vector } from "./arrays.js";
import { circle, hann, transform } from "./fourier.js";

/** First samples of windows of a size that cover n samples, evenly spread. */
export function windowStarts(n, size) {
  const count = Math.ceil(n / size);
  if (count === 1) return [0];
  const half = Math.floor((count - 1) / 2);
  return indices(count).map((i) => Math.floor((i * (n - size) + half) / (count - 1)));
}

/** Samples up to a size: "repeatpad" (whole copies, then zeros), "repeat" (the last one cut) or "pad". */
export function padded(samples, size, padding) {
  const copies = { repeatpad: Math.floor(size / samples.length), repeat: Infinity, pad: 1 }[padding];
  return vector(size, (t) => (t < copies * samples.length ? samples[t % samples.length] : 0));
}

const BREAK = Math.log(6.4) / 27; // slaney: straight up to 1000 Hz or 15 mel, logarithmic above
const SLANEY = {
  mel: (f) => (f < 1000 ? (3 * f) / 200 : 15 + Math.log(f / 1000) / BREAK),
  hertz: (m) => (m < 15 ? (200 * m) / 3 : 1000 * Math.exp((m - 15) * BREAK)),
};
const HTK = {
  mel: (f) => 2595 * Math.log10(1 + f / 700),
  hertz: (m) => 700 * (10 ** (m / 2595) - 1),
};

/** (bands, nFft / 2 + 1): triangles, of slaney's scale and area, or of htk's and height 1. */
export function filterbank({ rate, nFft, bands, fmin, fmax, slaney }) {
  const { mel, hertz } = slaney ? SLANEY : HTK;
  const [first, last] = [mel(fmin), mel(fmax)];
  const corners = indices(bands + 2).map((i) => hertz(first + (i * (last - first)) / (bands + 1)));
  return matrix(bands, nFft / 2 + 1, (i, k) => {
    const [a, b, c] = corners.slice(i, i + 3);
    const f = (k * rate) / nFft;
    return Math.max(0, Math.min((f - a) / (b - a), (c - f) / (c - b))) * (slaney ? 2 / (c - a) : 1);
  });
}

/** Log-mel spectrogram (1 + window // hop, bands), dB, of samples; options are the filterbank's, too. */
export function logMel(samples, options) {
  const { window, nFft, hop, bands, padding } = options;
  const sound = padded(samples, window, padding);
  const mirrored = (t) => sound[t < 0 ? -t : t < window ? t : 2 * (window - 1) - t];
  const filters = filterbank(options);
  const [turns, weights] = [circle(nFft), hann(nFft)];
  const frames = indices(1 + Math.floor(window / hop)).map((t) => {
    const re = weights.map((weight, n) => weight * mirrored(t * hop - nFft / 2 + n));
    const im = new Float64Array(nFft);
    transform(re, im, turns);
    return re.map((value, f) => value ** 2 + im[f] ** 2);
  });
  const triangles = indices(bands).map((i) => row(filters, i));
  return matrix(frames.length, bands, (t, i) => {
    let power = 0;
    for (let f = 0; f <= nFft / 2; f++) power += triangles[i][f] * frames[t][f];
    return 10 * Math.log10(Math.max(1e-10, power));
  });
}

const WORDS = new RegExp(
  ["'s|'t|'re|'ve|'m|'ll|'d", " ?\\p{L}+", " ?\\p{N}+", " ?[^\\p{White_Space}\\p{L}\\p{N}]+"]
    .concat(["\\p{White_Space}+(?!\\P{White_Space})", "\\p{White_Space}+"]) // JavaScript's \s is another set
    .join("|"),
  "gu",
);

const printable = (byte) => (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte !== 0xad);
const OTHERS = indices(256).filter((byte) => !printable(byte));
const CHARACTERS = indices(256).map((byte) =>
  String.fromCodePoint(printable(byte) ? byte : 0x100 + OTHERS.indexOf(byte)),
);

/**
 * Byte-level byte-pair encoding: a function from text to ids.  vocabulary and added are objects from token to
 * id, merges a list of pairs, strips a list of added tokens that swallow the white space before them.
 */
export function tokenizer(vocabulary, merges, added, strips, prefixSpace = false) {
  const ranks = new Map(merges.map((pair, rank) => [pair.join(" "), rank]));

  const pieces = (word) => {
    const tokens = Array.from(new TextEncoder().encode(word), (byte) => CHARACTERS[byte]);
    for (;;) {
      const found = tokens.slice(1).map((second, i) => ranks.get(`${tokens[i]} ${second}`) ?? Infinity);
      const best = Math.min(...found);
      if (best === Infinity) return tokens;
      const i = found.indexOf(best);
      tokens.splice(i, 2, tokens[i] + tokens[i + 1]);
    }
  };

  const plain = (text) => {
    const spaced = prefixSpace && text !== "" && !text.startsWith(" ") ? ` ${text}` : text;
    return (spaced.match(WORDS) ?? []).flatMap(pieces).map((token) => vocabulary[token]);
  };

  const longestFirst = Object.keys(added).sort((a, b) => b.length - a.length);
  const ids = (text) => {
    for (let i = 0; i < text.length; i++) {
      const token = longestFirst.find((one) => text.startsWith(one, i));
      if (token === undefined) continue;
      const before = text.slice(0, i);
      const kept = strips.includes(token) ? before.replace(/\p{White_Space}+$/u, "") : before;
      return [...plain(kept), added[token], ...ids(text.slice(i + token.length))];
    }
    return plain(text);
  };
  return Object.assign(ids, { id: (token) => added[token] ?? vocabulary[token] });
}

/** At most 77 ids between <s> and </s>, these included. */
export const promptHf = (tokens, text) => [tokens.id("<s>"), ...tokens(text).slice(0, 75), tokens.id("</s>")];

/** 77 ids, filled up with 0. */
export function promptMsclap(tokens, text) {
  const ids = tokens(`${text} <|endoftext|>`);
  return indices(77).map((i) => ids[i] ?? 0);
}

const unit = (values) => {
  const length = Math.hypot(...values);
  return values.map((value) => value / length);
};

const meanRow = (rows) => Float64Array.from(rows[0], (_, d) => sum(rows.map((one) => one[d])) / rows.length);

/** Embeddings of a sound (windows (K, D)), of classes (prompts (P, D), classes (P,)), and their cosines. */
export function embeddings(windows, prompts, classes) {
  const rows = (a) => indices(a.shape[0]).map((n) => Float64Array.from(row(a, n)));
  const audio = unit(meanRow(rows(windows)));
  const units = rows(prompts).map(unit);
  const ofClass = indices(Math.max(...classes) + 1).map((c) =>
    unit(meanRow(units.filter((_, p) => classes[p] === c))),
  );
  const text = matrix(ofClass.length, audio.length, (c, d) => ofClass[c][d]);
  return {
    audio,
    text,
    cosines: vector(ofClass.length, (c) => sum(audio.map((value, d) => value * at(text, c, d)))),
  };
}
