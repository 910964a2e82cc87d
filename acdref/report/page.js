// The page of `acdref report`: nothing is loaded but what lies beside it.  Scores are whole numbers of 1/10000,
// rounded down; times are seconds.

const ONE = 10000, NONE = [];
const shown = (score) => (score / ONE).toFixed(2);

function clock(seconds, tenths = true) {
  const t = Math.floor(seconds * 10 + 1e-6), s = Math.floor(t / 10);
  const two = (n) => String(n).padStart(2, "0");
  const hours = s >= 3600 ? `${Math.floor(s / 3600)}:` : "";
  const minutes = hours ? two(Math.floor(s / 60) % 60) : Math.floor(s / 60);
  return `${hours}${minutes}:${two(s % 60)}${tenths ? `.${t % 10}` : ""}`;
}

function long(seconds) {
  if (seconds < 120) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  return seconds < 7200 ? `${(seconds / 60).toFixed(1)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

// ---- Parts of the data: in this page, or scripts beside it, since a page from a disk may not fetch ----

const report = {
  parts: new Map(), // name -> promise; the last few
  waiting: new Map(),
  put(name, value) {
    this.waiting.get(name)?.(value);
    this.waiting.delete(name);
  },
  get(name) {
    const known = this.parts.get(name);
    if (known) return known;
    const inside = $(`part-${name}`);
    const part = inside ? Promise.resolve().then(() => JSON.parse(inside.textContent)) : this.load(name);
    this.parts.set(name, part);
    if (this.parts.size > 12) this.parts.delete(this.parts.keys().next().value);
    return part;
  },
  load(name) {
    return new Promise((resolve, reject) => {
      const script = make("script", { src: `${meta.data}-${name}.js` });
      const failed = () => reject(new Error(`${script.getAttribute("src")} is missing: it belongs beside this page`));
      this.waiting.set(name, resolve);
      script.onload = script.onerror = () => {
        script.remove();
        if (this.waiting.delete(name)) failed();
      };
      document.head.append(script);
    });
  },
  async item(number) { // of many items, which lie in parts by their numbers
    let part = 0;
    while (part + 1 < meta.items.length && meta.items[part + 1] <= number) part += 1;
    return (await this.get(`items${part}`))[number - meta.items[part]];
  },
};

function bytes(base64) {
  const text = atob(base64), out = new Uint8Array(text.length);
  for (let i = 0; i < out.length; i++) out[i] = text.charCodeAt(i);
  return out;
}

const meta = JSON.parse($("meta").textContent);
const classes = meta.classes, C = classes.length;
const thresholds = meta.thresholds.slice(), rules = { ...meta.rules };
const recordings = [];
const colour = (c) => colourOf(c, C);
let visible = new Set(C > 20 ? NONE : classes.keys());
let folder = null; // that all recordings are in, with its last slash

function receive(part) {
  const all = new Uint16Array(bytes(part.cells).buffer); // of each recording (C, K); little-endian, as all browsers are
  let place = 0;
  for (const row of part.rows) {
    const r = Object.fromEntries(meta.fields.map((name, i) => [name, row[i]]));
    folder ??= r.path;
    while (folder && !(folder.endsWith(meta.separator) && r.path.startsWith(folder))) folder = folder.slice(0, -1);
    r.cells = classes.map((_, c) => all.subarray(place + c * r.count, place + (c + 1) * r.count));
    place += C * r.count;
    r.events = classes.map((_, c) => findEvents(r.cells[c], r.hop, r.seconds, thresholds[c], rules));
    recordings.push(r);
  }
}

// ---- Events: the rules of acdref.labels.events ----

function findEvents(cells, hop, seconds, on, { hold, median, gap, least }) {
  let k = 0; // most recordings have none
  while (k < cells.length && cells[k] < on) k += 1;
  const reach = Math.floor(median / (cells.length === 1 ? seconds : hop) + 1e-6);
  const size = Math.max(1, Math.floor((reach - 1) / 2) * 2 + 1);
  if (k === cells.length) return NONE;
  cells = medianFilter(cells, size);
  const off = Math.round(Math.min(on, hold * on) * 1e6) / 1e6, runs = [];
  const border = (i) => Math.min(i * hop, seconds), exact = (t) => Math.round(t * 1e6) / 1e6;
  for (let i = 0; i < cells.length; i++) {
    if (cells[i] < off) continue;
    const first = i;
    let peak = 0;
    for (; i < cells.length && cells[i] >= off; i++) peak = Math.max(peak, cells[i]);
    if (peak < on) continue;
    const last = runs.at(-1);
    if (last && exact(border(first) - border(last[1])) <= gap) last[1] = i;
    else runs.push([first, i]);
  }
  return runs.filter(([a, b]) => exact(border(b) - border(a)) >= least).map(([a, b]) => {
    let peak = 0, sum = 0;
    for (let i = a; i < b; i++) {
      peak = Math.max(peak, cells[i]);
      sum += cells[i] * (border(i + 1) - border(i));
    }
    return { onset: border(a), offset: border(b), peak, mean: sum / (border(b) - border(a)) };
  });
}

function medianFilter(cells, size) {
  if (size === 1) return cells;
  const half = (size - 1) / 2, last = cells.length - 1, around = new Uint16Array(size);
  return cells.map((_, k) => {
    for (let i = -half; i <= half; i++) around[i + half] = cells[clamp(k + i, 0, last)];
    return around.sort()[half];
  });
}

function findAgain(only = null) {
  for (const r of recordings)
    for (let c = 0; c < C; c++)
      if (only === null || c === only) r.events[c] = findEvents(r.cells[c], r.hop, r.seconds, thresholds[c], rules);
  refresh();
}

// ---- Classes: thresholds, and what comes of them ----

const rows = []; // of the table: { seconds, events, recordings, fill }

function classTable() {
  const heads = meta.errors ? ["false tags", "misses", "labelled"] : ["seconds", "events", "recordings"];
  const head = make("tr");
  for (const text of ["class", "threshold", ...heads, "share"])
    head.append(make("th", { scope: "col", textContent: text, className: heads.includes(text) ? "number" : "" }));
  const body = make("tbody");
  classes.forEach((name, c) => {
    const tick = make("input", { type: "checkbox", checked: visible.has(c), ariaLabel: `draw ${name}` });
    tick.onchange = () => { visible[tick.checked ? "add" : "delete"](c); refresh(); };
    const set = (from, to) => () => {
      const value = Number(from.value);
      if (from.value === "" || !(value >= 0 && value <= 1)) return;
      thresholds[c] = Math.ceil(Math.round(value * ONE * 1e4) / 1e4);
      to.value = from.value;
      findAgain(c);
    };
    const bounds = { min: 0, max: 1, step: 0.01, value: thresholds[c] / ONE };
    const slider = make("input", { type: "range", ...bounds, ariaLabel: `threshold of ${name}` });
    const number = make("input", { type: "number", ...bounds, step: "any", value: bounds.value });
    number.ariaLabel = `threshold of ${name}, as a number`;
    slider.oninput = set(slider, number);
    number.oninput = set(number, slider);
    const swatch = make("span", { className: "swatch" });
    const numbers = heads.map(() => make("td", { className: "number" })), fill = make("div");
    const label = make("label", {}, tick, swatch, name);
    body.append(make("tr", {}, make("td", { className: "name", title: name }, label), make("td", {}, slider, " ", number),
      ...numbers, make("td", { className: "bar" }, fill)));
    rows.push({ numbers, fill, swatch, tick });
  });
  $("classes").replaceChildren(make("thead", {}, head), body);
}

function ruleInputs() {
  const about = {
    hold: ["goes on at", " of the threshold", 1], median: ["median over", " s"], gap: ["gaps up to", " s are part of it"],
    least: ["at least", " s long"],
  };
  $("rules").onsubmit = () => false;
  for (const [name, [before, behind, max]] of Object.entries(about)) {
    const input = make("input", { type: "number", min: 0, step: max ? 0.05 : 0.1, value: rules[name], id: `rule-${name}` });
    if (max) input.max = max;
    input.oninput = () => {
      if (input.value === "" || !input.checkValidity() && !input.validity.stepMismatch) return;
      rules[name] = Number(input.value);
      findAgain();
    };
    $("rules").append(make("label", {}, `${before} `, input, behind));
  }
  $("rules").hidden = meta.errors;
}

function totals() {
  const sums = classes.map(() => [0, 0, 0]);
  for (const r of recordings)
    for (let c = 0; c < C; c++) {
      if (meta.errors) {
        const kind = wrong(r, c);
        sums[c][0] += kind === "false tag";
        sums[c][1] += kind === "miss";
        sums[c][2] += r.labels?.[c] === 1;
      } else if (r.events[c].length) {
        for (const event of r.events[c]) sums[c][0] += event.offset - event.onset;
        sums[c][1] += r.events[c].length;
        sums[c][2] += 1;
      }
    }
  const most = Math.max(1e-9, ...sums.map(([a, b]) => (meta.errors ? a + b : a)));
  sums.forEach((sum, c) => {
    const { numbers, fill, swatch, tick } = rows[c];
    sum.forEach((n, i) => { numbers[i].textContent = !meta.errors && i === 0 ? n.toFixed(1) : n; });
    fill.style.cssText = `width: ${(100 * (meta.errors ? sum[0] + sum[1] : sum[0])) / most}%; background: ${colour(c)}`;
    swatch.style.background = colour(c);
    tick.checked = visible.has(c);
  });
}

// ---- Lists of any length: only the rows that are seen exist ----

class LongList {
  constructor(box, height, row, chosen, entered) {
    Object.assign(this, { box, height, row, chosen, entered, items: NONE, at: -1 });
    this.inner = make("div", { role: "presentation" });
    box.append(this.inner);
    box.onscroll = () => this.draw();
    new ResizeObserver(() => this.draw()).observe(box);
    box.onclick = (event) => {
      const row = event.target.closest(".row");
      if (row) this.select(Number(row.dataset.i), true);
    };
    box.onkeydown = (event) => {
      const page = Math.max(1, Math.floor(box.clientHeight / height) - 1);
      const step = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity }[event.key];
      if (step) this.select(clamp(this.at + step, 0, this.items.length - 1));
      else if (event.key === "Enter" && this.at >= 0) this.entered(this.items[this.at]);
      else return;
      event.preventDefault();
    };
  }
  set(items, same) { // keeps what is chosen, if it is still there
    const old = this.items[this.at];
    this.items = items;
    this.at = old ? items.findIndex((item) => same(item, old)) : -1;
    this.inner.style.height = `${items.length * this.height}px`;
    this.draw();
  }
  select(i, entered = false) {
    if (!this.items[i]) return;
    this.at = i;
    const top = i * this.height, { scrollTop, clientHeight } = this.box;
    if (top < scrollTop) this.box.scrollTop = top;
    else if (top + this.height > scrollTop + clientHeight) this.box.scrollTop = top + this.height - clientHeight;
    this.draw();
    this.chosen(this.items[i]);
    if (entered) this.entered(this.items[i], true);
  }
  draw() {
    const first = Math.max(0, Math.floor(this.box.scrollTop / this.height) - 2);
    const last = Math.min(this.items.length, first + Math.ceil(this.box.clientHeight / this.height) + 5);
    const drawn = [];
    for (let i = first; i < last; i++) {
      const row = this.row(this.items[i]);
      row.className = "row";
      row.id = `${this.box.id}-${i}`;
      row.dataset.i = i;
      row.style.cssText = `top: ${i * this.height}px; height: ${this.height}px`;
      row.setAttribute("role", "option");
      row.setAttribute("aria-posinset", i + 1);
      row.setAttribute("aria-setsize", this.items.length);
      row.setAttribute("aria-selected", i === this.at);
      drawn.push(row);
    }
    this.inner.replaceChildren(...drawn);
    if (this.at >= first && this.at < last) this.box.setAttribute("aria-activedescendant", `${this.box.id}-${this.at}`);
    else this.box.removeAttribute("aria-activedescendant");
  }
}

function chip(c, text) {
  const node = make("span", { className: "chip", textContent: text });
  node.style.borderColor = colour(c);
  return node;
}

// ---- Recordings, or errors of a network ----

const peak = (r, c) => r.events[c].reduce((most, event) => Math.max(most, event.peak), 0);

function wrong(r, c) { // "above" the threshold is found, as `acdref evaluate` counts
  const label = r.labels?.[c];
  if (label === 0 && r.scores[c] > thresholds[c]) return "false tag";
  return label === 1 && r.scores[c] <= thresholds[c] ? "miss" : null;
}

const surety = (item) => (item.kind === "miss" ? ONE - item.r.scores[item.c] : item.r.scores[item.c]);

function found(r) { // classes, the surest first
  return [...classes.keys()].filter((c) => r.events[c].length).sort((a, b) => peak(r, b) - peak(r, a));
}

function listRow(item) {
  const { r, c, kind } = item;
  const row = make("div", { title: r.path });
  if (kind) row.append(make("span", { className: "bad", textContent: kind }), chip(c, `${classes[c]} ${shown(r.scores[c])}`));
  row.append(make("span", { className: "name", textContent: r.path.slice(folder.length) }));
  if (r.error) row.append(make("span", { className: "bad", textContent: r.error }));
  if (!kind) row.append(...found(r).slice(0, 3).map((c) => chip(c, `${classes[c]} ${shown(peak(r, c))}`)));
  if (r.seconds) row.append(make("span", { className: "time", textContent: clock(r.seconds) }));
  return row;
}

function wanted() { // what the list shows: { r } or { r, c, kind }
  const text = $("filter").value.toLowerCase(), [only, c] = $("only").value.split(" "), sort = $("sort").value;
  const items = [];
  for (const r of recordings) {
    if (text && !r.path.toLowerCase().includes(text)) continue;
    if (only === "failed" ? !r.error : only === "nothing" && (r.error || r.events.some((found) => found.length))) continue;
    if (!meta.errors || only === "failed") {
      if (only !== "class" || r.events[c].length) items.push({ r });
      continue;
    }
    for (let i = 0; i < C; i++) {
      const kind = wrong(r, i);
      if (kind && (only !== "class" || i === Number(c)) && (!["false tag", "miss"].includes(sort) || kind === sort))
        items.push({ r, c: i, kind });
    }
  }
  const most = (item) => (only === "class" ? peak(item.r, c) : Math.max(0, ...classes.map((_, i) => peak(item.r, i))));
  const heard = (item) => item.r.events.flat().reduce((sum, event) => sum + event.offset - event.onset, 0);
  const value = { surest: most, heard, long: (item) => item.r.seconds }[sort];
  const keys = new Map(value && items.map((item) => [item, value(item)]));
  if (meta.errors && only !== "failed") items.sort((a, b) => surety(b) - surety(a));
  else if (sort === "name") items.sort((a, b) => (a.r.path < b.r.path ? -1 : 1));
  else if (value) items.sort((a, b) => keys.get(b) - keys.get(a));
  return items;
}

function filters() {
  const option = ([value, textContent]) => make("option", { value, textContent });
  const any = meta.errors ? "errors in any class" : "all recordings";
  const some = meta.errors ? [] : [["nothing", "nothing found"]];
  const of = classes.map((name, c) => [`class ${c}`, meta.errors ? `errors in ${name}` : `with ${name}`]);
  $("only").append(...[["all", any], ...of, ...some, ["failed", "not readable"]].map(option));
  const orders = meta.errors
    ? [["surest", "surest wrong first"], ["false tag", "false tags only"], ["miss", "misses only"]]
    : [["order", "in the order given"], ["name", "by name"], ["surest", "surest first"], ["heard", "most heard first"],
      ["long", "longest first"]];
  $("sort").append(...orders.map(option));
  for (const id of ["filter", "only", "sort"]) $(id).oninput = () => refresh(false);
}

// ---- When: each class over all recordings ----

const spans = { order: () => 0, date: (r) => r.at, hour: (r) => r.at % 86400 };

function span() {
  const mode = $("clock").value, starts = new Map();
  let low = 0, high = mode === "hour" ? 86400 : 0;
  for (const r of recordings) {
    if (mode === "order") starts.set(r, high);
    else if (r.at !== null) starts.set(r, spans[mode](r));
    if (mode === "order") high += r.seconds;
  }
  if (mode === "date") {
    low = Math.min(...starts.values());
    high = 0;
    for (const [r, start] of starts) high = Math.max(high, start + r.seconds);
  }
  return { mode, starts, low, high };
}

function whenText(t, mode, total) {
  if (mode === "order") return clock(t, false);
  const text = new Date(t * 1000).toISOString();
  if (mode === "hour") return text.slice(11, 16);
  return total > 3 * 86400 ? text.slice(0, 10) : `${text.slice(5, 10)} ${text.slice(11, 16)}`;
}

function timeline() {
  const { mode, starts, low, high } = span(), list = [...visible].sort((a, b) => a - b), ROW = 15;
  const context = sized($("timeline"), list.length * ROW + 20), wide = context.wide - GUTTER;
  const bins = Math.max(1, Math.floor(wide / 3)), each = (high - low) / bins;
  context.textBaseline = "middle";
  list.forEach((c, row) => {
    const seconds = new Float64Array(bins);
    for (const [r, start] of starts)
      for (const { onset, offset } of r.events[c])
        for (let t = start + onset - low, end = start + offset - low; t < end - 1e-9;) {
          // A day goes on where it began.
          const at = Math.floor(t / each + 1e-9), bin = mode === "hour" ? at % bins : clamp(at, 0, bins - 1);
          const next = mode === "hour" || bin + 1 < bins ? Math.min(end, (at + 1) * each) : end;
          seconds[bin] += next - t;
          t = Math.max(next, t + 1e-6);
        }
    context.fillStyle = context.soft;
    context.fillText(classes[c], 0, row * ROW + ROW / 2, GUTTER - 6);
    context.fillStyle = colour(c);
    seconds.forEach((s, i) => {
      if (!s) return;
      context.globalAlpha = clamp(s / each, 0.2, 1);
      context.fillRect(GUTTER + (i * wide) / bins, row * ROW + 2, wide / bins, ROW - 3);
    });
    context.globalAlpha = 1;
  });
  ticks(context, low, high, list.length * ROW, (t) => whenText(t, mode, high - low));
}

function openAt(event) {
  const { starts, low, high } = span(), box = $("timeline").getBoundingClientRect();
  const t = low + ((event.clientX - box.left - GUTTER) / (box.width - GUTTER)) * (high - low);
  for (const [r, start] of starts)
    if (t >= start && t < start + r.seconds) {
      const i = list.items.findIndex((item) => item.r === r);
      if (i >= 0) list.select(i);
      else open({ r });
      seek(t - start);
      return;
    }
}

// ---- One recording ----

const GUTTER = 96, SPECTRUM = 150, CURVES = 110, LANE = 14;
const view = { r: null, from: 0, to: 1, at: 0, images: new Map(), url: null };

function ticks(context, from, to, y, text) {
  const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];
  const wide = context.wide - GUTTER, least = ((to - from) * 80) / wide;
  const step = steps.find((s) => s >= least) ?? Math.ceil(least / 86400) * 86400;
  context.fillStyle = context.soft;
  context.textBaseline = "top";
  for (let k = Math.ceil(from / step - 1e-9); k * step <= to + 1e-9; k++) {
    const x = GUTTER + ((k * step - from) / (to - from)) * wide;
    context.fillRect(x, y, 1, 5);
    if (x < context.wide - 30) context.fillText(text(k * step), x + 3, y + 4);
  }
}

function picture(number) { // an image once it is there; asks for it before
  const known = view.images.get(number);
  if (known !== undefined) return known;
  view.images.set(number, null);
  const image = new Image();
  image.onload = () => { view.images.set(number, image); drawCurves(); };
  report.item(number).then((data) => { image.src = `data:image/png;base64,${data}`; }, trouble);
  return null;
}

function* pictures({ r, from, to }) { // [image, from, to] of what is looked at
  if (r.picture < 0) return;
  const length = meta.tile / r.rate; // seconds of a picture that is no overview
  if (r.tiles && to - from <= 16 * length) {
    for (let k = Math.floor(from / length); k < Math.min(r.tiles, to / length); k++) {
      const image = picture(r.picture + 1 + k);
      if (image) yield [image, k * length, k * length + image.width / r.rate];
    }
  } else {
    const image = picture(r.picture);
    if (image) yield [image, 0, image.width * r.column];
  }
}

function drawCurves() {
  const { r, from, to } = view;
  if (!r) return;
  const lanes = [...visible].filter((c) => r.events[c].length).sort((a, b) => a - b);
  const curves = SPECTRUM + 8, events = curves + CURVES + 8, bottom = events + lanes.length * LANE;
  const context = sized($("curves"), bottom + 20), wide = context.wide - GUTTER;
  const x = (t) => GUTTER + ((t - from) / (to - from)) * wide;
  context.textBaseline = "middle";
  context.fillStyle = context.soft;
  for (const [hertz, height] of meta.hertz) context.fillText(hertz < 1000 ? `${hertz} Hz` : `${hertz / 1000} kHz`, 0, (1 - height) * SPECTRUM);
  for (const score of [0, 0.5, 1]) {
    const y = curves + (1 - score) * CURVES;
    context.fillText(`score ${score}`, 0, clamp(y, curves + 6, curves + CURVES - 6));
    context.fillStyle = context.line;
    context.fillRect(GUTTER, y, wide, 1);
    context.fillStyle = context.soft;
  }
  lanes.forEach((c, k) => context.fillText(classes[c], 0, events + k * LANE + LANE / 2, GUTTER - 6));
  ticks(context, from, to, bottom, (t) => clock(t, to - from < 5));
  context.save();
  context.beginPath();
  context.rect(GUTTER, 0, wide, bottom);
  context.clip();
  context.fillStyle = "#000";
  context.fillRect(GUTTER, 0, wide, SPECTRUM);
  for (const [image, a, b] of pictures(view)) context.drawImage(image, x(a), 0, x(b) - x(a), SPECTRUM);
  for (const c of visible) curve(context, r, c, x, curves);
  lanes.forEach((c, k) => {
    context.fillStyle = colour(c);
    for (const { onset, offset } of r.events[c])
      if (offset > from && onset < to) context.fillRect(x(onset), events + k * LANE + 2, Math.max(2, x(offset) - x(onset)), LANE - 4);
  });
  context.restore();
  moved();
}

function curve(context, r, c, x, top) { // of several cells in a pixel, the highest is drawn
  const cells = r.cells[c], y = (score) => top + (1 - score / ONE) * CURVES;
  const first = Math.max(0, Math.floor(view.from / r.hop)), last = Math.min(r.count, Math.ceil(view.to / r.hop));
  const step = Math.max(1, Math.floor((last - first) / context.wide));
  context.strokeStyle = colour(c);
  context.lineWidth = 1.5;
  context.beginPath();
  for (let k = first - (first % step); k < last; k += step) {
    let most = 0;
    for (let i = k; i < Math.min(k + step, r.count); i++) most = Math.max(most, cells[i]);
    context.lineTo(x(k * r.hop), y(most));
    context.lineTo(x(Math.min((k + step) * r.hop, r.seconds)), y(most));
  }
  context.stroke();
}

function open(item) {
  const { r } = item;
  $("detail").hidden = false;
  if (view.r !== r) {
    events.at = -1;
    Object.assign(view, { r, from: 0, to: r.seconds || 1, at: 0 });
    view.images.clear();
    $("name").textContent = r.path;
    $("trouble").textContent = [r.error, r.note].filter(Boolean).join("; ");
    for (const part of ["audio", "buttons", "plot", "events", "events-title"]) $(part).hidden = !r.count;
    sound(r);
  }
  const named = (value) => classes.filter((_, c) => r.labels[c] === value).join(", ");
  const labels = r.labels ? [`labelled: ${named(1) || "none of the classes"}`, named(null) && `unknown: ${named(null)}`] : [];
  const above = classes.flatMap((name, c) => (r.scores?.[c] > thresholds[c] ? `${name} ${shown(r.scores[c])}` : NONE));
  if (r.labels) labels.push(`found: ${above.join(", ") || "none"}`);
  const at = r.at === null ? "" : new Date(r.at * 1000).toISOString().slice(0, 19).replace("T", " ");
  $("about").textContent = [r.seconds ? long(r.seconds) : "", at, ...labels].filter(Boolean).join("; ");
  if (item.kind) visible.add(item.c);
  heard();
  if (item.kind) totals();
}

function heard() { // the events of the recording that is open
  const { r } = view;
  if (!r) return;
  const all = classes.flatMap((_, c) => r.events[c].map((event) => ({ ...event, c })));
  all.sort((a, b) => a.onset - b.onset || a.c - b.c);
  $("events-title").textContent = counted(all.length, "event");
  events.set(all, (a, b) => a.c === b.c && a.onset === b.onset);
  drawCurves();
}

function eventRow({ c, onset, offset, peak, mean }) {
  const times = make("span", { className: "time", textContent: `${clock(onset)} to ${clock(offset)}` });
  const scores = make("span", { className: "time", textContent: `peak ${shown(peak)}, mean ${shown(mean)}` });
  return make("div", {}, chip(c, classes[c]), times, scores);
}

async function sound(r) {
  const audio = $("audio");
  audio.pause();
  if (view.url) URL.revokeObjectURL(view.url);
  view.url = null;
  audio.removeAttribute("src");
  if (r.sound === null) return;
  if (typeof r.sound === "string") audio.src = r.sound;
  else {
    const data = await report.item(r.sound).catch(trouble);
    if (!data || view.r !== r) return;
    const at = audio.currentTime, wasToPlay = !audio.paused;
    view.url = URL.createObjectURL(new Blob([bytes(data)]));
    audio.src = view.url;
    audio.currentTime = at;
    if (wasToPlay) audio.play().catch(() => {});
  }
}

const trouble = (error) => { $("trouble").textContent = error.message; };

function seek(t, play = false) {
  const audio = $("audio"), wide = view.to - view.from;
  if (t < view.from || t > view.to) look(t - wide / 2, t + wide / 2);
  view.at = t;
  audio.currentTime = t;
  if (play) audio.play().catch(() => {});
  moved();
}

const now = () => ($("audio").src ? $("audio").currentTime : view.at);

function moved() { // where it plays
  const { from, to } = view, wide = $("plot").clientWidth - GUTTER, share = (now() - from) / (to - from);
  $("head").style.display = share >= 0 && share <= 1 ? "block" : "none";
  $("head").style.transform = `translateX(${GUTTER + share * wide}px)`;
  if (!$("audio").paused && share > 1) look(now(), now() + to - from);
}

function look(from, to) {
  const all = view.r.seconds, wide = clamp(to - from, Math.min(all, 0.5), all);
  view.from = clamp(from, 0, all - wide);
  view.to = view.from + wide;
  requestAnimationFrame(drawCurves);
}

function zoom(factor, around = clamp(now(), view.from, view.to)) {
  const share = (around - view.from) / (view.to - view.from), wide = (view.to - view.from) * factor;
  look(around - share * wide, around + (1 - share) * wide);
}

function toEvent(step) {
  const t = now(), list = events.items;
  const behind = list.findIndex((event) => event.onset >= t), next = behind < 0 ? list.length : behind;
  const at = events.at >= 0 ? events.at + step : next - (step < 0);
  events.select(clamp(at, 0, list.length - 1), true);
}

function plotEvents() {
  const canvas = $("curves"), time = (event) => {
    const box = canvas.getBoundingClientRect();
    return view.from + clamp((event.clientX - box.left - GUTTER) / (box.width - GUTTER), 0, 1) * (view.to - view.from);
  };
  let grip = null;
  canvas.onpointerdown = (event) => { grip = { x: event.clientX, from: view.from, moved: false }; };
  canvas.onpointermove = (event) => {
    if (!grip || !event.buttons) return;
    const by = event.clientX - grip.x, wide = view.to - view.from;
    grip.moved ||= Math.abs(by) > 4;
    if (grip.moved) look(grip.from - (by / (canvas.clientWidth - GUTTER)) * wide, grip.from + wide - (by / (canvas.clientWidth - GUTTER)) * wide);
  };
  canvas.onclick = (event) => { if (!grip?.moved) seek(time(event)); };
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.shiftKey) return;
    event.preventDefault();
    zoom(event.deltaY + event.deltaX > 0 ? 1.25 : 0.8, time(event));
  }, { passive: false });
  canvas.onkeydown = (event) => {
    const by = { ArrowLeft: -0.05, ArrowRight: 0.05 }[event.key];
    if (by) seek(clamp(now() + by * (view.to - view.from), 0, view.r.seconds));
    else if (event.key === "Enter") $("audio").play().catch(() => {});
    else return;
    event.preventDefault();
  };
  $("audio").ontimeupdate = moved;
  $("audio").onerror = () => {
    if ($("audio").src) trouble(new Error("this browser cannot play the sound, or the recording is not where it was"));
  };
}

// ---- Keys, and what is drawn when ----

const keys = {
  "/": () => $("filter").focus(), "?": () => { $("help").open = !$("help").open; $("help").scrollIntoView(); },
  j: () => list.select(Math.min(list.at + 1, list.items.length - 1)), k: () => list.select(Math.max(list.at - 1, 0)),
  n: () => toEvent(1), p: () => toEvent(-1), "+": () => zoom(0.5), "-": () => zoom(2), 0: () => look(0, view.r.seconds),
  " ": () => ($("audio").paused ? $("audio").play().catch(() => {}) : $("audio").pause()),
};

listen(keys, (key) => view.r?.count || !"np+-0 ".includes(key));

let due = null;

function refresh(all = true) { // once for all changes before the next picture; or the list alone
  if (due === null) {
    requestAnimationFrame(() => {
      const now = due;
      due = null;
      draw(now);
    });
  }
  due ||= all;
}

function draw(all) {
  list.set(wanted(), (a, b) => a.r === b.r && a.c === b.c && a.kind === b.kind);
  $("count").textContent = `${counted(list.items.length, meta.errors ? "error" : "recording")} shown`;
  if (!all) return;
  totals();
  const failed = recordings.filter((r) => r.error).length, hours = recordings.reduce((sum, r) => sum + r.seconds, 0);
  const parts = [counted(recordings.length, "recording") + (folder && ` in ${folder}`), long(hours), failed ? `${failed} with errors` : ""];
  $("summary").textContent = parts.filter(Boolean).join(", ");
  $("times").hidden = meta.errors || recordings.length < 2 || !visible.size;
  if (!$("times").hidden) timeline();
  heard();
}

const list = new LongList($("list"), 34, listRow, open, (item, clicked) => {
  if (!clicked && item.r.count) $("audio").play().catch(() => {});
});
const events = new LongList($("events"), 30, eventRow, (event) => seek(event.onset), (event) => seek(event.onset, true));

async function start() {
  document.title = $("title").textContent = meta.title;
  $("list-title").textContent = meta.errors ? "Errors, the surest first" : "Recordings";
  $("made").textContent = meta.made;
  classTable();
  ruleInputs();
  filters();
  plotEvents();
  for (const [id, act] of Object.entries({ before: () => toEvent(-1), after: () => toEvent(1), in: () => zoom(0.5),
    out: () => zoom(2), all: () => look(0, view.r.seconds) })) $(id).onclick = act;
  $("timeline").onclick = openAt;
  $("clock").onchange = dark.onchange = () => refresh();
  addEventListener("resize", () => refresh());
  let next = 0;
  for (let k = 0; k < meta.lists; k++) {
    receive(await report.get(`list${k}`));
    report.parts.delete(`list${k}`);
    if (performance.now() < next) continue;
    refresh(); // the first at once
    next = performance.now() + 500;
  }
  const dated = recordings.length > 1 && recordings.every((r) => r.at !== null || r.error);
  for (const option of $("clock").options) option.disabled = option.value !== "order" && !dated;
  if (dated) $("clock").value = "date";
  if (C > 20) visible = new Set(mostHeard(12));
  refresh();
  requestAnimationFrame(() => {
    if (list.items.length === 1 || meta.errors) list.select(0);
    document.body.dataset.ready = "yes";
    performance.mark("all read");
  });
}

function mostHeard(count) {
  const sums = classes.map((_, c) => recordings.reduce((sum, r) => sum + r.events[c].length, 0));
  return [...classes.keys()].filter((c) => sums[c]).sort((a, b) => sums[b] - sums[a]).slice(0, count);
}

start().catch((error) => { $("summary").textContent = error.message; });
