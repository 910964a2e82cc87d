// File formats of labels, scores and predictions: texts to objects, and back.

import { at, indices, matrix, row, sum } from "./arrays.js";
import { frameLabels } from "./frames.js";
import { correctLabels } from "./labels.js";
import { parentExpand } from "./ontology.js";
import { labelsIn, linesOf, records, rows, write } from "./tables.js";

const SHIPPED = "voice music cat dog clapping urban machinery nature windnoise alarm gunshot".split(" ");

/** Labels sorted by code points, each once. */
function sorted(labels) {
  const points = (label) =>
    Array.from(label, (one) => one.codePointAt(0).toString(16).padStart(6, "0")).join("");
  return [...new Set(labels)].sort((a, b) => (points(a) < points(b) ? -1 : 1));
}

/** Labels (N, classes) of clips { present, unknown }. */
const labelMatrix = (clips, classes) =>
  matrix(clips.length, classes.length, (n, c) => {
    if (clips[n].present.includes(classes[c])) return 1;
    return clips[n].unknown.includes(classes[c]) ? NaN : 0;
  });

function manifestClips(list) {
  return list.map((one) => ({
    present: labelsIn(one.classes, ";"),
    unknown: labelsIn(one.unknown ?? "", ";"),
  }));
}

const namesIn = (clips) => sorted(clips.flatMap(({ present, unknown }) => [...present, ...unknown]));

/** paths, classes, fold, split, verified (null without such a column), labels (N, classes). */
export function manifest(text, wanted) {
  const { columns, list } = records(text);
  const clips = manifestClips(list);
  const names = namesIn(clips);
  const classes = wanted ?? (names.every((name) => SHIPPED.includes(name)) ? SHIPPED : names);
  const fields = (name) => (columns.includes(name) ? list.map((one) => one[name].trim()) : null);
  return {
    paths: fields("path"),
    classes,
    fold: fields("fold"),
    split: fields("split"),
    verified: fields("verified")?.map((field) => Number(field) === 1) ?? null,
    labels: labelMatrix(clips, classes),
  };
}

const isComment = (line) => line.startsWith("#");

/** clips, a list of { id, labels }, and their times (N, 2). */
export function audioset(text) {
  const lines = rows(
    linesOf(text)
      .filter((line) => !isComment(line))
      .join("\n"),
  );
  const clips = lines.map(([id, , , labels]) => ({ id: id.trim(), labels: labelsIn(labels, ",") }));
  return { clips, times: matrix(lines.length, 2, (n, side) => Number(lines[n][1 + side])) };
}

/** List of [id, name]. */
export const classMap = (text) => records(text).list.map((one) => [one.mid.trim(), one.display_name.trim()]);

/** clips, a list of { id, labels }, and an object from label to name. */
export function fsd50k(text) {
  const { list } = records(text);
  const clips = list.map((one) => ({ id: one.fname.trim(), labels: labelsIn(one.mids, ",") }));
  const named = list.flatMap((one, n) =>
    clips[n].labels.map((label, i) => [label, labelsIn(one.labels, ",")[i]]),
  );
  return { clips, names: Object.fromEntries(named) };
}

/** List of lists of rows, each of neighbours with the same first field. */
function byClip(lines) {
  const clips = [];
  for (const line of lines) {
    if (clips.at(-1)?.[0][0] === line[0]) clips.at(-1).push(line);
    else clips.push([line]);
  }
  return clips;
}

const trimmedRows = (text) =>
  rows(text, "\t")
    .slice(1)
    .map((fields) => fields.map((field) => field.trim()));

/** List of { id, labels, events }, events being lists of onset, offset, label. */
export function strong(text) {
  return byClip(trimmedRows(text)).map((lines) => {
    const events = lines
      .filter(([, , , label]) => label)
      .map(([, onset, offset, label]) => [Number(onset), Number(offset), label]);
    return { id: lines[0][0], labels: [...new Set(events.map((event) => event[2]))], events };
  });
}

/** List of { id, start, end, present, absent }, for each clip its frames by their start. */
export function framed(text) {
  return byClip(trimmedRows(text)).flatMap((lines) => {
    const frames = new Map();
    for (const [id, from, to, label, mark] of lines) {
      const [start, end] = [Number(from), Number(to)];
      const key = `${start} ${end}`;
      if (!frames.has(key)) frames.set(key, { id, start, end, present: [], absent: [] });
      frames.get(key)[mark === "PRESENT" ? "present" : "absent"].push(label);
    }
    return [...frames.values()].sort((a, b) => a.start - b.start);
  });
}

