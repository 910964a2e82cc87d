// Label rules: joining, mixing, correction by a teacher, CLAP's cosines, counts.  A label is 0, 1 or NaN.
//
// y are labels (N, C), p scores (N, C): { shape, data }.  docs/conformance.md has the rules.

import { at, column, indices, known, map, matrix, row, sum, vector } from "./arrays.js";
import { normalQuantile } from "./metrics.js";

// Joining and mixing

/** The largest label in the order 0 < NaN < 1. */
export function join(labels) {
  if (labels.some((label) => label === 1)) return 1;
  return labels.some(Number.isNaN) ? NaN : 0;
}

/** Labels (...) of the mixture of clips (I, ...). */
export function orJoin({ shape: [clips, ...shape], data }) {
  const places = data.length / clips;
  return { shape, data: vector(places, (i) => join(indices(clips).map((clip) => data[clip * places + i]))) };
}

const mixedLabel = (first, second, weight) =>
  weight === 1 ? first : weight === 0 ? second : weight * first + (1 - weight) * second;

/** weight[n] is the share of first's row n. */
export const mixup = (first, second, weight) =>
  map(first, (label, n, c, i) => mixedLabel(label, second.data[i], weight[n]));

/** Rows n and N - 1 - n mixed. */
export const mixupReversed = (batch, weights) =>
  map(batch, (label, n, c) => mixedLabel(label, at(batch, batch.shape[0] - 1 - n, c), weights[n]));

/** Rows 2n and 2n + 1 mixed; an odd batch stays as it is. */
export function mixupAdjacent(batch, weights) {
  const [rows, columns] = batch.shape;
  if (rows % 2) return batch;
  return matrix(rows / 2, columns, (n, c) =>
    mixedLabel(at(batch, 2 * n, c), at(batch, 2 * n + 1, c), weights[n]),
  );
}

/** Sources (I, T) at gains in dB, and their sum. */
export function applyGains(sources, gains) {
  const scaled = map(sources, (sample, i) => 10 ** (gains[i] / 20) * sample);
  return { scaled, mixture: vector(sources.shape[1], (t) => sum(column(scaled, t))) };
}

// Correction and masking by a teacher

/** Missing labels, with fp also wrong ones, corrected where the teacher is sure; with mask, doubt is NaN. */
export function correctLabels(y, p, { T, fp, mask, literal }) {
  const sure = 1 - T;
  return map(y, (label, n, c, i) => {
    const score = p.data[i];
    const doubtful = mask ? NaN : label;
    if (label === 0 && score > sure) return 1;
    if (label === 0 && score > 0.5 && !(literal && score === sure)) return doubtful;
    if (label === 1 && fp && score < T) return 0;
    if (label === 1 && fp && score < 0.5 && !(literal && score === T)) return doubtful;
    return label;
  });
}

/** Quantile r of values in ascending order. */
function quantile(s, r) {
  const h = r * (s.length - 1);
  const i = Math.floor(h);
  const g = h - i;
  const j = Math.min(i + 1, s.length - 1);
  return g < 0.5 ? s[i] + g * (s[j] - s[i]) : s[j] - (1 - g) * (s[j] - s[i]);
}

/** The middle of values in ascending order. */
const median = (s) => (s[Math.ceil(s.length / 2) - 1] + s[Math.floor(s.length / 2)]) / 2;

const STATISTICS = {
  mean: (s) => Math.min(Math.max(sum(s) / s.length, s[0]), s[s.length - 1]),
  median,
  p25: (s) => quantile(s, 0.25),
  p10: (s) => quantile(s, 0.1),
  p5: (s) => quantile(s, 0.05),
};

/** For each class a statistic of its scores, ascending, where y is label; NaN without any. */
function scoreStatistic(y, p, label, statistic) {
  return vector(y.shape[1], (c) => {
    const scores = known(column(p, c).filter((_, n) => at(y, n, c) === label)).sort();
    return scores.length ? statistic(scores) : NaN;
  });
}

export const percentileThresholds = (y, p, q) => scoreStatistic(y, p, 0, (s) => quantile(s, 1 - q));

/** statistic: "mean", "median", "p25", "p10" or "p5" of the positives' scores. */
export const positiveThresholds = (y, p, statistic) => scoreStatistic(y, p, 1, STATISTICS[statistic]);

/** 1 for negatives among the candidates (all, if not given) whose score is above their class's threshold. */
export const aboveThreshold = (y, p, thresholds, candidates) =>
  map(y, (label, n, c, i) => +(label === 0 && (candidates?.data[i] ?? 1) === 1 && p.data[i] > thresholds[c]));

/** Labels with another one where flags is 1. */
const relabel = (y, flags, label) => map(y, (old, n, c, i) => (flags.data[i] ? label : old));

