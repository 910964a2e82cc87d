// Metrics of labels y (N, C), 0, 1 or NaN, and scores p (N, C): { shape, data }.
//
// weight (N, C) are weights of the pairs, none below 0.  A pair without label or weight takes no part.

import { at, column, indices, map, mean, row, sum, vector } from "./arrays.js";

/** The pairs of a class that take part. */
const pairs = (y, p, weight, c) =>
  indices(y.shape[0])
    .map((n) => ({ label: at(y, n, c), score: at(p, n, c), weight: at(weight, n, c) }))
    .filter((pair) => !Number.isNaN(pair.label) && pair.weight > 0);

/** value(pairs that take part, class) for each class. */
const byClass = (y, p, weight, value) => vector(y.shape[1], (c) => value(pairs(y, p, weight, c), c));

const mass = (list) => sum(list.map((pair) => pair.weight));

/** Masses { score, positive, negative } of the pairs that have the same score, highest first. */
function tied(list) {
  const groups = new Map();
  for (const { label, score, weight } of list) {
    if (!groups.has(score)) groups.set(score, { score, positive: 0, negative: 0 });
    groups.get(score)[label === 1 ? "positive" : "negative"] += weight;
  }
  return [...groups.values()].sort((a, b) => (a.score < b.score ? 1 : -1));
}

/** AP of each class, `undefined_` without positives, and their mean. */
export function averagePrecision(y, p, weight, undefined_ = NaN) {
  const ap = byClass(y, p, weight, (list) => {
    const positives = mass(list.filter((pair) => pair.label === 1));
    if (positives === 0) return undefined_;
    let [found, seen, area] = [0, 0, 0];
    for (const { positive, negative } of tied(list)) {
      found += positive;
      seen += positive + negative;
      area += positive * (found / seen);
    }
    return area / positives;
  });
  return { ap, mean: mean(ap) };
}

/** Area under the ROC curve of each class; a tie counts 1/2. */
export const rocAuc = (y, p, weight) =>
  byClass(y, p, weight, (list) => {
    let [above, won, negatives] = [0, 0, 0];
    for (const { positive, negative } of tied(list)) {
      won += negative * (above + positive / 2);
      above += positive;
      negatives += negative;
    }
    return won / (above * negatives);
  });

/** Weights by which both pools of a class's negatives weigh the same; explicit marks those of the second. */
export function balanceNegatives(y, explicit) {
  const pools = indices(y.shape[1]).map((c) => {
    const sizes = [0, 0];
    column(y, c).forEach((label, n) => (sizes[at(explicit, n, c)] += label === 0));
    return sizes;
  });
  return map(y, (label, n, c, i) => {
    const [first, second] = pools[c];
    if (label !== 0 || first === 0 || second === 0) return 1;
    return (first + second) / (2 * pools[c][explicit.data[i]]);
  });
}

const A = [
  -3.969683028665376e1, 2.209460984245205e2, -2.759285104469687e2, 1.38357751867269e2, -3.066479806614716e1,
  2.506628277459239,
];
const B = [
  -5.447609879822406e1, 1.615858368580409e2, -1.556989798598866e2, 6.680131188771972e1, -1.328068155288572e1,
  1,
];
const C = [
  -7.784894002430293e-3, -3.223964580411365e-1, -2.400758277161838, -2.549732539343734, 4.374664141464968,
  2.938163982698783,
];
const D = [7.784695709041462e-3, 3.224671290700398e-1, 2.445134137142996, 3.754408661907416, 1];

const polynomial = (coefficients, x) =>
  coefficients.reduce((value, coefficient) => value * x + coefficient, 0);

/** Standard normal quantile of x in [0, 1], by Acklam: relative error 1.2e-9. */
export function normalQuantile(x) {
  if (x === 0 || x === 1) return x === 0 ? -Infinity : Infinity;
  if (x > 0.97575) return -normalQuantile(1 - x);
  if (x < 0.02425) {
    const v = Math.sqrt(-2 * Math.log(x));
    return polynomial(C, v) / polynomial(D, v);
  }
  const u = x - 0.5;
  return (u * polynomial(A, u * u)) / polynomial(B, u * u);
}

/** d' of areas under the ROC curve, of their mean, and the mean d'. */
export function dPrime(auc) {
  const one = (area) => Math.SQRT2 * normalQuantile(area);
  const values = auc.map(one);
  return { dPrime: values, ofMean: one(mean(auc)), mean: mean(values) };
}

const detected = (pair, threshold) => pair.score > threshold;

/** Share of right decisions of each class, and the mean. */
export function accuracy(y, p, weight, threshold) {
  const values = byClass(y, p, weight, (list, c) => {
    return mass(list.filter((pair) => detected(pair, threshold[c]) === (pair.label === 1))) / mass(list);
  });
  return { accuracy: values, mean: mean(values) };
}

/** F-score of each class, `undefined_` without positives and detections. */
export const fScore = (y, p, weight, threshold, beta = 1, undefined_ = NaN) =>
  byClass(y, p, weight, (list, c) => {
    const part = (label, found) =>
      mass(list.filter((pair) => pair.label === label && detected(pair, threshold[c]) === found));
    const right = (1 + beta ** 2) * part(1, true);
    const all = right + beta ** 2 * part(1, false) + part(0, true);
    return all === 0 ? undefined_ : right / all;
  });

/** Label-weighted label-ranking average precision; weight (N,) is of the clips, NaN labels count as 0. */
export function lwlrap(y, p, weight) {
  const precisions = new Float64Array(y.shape[1]);
  const masses = new Float64Array(y.shape[1]);
  map(y, (label, n, c) => {
    if (label !== 1) return;
    const notBelow = indices(y.shape[1]).filter((other) => at(p, n, other) >= at(p, n, c));
    precisions[c] += (weight[n] * notBelow.filter((other) => at(y, n, other) === 1).length) / notBelow.length;
    masses[c] += weight[n];
  });
  const total = sum(masses);
  return {
    values: precisions.map((precision, c) => (masses[c] ? precision / masses[c] : 0)),
    weights: masses.map((one) => (total ? one / total : 0)),
    lwlrap: sum(precisions) / total,
  };
}

/** Of classes (N, A) and predictions (N, P), best first, both filled up with -1. */
export function mapAtK(actual, predicted, k) {
  const values = vector(actual.shape[0], (n) => {
    const right = row(actual, n).filter((one) => one !== -1);
    if (right.length === 0) return 0;
    const given = row(predicted, n).subarray(0, k);
    let [hits, total] = [0, 0];
    for (let i = 0; i < given.length && given[i] !== -1; i++)
      if (right.includes(given[i]) && given.indexOf(given[i]) === i) total += ++hits / (i + 1);
    return total / Math.min(right.length, k);
  });
  return { values, mean: mean(values) };
}
