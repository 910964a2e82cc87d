// node answers.js CASES ANSWERS [MODEL.onnx]: answers to the cases of `acdref conform export CASES`.
//
// With the model of `acdref export --onnx MODEL.onnx`, which has the shipped weights, to
// networks/acdnet/shipped too.

import fs from "node:fs";
import path from "node:path";

import { matrix } from "./arrays.js";
import * as clap from "./clap.js";
import { command, readArray, readBytes } from "./command.js";
import * as features from "./features.js";
import * as folds from "./folds.js";
import * as formats from "./formats.js";
import * as frames from "./frames.js";
import * as labels from "./labels.js";
import * as metrics from "./metrics.js";
import * as npy from "./npy.js";
import * as ontology from "./ontology.js";
import { resample } from "./resampling.js";

const RESAMPLING = { resample: (x) => ({ resampled: resample(x.audio, x.rate_in, x.rate_out) }) };

const FEATURES = {
  frame_count: (x) => ({ frames: x.samples.map(features.frameCount) }),
  stft: (x) => ({ spectrum: features.stft(x.audio) }),
  compress: (x) => ({ compressed: features.compress(x.spectrum, x.exponent) }),
  decompress: (x) => ({ spectrum: features.decompress(x.compressed, x.exponent) }),
  features: (x) => ({ features: features.features(x.audio) }),
};

const STATISTICS = ["mean", "median", "p25", "p10", "p5"];
const graph = (x) => [x.n_nodes, x.edges, x.Y];
const events = (x) => [x.events, x.classes, x.n_classes, x];

const LABELS = {
  or_join: (x) => ({ joined: labels.orJoin(x.labels) }),
  mixup: (x) => ({ mixed: labels.mixup(x.first, x.second, x.weight) }),
  mixup_batch: (x) => ({
    mixed: [labels.mixupReversed, labels.mixupAdjacent][x.pairing](x.batch, x.weights),
  }),
  apply_gains: (x) => labels.applyGains(x.sources, x.gains),
  correct_labels: (x) => ({ corrected: labels.correctLabels(x.y, x.p, { ...x, literal: x.boundary === 1 }) }),
  percentile_thresholds: (x) => ({ thresholds: labels.percentileThresholds(x.y, x.p, x.q) }),
  percentile_mask: (x) => ({ relabelled: labels.percentileMask(x.y, x.p, x.q) }),
  percentile_correct: (x) => ({ relabelled: labels.percentileCorrect(x.y, x.p, x.q) }),
  positive_thresholds: (x) => ({ thresholds: labels.positiveThresholds(x.y, x.p, STATISTICS[x.statistic]) }),
  mean_threshold_correct: (x) => ({
    corrected: labels.meanThresholdCorrect(x.y, x.p, x.candidates, STATISTICS[x.statistic]),
  }),
  above_threshold: (x) => ({ flags: labels.aboveThreshold(x.y, x.p, x.thresholds, x.candidates) }),
  clap_probabilities: (x) => ({ probabilities: labels.clapProbabilities(x.cosines, x.scale, x.background) }),
  clap_labels: (x) => ({ labels: labels.clapLabels(x.cosines, x.scale, x.background, x.threshold) }),
  threshold_labels: (x) => ({ labels: labels.thresholdLabels(x.scores, x.thresholds) }),
  robust_z_scores: (x) => ({ scores: labels.robustZScores(x.cosines) }),
  class_priors: (x) => ({ priors: labels.classPriors(x.y) }),
  contingency: (x) => ({ table: labels.contingency(x.condition, x.outcome) }),
  odds_ratio: (x) => labels.oddsRatio(x.table, x.haldane, x.confidence),
  repair_counts: (x) => labels.repairCounts(x.truth, x.noisy, x.repaired),
  sparse: (x) => labels.sparse(x.y),
  ontology_closure: (x) => ({ closure: ontology.closure(x.n_nodes, x.edges) }),
  parent_expand: (x) => ({ expanded: ontology.parentExpand(...graph(x)) }),
  children_mask: (x) => ({ masked: ontology.childrenMask(...graph(x)) }),
  psla_candidates: (x) => ontology.pslaCandidates(...graph(x), x.abstract),
  split_by_root: (x) => {
    const { inTarget, isTarget, target, base } = ontology.splitByRoot(...graph(x), x.root);
    return { in_target: inTarget, is_target: isTarget, target, base };
  },
  project: (x) => ({ projected: ontology.project(x.Y, x.columns) }),
  lift: (x) => ({ lifted: ontology.lift(x.y, x.columns, x.n_columns) }),
  superclasses: (x) => ({ mapped: ontology.superclasses(x.y, x.members, x.n_superclasses) }),
  frame_events: (x) => ({ present: frames.frameEvents(...events(x)) }),
  without_frame: (x) => ({ lost: frames.withoutFrame(x.events, x) }),
  complementary_negatives: (x) => ({ negatives: frames.complementaryNegatives(x.present) }),
  frame_labels: (x) => ({ labels: frames.frameLabels(...events(x), x.absent, x.guard) }),
  diffuse: (x) => ({ diffuse: frames.diffuse(x.labels, x.tagged) }),
  windows: (x) => ({ windows: frames.windows(x.duration, x.window, x.hop) }),
  window_samples: (x) => ({ samples: frames.windowSamples(x.windows, x.sr) }),
  inference_windows: (x) => ({ samples: frames.inferenceWindows(x.n_samples, x.window, x.hop) }),
  pad_batch: (x) => ({ batch: frames.padBatch(x.samples, x.lengths) }),
  soft_labels: (x) => ({ targets: frames.softLabels(x.teacher, x.weak, x.mix) }),
  label_counts: (x) => frames.labelCounts(x.p, x.threshold),
  mean_posterior: (x) => ({ mean: folds.meanPosterior(x.probs) }),
  fix_length: (x) => ({ fixed: folds.fixLength(x.spec, x.n) }),
  verify: (x) => {
    const threshold = Number.isNaN(x.threshold) ? undefined : x.threshold;
    const cap = x.cap === -1 ? undefined : x.cap;
    return { accepted: folds.verify(x.probs, x.labels, x.verified, threshold, cap) };
  },
  stratified_folds: (x) => ({
    folds: folds.stratifiedFolds(x.labels, x.verified, x.n_folds, x.leftovers === 0),
  }),
  round_folds: (x) => {
    const verified = x.refold ? x.verified : x.official;
    return { folds: folds.stratifiedFolds(x.labels, verified, x.n_folds, x.leftovers === 0) };
  },
};

