// Label rules on time: frames from events, windows, soft labels.  Times are seconds; K is frames or windows.

import { at, column, indices, map, matrix, row, sum, vector } from "./arrays.js";

/** Nearest whole millisecond, halves to even. */
function milliseconds(seconds) {
  const time = seconds * 1000;
  const down = Math.floor(time);
  const rest = time - down;
  return rest < 0.5 || (rest === 0.5 && down % 2 === 0) ? down : down + 1;
}

/** Whole frames or windows of a length, a hop apart, in a total. */
const whole = (total, length, hop) => Math.max(0, Math.floor((total - length) / hop) + 1);

/** (K, nClasses): 1 where an event fills a share of the frame, or a share of the event lies in it. */
export function frameEvents(events, classes, nClasses, { duration, frame, hop, start, share }) {
  const [total, length, step, first] = [duration, frame, hop, start].map(milliseconds);
  const times = events.data.length ? map(events, milliseconds) : events;
  const present = matrix(whole(total - first, length, step), nClasses, () => 0);
  for (const k of indices(present.shape[0])) {
    const begin = first + k * step;
    for (const e of indices(classes.length)) {
      const [onset, offset] = row(times, e);
      const overlap = Math.min(offset, begin + length) - Math.max(onset, begin);
      const least = Math.max(1, Math.ceil(share * Math.min(offset - onset, length)));
      if (offset > onset && overlap >= least) row(present, k)[classes[e]] = 1;
    }
  }
  return present;
}

/** 1 for each event that no frame is present of: each as a class of its own. */
export function withoutFrame(events, times) {
  const classes = [...indices(events.shape[0])];
  const present = frameEvents(events, classes, classes.length, { ...times, share: 0.5 });
  return classes.map((e) => +!column(present, e).includes(1));
}

/** 1 where a class is not present that is present in some other frame. */
export const complementaryNegatives = (present) =>
  map(present, (value, k, c) => +(value === 0 && column(present, c).includes(1)));

/** Labels (K, nClasses) of frames: PRESENT 1, absent 0, else NaN. */
export function frameLabels(events, classes, nClasses, times, absent, guard) {
  const present = frameEvents(events, classes, nClasses, { ...times, share: 0.5 });
  const touched = frameEvents(events, classes, nClasses, { ...times, share: 0 });
  const negative = complementaryNegatives(present);
  const lasting = classes.filter((_, e) => milliseconds(at(events, e, 1)) > milliseconds(at(events, e, 0)));
  return map(present, (value, k, c, i) => {
    if (value === 1) return 1;
    if (absent.includes(c) && !lasting.includes(c)) return 0;
    if (guard && touched.data[i]) return NaN;
    return negative.data[i] ? 0 : NaN;
  });
}

/** 1 in all frames for a class that has a 1 in some frame, or whose tagged[c] is 1. */
export const diffuse = (labels, tagged) =>
  map(labels, (label, k, c) => (tagged[c] || column(labels, c).includes(1) ? 1 : label));

/** (K, 2), start and end; the last ones may be short. */
export function windows(duration, window, hop) {
  const end = Math.round(10 * duration) / 10;
  const count = Math.max(0, Math.ceil(end / hop - 1e-9));
  return matrix(count, 2, (k, side) => (side ? Math.min(k * hop + window, end) : k * hop));
}

export const windowSamples = (windows, rate) => map(windows, (time) => Math.floor(time * rate));

/** (K, 2), first sample and the one behind the last; a tail is dropped. */
export const inferenceWindows = (nSamples, window, hop) =>
  matrix(whole(nSamples, window, hop), 2, (k, side) => k * hop + side * window);

/** (B, longest): signals, which stand one after the other in samples, filled up with zeros. */
export function padBatch(samples, lengths) {
  const starts = lengths.map((_, b) => sum(lengths.slice(0, b)));
  return matrix(lengths.length, Math.max(0, ...lengths), (b, t) =>
    t < lengths[b] ? samples[starts[b] + t] : 0,
  );
}

/** The teacher's scores mixed with weak labels; weak where the teacher is NaN. */
export const softLabels = (teacher, weak, mix) =>
  map(teacher, (score, k, c, i) => {
    if (Number.isNaN(score)) return weak.data[i];
    return mix === 1 ? score : mix * score + (1 - mix) * weak.data[i];
  });

/** share[k] of the rows have k scores above the threshold. */
export function labelCounts(p, threshold) {
  const [rows, classes] = p.shape;
  const counts = indices(rows).map((k) => row(p, k).filter((score) => score > threshold).length);
  const share = vector(classes + 1, (k) => counts.filter((count) => count === k).length / rows);
  return { share, mean: sum(counts) / rows };
}