/** ids, names, edges (E, 2) and which nodes are abstract, of a list of nodes. */
export function ontology(nodes) {
  const ids = nodes.map((node) => node.id);
  const edges = nodes.flatMap((node, n) => node.child_ids.map((child) => [n, ids.indexOf(child)]));
  return {
    ids,
    names: nodes.map((node) => node.name),
    edges: matrix(edges.length, 2, (e, side) => edges[e][side]),
    abstract: nodes.map(
      ({ restrictions }) => +(restrictions?.length === 1 && restrictions[0] === "abstract"),
    ),
  };
}

/** Object from super-class to its labels. */
export function superclasses(text) {
  const [header, ...lines] = rows(text);
  const labels = (c) => [
    ...new Set(lines.map((fields) => (fields[c] ?? "").trim()).filter((label) => label)),
  ];
  const members = header.map((name, c) => [name.trim(), labels(c)]);
  return Object.fromEntries(members.filter(([name]) => name !== "unused"));
}

/** ids, classes, scores (N, classes) of { id, start, end, scores }; neighbours of one id are its windows. */
function meanOfWindows(list, classes) {
  const clips = byClip(list.map((one) => [one.id, one]));
  const mean = (windows, name) => {
    const lengths = windows.map(([, { start, end }]) => (windows.length > 1 ? end - start : 1));
    return sum(windows.map(([, { scores }], i) => lengths[i] * (scores[name] ?? NaN))) / sum(lengths);
  };
  const scores = matrix(clips.length, classes.length, (n, c) => mean(clips[n], classes[c]));
  return { ids: clips.map(([[id]]) => id), classes, scores };
}

const NO_CLASSES = ["path", "id", "fname", "schema", "start", "end", "note", "error"];

export function scoresCsv(text) {
  const { columns, list } = records(text);
  const classes = columns.filter((name) => !NO_CLASSES.includes(name));
  const id = ["path", "id", "fname"].find((name) => columns.includes(name));
  const number = (field) => (field.trim() === "" ? NaN : Number(field));
  const clips = list.map((one) => ({
    id: one[id].trim(),
    start: Number(one.start),
    end: Number(one.end),
    scores: Object.fromEntries(classes.map((name) => [name, one.error ? NaN : number(one[name])])),
  }));
  return meanOfWindows(clips, classes);
}

export function scoresJsonl(text) {
  const list = linesOf(text)
    .filter((line) => line.trim())
    .map((line) => JSON.parse(line));
  const clips = list.map((one) => ({ ...one, id: one.path, scores: one.scores ?? {} }));
  return meanOfWindows(clips, [...new Set(clips.flatMap((one) => Object.keys(one.scores)))]);
}

/** The fewest digits that give a float32 back; a whole number with .0. */
function shortest(value) {
  const digits = indices(9).map((n) => Number(value.toPrecision(n + 1)));
  const text = String(digits.find((number) => Math.fround(number) === Math.fround(value)));
  return /^-?\d+$/.test(text) ? `${text}.0` : text;
}

/** csv and jsonl of results { path, start, end, note } or { path, error }, and scores (windows, classes). */
export function predictions(classes, results, scores, threshold = -Infinity, top = Infinity) {
  let windows = 0;
  const records = results.map((result) => {
    if (result.error !== undefined) return { schema: "acdref.predict/1", ...result };
    const values = row(scores, windows++);
    const best = indices(classes.length)
      .sort((a, b) => values[b] - values[a])
      .slice(0, top);
    const kept = indices(classes.length).filter((c) => best.includes(c) && values[c] >= threshold);
    const { path, start, end, note } = result;
    const named = Object.fromEntries(kept.map((c) => [classes[c], Number(shortest(values[c]))]));
    return { schema: "acdref.predict/1", path, start, end, scores: named, note };
  });
  const decimal = (value) => (value === undefined ? "" : shortest(value));
  const lines = records.map((one) => [
    ...[one.schema, one.path, decimal(one.start), decimal(one.end)],
    ...classes.map((name) => decimal(one.scores?.[name])),
    ...[one.note ?? "", one.error ?? ""],
  ]);
  return {
    csv: write([["schema", "path", "start", "end", ...classes, "note", "error"], ...lines]),
    jsonl: records.map((one) => JSON.stringify(one) + "\n").join(""),
  };
}

/** Labels of a row that are 1 (NaN with unknown), old ones first. */
function ordered(labels, old, classes, unknown = false) {
  const chosen = classes.filter((_, c) => (unknown ? Number.isNaN(labels[c]) : labels[c] === 1));
  return [
    ...old.filter((label) => chosen.includes(label)),
    ...chosen.filter((label) => !old.includes(label)),
  ];
}