const METRICS = {
  average_precision: (x) => metrics.averagePrecision(x.y, x.p, x.weight, x.undefined),
  roc_auc: (x) => ({ auc: metrics.rocAuc(x.y, x.p, x.weight) }),
  balance_negatives: (x) => {
    const weight = metrics.balanceNegatives(x.y, x.explicit);
    return { weight, auc: metrics.rocAuc(x.y, x.p, weight) };
  },
  d_prime: (x) => {
    const { dPrime, ofMean, mean } = metrics.dPrime(x.auc);
    return { d_prime: dPrime, of_mean: ofMean, mean };
  },
  accuracy: (x) => metrics.accuracy(x.y, x.p, x.weight, x.threshold),
  f_score: (x) => ({ f_score: metrics.fScore(x.y, x.p, x.weight, x.threshold, x.beta, x.undefined) }),
  lwlrap: (x) => metrics.lwlrap(x.y, x.p, x.weight),
  map_at_k: (x) => metrics.mapAtK(x.actual, x.predicted, x.k),
};

const PADDINGS = ["repeatpad", "repeat", "pad"];
const bank = (x) => ({ ...x, nFft: x.n_fft, slaney: x.truncation === 0, padding: PADDINGS[x.padding] });
const tokenizer = (x) =>
  clap.tokenizer(
    x["vocabulary.json"],
    x["merges.json"],
    x["added.json"],
    x["strips.json"],
    x.prefix_space === 1,
  );
const prompts = (x, prompt) => ({ "ids.json": x["texts.json"].map((text) => prompt(tokenizer(x), text)) });

const CLAP = {
  window_starts: (x) => ({ starts: clap.windowStarts(x.n, x.size) }),
  padded: (x) => ({ padded: clap.padded(x.samples, x.size, PADDINGS[x.padding]) }),
  filterbank: (x) => ({ filterbank: clap.filterbank(bank(x)) }),
  log_mel: (x) => ({ features: clap.logMel(x.samples, bank(x)) }),
  tokenizer: (x) => prompts(x, (tokens, text) => tokens(text)),
  prompt_hf: (x) => prompts(x, clap.promptHf),
  prompt_msclap: (x) => prompts(x, clap.promptMsclap),
  embeddings: (x) => clap.embeddings(x.windows, x.prompts, x.classes),
  decisions: (x) => {
    const values = [
      labels.clapProbabilities(x.cosines, x.scale, x.background),
      x.cosines,
      labels.robustZScores(x.cosines),
    ][x.rule];
    return { values, labels: labels.thresholdLabels(values, x.thresholds) };
  },
};