export const percentileMask = (y, p, q) =>
  relabel(y, aboveThreshold(y, p, percentileThresholds(y, p, q)), NaN);
export const percentileCorrect = (y, p, q) =>
  relabel(y, aboveThreshold(y, p, percentileThresholds(y, p, q)), 1);
export const meanThresholdCorrect = (y, p, candidates, statistic) =>
  relabel(y, aboveThreshold(y, p, positiveThresholds(y, p, statistic), candidates), 1);

// From CLAP's cosines to labels

/** Softmax of scale * cosine over classes and background prompts, of which the classes are kept. */
export function clapProbabilities(cosines, scale, background) {
  const [clips, classes] = cosines.shape;
  const rows = indices(clips).map((n) => {
    const all = [...row(cosines, n), ...row(background, n)];
    const largest = Math.max(...all); // NaN if one is
    const powers = all.map((cosine) => Math.exp(scale * (cosine - largest)));
    return powers.map((power) => power / sum(powers));
  });
  return matrix(clips, classes, (n, c) => rows[n][c]);
}

/** 1 above the threshold, 0 not above it, NaN where one of both is NaN. */
const decide = (score, threshold) => (Number.isNaN(score + threshold) ? NaN : +(score > threshold));

export const clapLabels = (cosines, scale, background, threshold) =>
  map(clapProbabilities(cosines, scale, background), (score) => decide(score, threshold));

export const thresholdLabels = (scores, thresholds) =>
  map(scores, (score, n, c) => decide(score, thresholds[c]));

/** Distance from the class's median, in units of 1.4826 median absolute deviations. */
export function robustZScores(cosines) {
  const classes = indices(cosines.shape[1]).map((c) => {
    const values = known(column(cosines, c)).sort();
    const middle = median(values);
    return [middle, 1.4826 * median(values.map((value) => Math.abs(value - middle)).sort())];
  });
  return map(cosines, (cosine, n, c) => {
    const [middle, spread] = classes[c];
    return cosine === middle ? 0 : (cosine - middle) / spread;
  });
}

// Counts and odds

export const classPriors = (y) =>
  vector(y.shape[1], (c) => {
    const labels = known(column(y, c));
    return sum(labels) / labels.length;
  });

/** Tables (C, D, 2, 2) of clips where both are known: [[both, condition alone], [outcome alone, neither]]. */
export function contingency(condition, outcome) {
  const shape = [condition.shape[1], outcome.shape[1], 2, 2];
  const data = new Float64Array(4 * shape[0] * shape[1]);
  map(condition, (first, n, c) =>
    row(outcome, n).forEach((second, d) => {
      if (!Number.isNaN(first + second)) data[4 * (c * shape[1] + d) + 2 * (1 - first) + (1 - second)] += 1;
    }),
  );
  return { shape, data };
}

/** Of tables (K, 2, 2); haldane adds 1/2 to every cell. */
export function oddsRatio({ shape: [tables], data }, haldane, confidence) {
  const z = normalQuantile(0.5 + confidence / 2);
  const cells = indices(tables).map((k) =>
    Array.from(data.subarray(4 * k, 4 * k + 4), (n) => n + (haldane ? 0.5 : 0)),
  );
  const ratio = cells.map(([a, b, c, d]) => (a * d) / (b * c));
  const margin = cells.map((cell) => z * Math.sqrt(sum(cell.map((n) => 1 / n))));
  return {
    ratio,
    low: ratio.map((value, k) => Math.exp(Math.log(value) - margin[k])),
    high: ratio.map((value, k) => Math.exp(Math.log(value) + margin[k])),
  };
}

/** How many wrong labels were repaired or masked, and how many right ones harmed or lost. */
export function repairCounts(truth, noisy, repaired) {
  const count = { errors: 0, repaired: 0, masked: 0, harmed: 0, lost: 0 };
  truth.data.forEach((right, i) => {
    const [before, after] = [noisy.data[i], repaired.data[i]];
    if (Number.isNaN(right + before)) return;
    const unknown = Number.isNaN(after);
    if (right !== before) {
      count.errors += 1;
      count.repaired += after === right;
      count.masked += unknown;
    } else {
      count.harmed += !unknown && after !== right;
      count.lost += unknown;
    }
  });
  return count;
}

/** Entries that are 1 or NaN: those of row n are indptr[n] ... indptr[n + 1] - 1. */
export function sparse(y) {
  const answer = { indptr: [0], indices: [], unknown: [] };
  for (const n of indices(y.shape[0])) {
    row(y, n).forEach((label, c) => {
      if (label === 0) return;
      answer.indices.push(c);
      answer.unknown.push(+Number.isNaN(label));
    });
    answer.indptr.push(answer.indices.length);
  }
  return answer;
}