/** A manifest with correctLabels by the scores of the same recordings. */
export function relabelledManifest(text, scoreText, { T, fp, mask }) {
  const { columns, list } = records(text);
  const clips = manifestClips(list);
  const classes = namesIn(clips);
  const given = scoresCsv(scoreText);
  const p = matrix(list.length, classes.length, (n, c) =>
    at(given.scores, n, given.classes.indexOf(classes[c])),
  );
  const corrected = correctLabels(labelMatrix(clips, classes), p, { T, fp, mask });
  const header = columns.flatMap((name) => (mask && name === "classes" ? [name, "unknown"] : [name]));
  const names = header.filter((name, i) => header.indexOf(name) === i);
  const lines = list.map((one, n) => {
    const old = [...clips[n].present, ...clips[n].unknown];
    const field = (unknown) => ordered(row(corrected, n), old, classes, unknown).join(";");
    return names.map((name) => ({ ...one, classes: field(false), unknown: field(true) })[name]);
  });
  return write([names, ...lines]);
}

/** Labels of clips joined with all that lie above them, in the ontology's order behind the old ones. */
function expanded(clips, nodes) {
  const { ids, edges } = ontology(nodes);
  const Y = labelMatrix(
    clips.map(({ labels }) => ({ present: labels, unknown: [] })),
    ids,
  );
  const all = parentExpand(ids.length, edges, Y);
  return clips.map(({ labels }, n) => [...new Set([...labels, ...ordered(row(all, n), labels, ids)])]);
}

/** Segments with the labels' ancestors. */
export function relabelledAudioset(text, nodes) {
  const { clips } = audioset(text);
  const labels = expanded(clips, nodes);
  const lines = rows(
    linesOf(text)
      .filter((line) => !isComment(line))
      .join("\n"),
  );
  const [segments, unique, total] = [clips.length, new Set(labels.flat()).size, labels.flat().length];
  const counts =
    `# num_ytids=${segments}, num_segs=${segments}, ` +
    `num_unique_labels=${unique}, num_positive_labels=${total}`;
  const comments = linesOf(text).filter(isComment);
  return [
    ...comments.map((line) => (line.startsWith("# num_ytids=") ? counts : line)),
    ...lines.map(([id, start, end], n) => `${id}, ${start.trim()}, ${end.trim()}, "${labels[n].join(",")}"`),
  ]
    .map((line) => line + "\n")
    .join("");
}

/** Ground truth with the labels' ancestors among the classes of a map. */
export function relabelledFsd50k(text, mapText, nodes) {
  const { columns, list } = records(text);
  const { clips, names } = fsd50k(text);
  const classes = classMap(mapText);
  const name = Object.fromEntries(
    classes.map(([id, name]) => [id, name.replaceAll(", ", "_and_").replaceAll(" ", "_")]),
  );
  const all = expanded(clips, nodes);
  const lines = list.map((one, n) => {
    const old = clips[n].labels;
    const mids = [
      ...old,
      ...classes.map(([id]) => id).filter((id) => all[n].includes(id) && !old.includes(id)),
    ];
    const labels = mids.map((id) => names[id] ?? name[id]);
    return columns.map((column) => ({ ...one, mids: mids.join(","), labels: labels.join(",") })[column]);
  });
  return write([columns, ...lines]);
}

const TIMES = { duration: 10, frame: 0.96, hop: 0.96, start: 0 };

/** Frames of clips with events, and with labels marked absent. */
export function framedEvents(eventText, absentText, guard) {
  const absent = trimmedRows(absentText);
  const lines = strong(eventText).flatMap(({ id, labels, events }) => {
    const gone = absent.filter(([clip]) => clip === id).map(([, label]) => label);
    const classes = sorted([...labels, ...gone]);
    const number = (label) => classes.indexOf(label);
    const times = matrix(events.length, 2, (e, side) => events[e][side]);
    const named = events.map((event) => number(event[2]));
    const frames = frameLabels(times, named, classes.length, TIMES, gone.map(number), guard);
    const time = (k) => (k * TIMES.hop).toFixed(3);
    const marked = (k, value, mark) =>
      classes
        .filter((_, c) => at(frames, k, c) === value)
        .map((label) => [id, time(k), time(k + 1), label, mark]);
    return indices(frames.shape[0]).flatMap((k) => [
      ...marked(k, 1, "PRESENT"),
      ...marked(k, 0, "NOT_PRESENT"),
    ]);
  });
  return write(
    [["segment_id", "start_time_seconds", "end_time_seconds", "label", "present"], ...lines],
    "\t",
  );
}
