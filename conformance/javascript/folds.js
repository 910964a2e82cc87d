// Label rules on folds and verification: labels are here each clip's one class, a whole number.

import { at, indices, matrix, row, sum, vector } from "./arrays.js";

/** Mean (N, C) of the posteriors (K, N, C) of K networks. */
export function meanPosterior({ shape: [networks, clips, classes], data }) {
  const size = clips * classes;
  return matrix(
    clips,
    classes,
    (n, c, i) => sum(indices(networks).map((k) => data[k * size + i])) / networks,
  );
}

/** Spectrogram (F, T) repeated or cut to n frames. */
export const fixLength = (spec, n) => matrix(spec.shape[0], n, (f, t) => at(spec, f, t % spec.shape[1]));

/** 1 for verified clips, and for the cap clips of each class whose label the posteriors confirm best. */
export function verify(probs, labels, verified, threshold = -Infinity, cap = Infinity) {
  const score = vector(labels.length, (n) => at(probs, n, labels[n]));
  const qualified = indices(labels.length).filter((n) => {
    const scores = row(probs, n);
    const first = scores.indexOf(Math.max(...scores)); // -1 if one is NaN
    return !verified[n] && first === labels[n] && score[n] >= threshold;
  });
  const accepted = Float64Array.from(verified);
  for (const label of new Set(labels)) {
    const best = qualified.filter((n) => labels[n] === label).sort((a, b) => score[b] - score[a]);
    for (const n of best.slice(0, cap)) accepted[n] = 1;
  }
  return accepted;
}

/** Folds 0 ... nFolds - 1: each class in runs, verified clips by themselves; leftovers balanced or to 0. */
export function stratifiedFolds(labels, verified, nFolds, balanced) {
  const folds = new Float64Array(labels.length);
  for (const side of [1, 0]) {
    const clips = indices(labels.length).filter((n) => verified[n] === side);
    let done = 0;
    for (const label of new Set(clips.map((n) => labels[n]))) {
      const members = clips.filter((n) => labels[n] === label);
      const first = balanced ? done % nFolds : 0;
      const dealt = members.map((_, j) => (first + j) % nFolds).sort((a, b) => a - b); // runs, not in turn
      members.forEach((n, j) => (folds[n] = dealt[j]));
      done += members.length;
    }
  }
  return folds;
}