const FORMATS = {
  manifest: (x) => {
    const { labels, ...columns } = formats.manifest(x["manifest.csv"], x["wanted.json"]);
    return { labels, "columns.json": columns };
  },
  audioset: (x) => {
    const { clips, times } = formats.audioset(x["segments.csv"]);
    const classes = formats.classMap(x["class_map.csv"]);
    const labels = matrix(clips.length, classes.length, (n, c) => +clips[n].labels.includes(classes[c][0]));
    return { "clips.json": clips, times, "classes.json": classes, labels };
  },
  fsd50k: (x) => {
    const { clips, names } = formats.fsd50k(x["ground_truth.csv"]);
    return { "clips.json": clips, "names.json": names };
  },
  strong: (x) => ({ "clips.json": formats.strong(x["events.tsv"]) }),
  framed: (x) => ({ "frames.json": formats.framed(x["frames.tsv"]) }),
  ontology: (x) => {
    const { edges, abstract, ...nodes } = formats.ontology(x["ontology.json"]);
    return { edges, abstract, "nodes.json": nodes };
  },
  superclasses: (x) => ({ "members.json": formats.superclasses(x["superclasses.csv"]) }),
  scores_csv: (x) => scores(formats.scoresCsv(x["scores.csv"])),
  scores_jsonl: (x) => scores(formats.scoresJsonl(x["scores.jsonl"])),
  predictions: (x) => {
    const threshold = Number.isNaN(x.threshold) ? undefined : x.threshold;
    const top = x.top === -1 ? undefined : x.top;
    const { csv, jsonl } = formats.predictions(
      x["classes.json"],
      x["results.json"],
      x.scores,
      threshold,
      top,
    );
    return { "predictions.csv": csv, "predictions.jsonl": jsonl };
  },
  relabelled_manifest: (x) => ({
    "relabelled.csv": formats.relabelledManifest(x["manifest.csv"], x["scores.csv"], x),
  }),
  relabelled_audioset: (x) => ({
    "relabelled.csv": formats.relabelledAudioset(x["segments.csv"], x["ontology.json"]),
  }),
  relabelled_fsd50k: (x) => ({
    "relabelled.csv": formats.relabelledFsd50k(x["ground_truth.csv"], x["class_map.csv"], x["ontology.json"]),
  }),
  framed_events: (x) => ({ "frames.tsv": formats.framedEvents(x["events.tsv"], x["absent.tsv"], x.guard) }),
};

const scores = ({ ids, classes, scores }) => ({ "rows.json": { ids, classes }, scores });

/** Numbers as such, vectors as arrays of numbers, all else as { shape, data }. */
function plain({ shape, data }) {
  if (shape.length === 0) return data[0];
  return shape.length === 1 ? data : { shape, data };
}

function arrayOf(value) {
  if (typeof value === "number") return { shape: [], data: [value] };
  return value.shape ? value : { shape: [value.length], data: value };
}

const PARAMETER = /^(stem|block\d|dense)\./; // of networks: the model has its own

/** The inputs in a folder: arrays by their name, JSON and texts by the file's. */
function inputs(folder) {
  const read = (file) => {
    const one = path.join(folder, file);
    if (file.endsWith(".npy")) return [path.parse(file).name, plain(readArray(one))];
    const text = readBytes(one).toString("utf8");
    return [file, file.endsWith(".json") ? JSON.parse(text) : text];
  };
  return Object.fromEntries(
    fs
      .readdirSync(folder)
      .filter((file) => !PARAMETER.test(file))
      .map(read),
  );
}

function write(folder, name, value) {
  const target = path.join(folder, name);
  if (name.endsWith(".json")) fs.writeFileSync(target, JSON.stringify(value));
  else if (typeof value === "string") fs.writeFileSync(target, value);
  else fs.writeFileSync(`${target}.npy`, npy.write(arrayOf(value)));
}

/** Answer all variants of a function, or the one that is named; how many. */
async function answerFunction(cases, answers, name, answer, only) {
  const folder = path.join(cases, name);
  const variants = fs.existsSync(folder) ? fs.readdirSync(folder).filter((one) => one === (only ?? one)) : [];
  for (const variant of variants) {
    const outputs = await answer(inputs(path.join(folder, variant, "in")));
    const target = path.join(answers, name, variant);
    fs.mkdirSync(target, { recursive: true });
    for (const [output, value] of Object.entries(outputs)) write(target, output, value);
  }
  return variants.length;
}

const SECTIONS = {
  resampling: RESAMPLING,
  features: FEATURES,
  labels: LABELS,
  metrics: METRICS,
  clap: CLAP,
  formats: FORMATS,
};

await command("answers.js CASES ANSWERS [MODEL.onnx]", 2, async (cases, answers, model) => {
  if (!fs.existsSync(cases)) throw new Error(`${cases}: no such folder`);
  let count = 0;
  for (const [section, functions] of Object.entries(SECTIONS))
    for (const [name, answer] of Object.entries(functions))
      count += await answerFunction(cases, answers, `${section}/${name}`, answer);
  if (model) {
    const acdnet = await import("./acdnet.js"); // which needs onnxruntime-web
    const network = await acdnet.load(readBytes(model));
    const answer = (x) => acdnet.run(network, x.features);
    count += await answerFunction(cases, answers, "networks/acdnet", answer, "shipped");
  }
  console.log(`${count} cases answered`);
});
