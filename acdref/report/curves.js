// The page of training: `curves.html` of a run, which may go on, and `acdref compare --out` of several.

const LEFT = 46, HIGH = 170, HIGHER = 280, MOST = 30; // of a chart, in pixels; classes in the table of epochs
const EVERY = 5000; // milliseconds between two looks at a run that goes on
const titles = { loss: "Loss", lr: "Learning rate" };
const state = { at: null, hover: null, off: new Set(), drawn: null, which: 0 }; // at null: the epoch that is kept
let text = "", data = null, charts = [];

const title = (column) => titles[column] ?? column.replace(/^val_/, "Validation ");
const inner = (column) => title(column).replace(/^./, (first) => first.toLowerCase()); // within a sentence
const several = () => data.runs.length > 1;
const colourOfRun = (k) => colourOf(k, data.runs.length);
const figures = () => [...new Set(data.runs.flatMap((run) => run.columns))].filter((c) => c !== "epoch" && !c.startsWith(data.ap));
const classes = () => [...new Set(data.runs.flatMap((run) => run.columns))].filter((c) => c.startsWith(data.ap)).map((c) => c.slice(data.ap.length));
const value = (run, row, column) => run.rows[row]?.[run.columns.indexOf(column)] ?? null;
const last = () => Math.max(...data.runs.map((run) => run.rows.length));
const rowAt = (run) => { // the row that the legends tell of
  const at = state.hover ?? state.at;
  return at === null ? run.kept : at - 1;
};

function number(x) {
  if (x === null) return "\u2013";
  return x !== 0 && Math.abs(x) < 0.001 ? x.toExponential(2) : String(Number(x.toPrecision(4)));
}

// ---- Charts: lines over epochs ----

function lines(columns) { // of one chart: { run, k, column, colour, dashed, name }
  return data.runs.flatMap((run, k) => state.off.has(run.name) ? [] : columns.filter((c) => run.columns.includes(c)).map((column, i) => ({
    run, k, column, colour: colourOfRun(k), dashed: i > 0,
    name: several() ? run.name + (i ? ` (${inner(column)})` : "") : i ? inner(column) : columns.length > 1 ? "training" : "",
  })));
}

function nice(step) { // the next of 1, 2, 5, 10, ...
  const power = 10 ** Math.floor(Math.log10(step));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= step * (1 - 1e-9));
}

function draw(canvas, drawn, height = HIGH, bounds = null) {
  const context = sized(canvas, height), wide = context.wide - LEFT - 8, high = height - 26, epochs = Math.max(2, last());
  const all = drawn.flatMap(({ run, column }) => run.rows.map((_, i) => value(run, i, column))).filter((v) => v !== null);
  let [low, top] = bounds ?? (all.length ? extremes(all) : [0, 1]);
  if (top - low < 1e-9 * Math.max(1, Math.abs(top))) [low, top] = [low - (Math.abs(low) || 1) / 2, top + (Math.abs(top) || 1) / 2];
  const step = nice((top - low) / 4);
  low = Math.floor(low / step + 1e-9) * step;
  top = Math.ceil(top / step - 1e-9) * step;
  const x = (epoch) => LEFT + ((epoch - 1) / (epochs - 1)) * wide, y = (v) => 8 + (1 - (v - low) / (top - low)) * high;
  grid(context, { low, top, step, x, y, epochs, wide, height });
  const at = state.hover ?? state.at;
  context.fillStyle = context.soft;
  if (at !== null) context.fillRect(x(at) - 0.5, 8, 1, high);
  for (const { run, column, colour, dashed } of drawn) {
    context.strokeStyle = context.fillStyle = colour;
    context.lineWidth = 1.8;
    context.setLineDash(dashed ? [5, 4] : []);
    context.beginPath();
    let pen = false; // a value that is missing leaves a gap
    run.rows.forEach((_, i) => {
      const v = value(run, i, column);
      if (v !== null) context[pen ? "lineTo" : "moveTo"](x(i + 1), y(v));
      pen = v !== null;
    });
    context.stroke();
    context.setLineDash([]);
    const dots = run.rows.length <= 40 ? run.rows.keys() : [run.kept];
    for (const i of dots) {
      const v = value(run, i, column);
      if (v === null) continue;
      context.beginPath();
      context.arc(x(i + 1), y(v), i === run.kept ? 4.5 : 1.8, 0, 2 * Math.PI);
      context.fill();
    }
  }
}

function extremes(values) { // of any number of them
  return values.reduce(([low, top], v) => [Math.min(low, v), Math.max(top, v)], [Infinity, -Infinity]);
}

function grid(context, { low, top, step, x, y, epochs, wide, height }) {
  context.textBaseline = "middle";
  context.textAlign = "right";
  for (let k = 0; low + k * step <= top + step / 2; k++) {
    const v = Number((low + k * step).toPrecision(10));
    context.fillStyle = context.line;
    context.fillRect(LEFT, Math.round(y(v)), wide, 1);
    context.fillStyle = context.soft;
    context.fillText(number(v), LEFT - 6, y(v), LEFT - 8);
  }
  context.textAlign = "center";
  context.textBaseline = "top";
  const each = Math.max(1, nice((epochs * 44) / wide));
  for (let epoch = each > 1 ? each : 1; epoch <= epochs; epoch += each) context.fillText(epoch, x(epoch), height - 14);
  context.textAlign = "left";
}

function legend(box, drawn) {
  box.replaceChildren(...drawn.map(({ run, column, colour, dashed, name }) => {
    const swatch = make("span", { className: `swatch${dashed ? " dashes" : ""}` });
    swatch.style[dashed ? "borderColor" : "background"] = colour;
    return make("span", {}, swatch, `${name} ${number(value(run, rowAt(run), column))}`.trim());
  }));
}

function pointed(canvas) {
  const epoch = (event) => {
    const box = canvas.getBoundingClientRect(), share = (event.clientX - box.left - LEFT) / (box.width - LEFT - 8);
    return clamp(Math.round(1 + share * (Math.max(2, last()) - 1)), 1, last());
  };
  canvas.onpointermove = (event) => { state.hover = epoch(event); refresh(); };
  canvas.onpointerleave = () => { state.hover = null; refresh(); };
  canvas.onclick = (event) => { state.at = epoch(event); refresh(); };
}

// ---- Tables ----

function fill(id, heads, rows) { // heads, and rows of cells: text, or nodes
  const head = make("tr", {}, ...heads.map((text, i) => make("th", { scope: "col", textContent: text, className: i ? "number" : "" })));
  const body = rows.map(({ cells, ...values }) => make("tr", values, ...cells.map((cell, i) => {
    if (cell.nodeName === "TD") return cell;
    return make("td", { className: i ? "number" : "name", title: i ? "" : cell.textContent ?? cell }, cell);
  })));
  $(id).replaceChildren(make("thead", {}, head), make("tbody", {}, ...body));
}

function ticked(id, type, checked, colour, name, act) {
  const input = make("input", { id, type, checked, name: type === "radio" ? id.split("-")[0] : "" });
  input.onchange = () => { act(input.checked); refresh(); };
  const swatch = make("span", { className: "swatch" });
  if (colour) swatch.style.background = colour;
  return make("label", {}, input, ...(colour ? [swatch] : [" "]), name);
}

function runTable() {
  const columns = figures(), names = columns.map(inner);
  fill("runs", ["run", "epochs", "kept", ...names], data.runs.map((run, k) => ({ cells: [
    several() ? ticked(`run-${k}`, "checkbox", !state.off.has(run.name), colourOfRun(k), run.name,
      (on) => state.off[on ? "delete" : "add"](run.name)) : run.name,
    `${run.rows.length} of ${run.planned}`, `epoch ${run.kept + 1}`, ...columns.map((c) => number(value(run, run.kept, c))),
  ] })));
}

function classTable() {
  const names = classes();
  $("ap").hidden = !names.length;
  state.drawn ??= new Set(several() ? names.slice(0, 1) : names.length > 16 ? names.slice(0, 12) : names);
  const tick = (name, c) => ticked(`class-${c}`, several() ? "radio" : "checkbox", state.drawn.has(name),
    several() ? null : colourOf(c, names.length), name, (on) => {
      if (several()) state.drawn.clear();
      state.drawn[on ? "add" : "delete"](name);
    });
  const ap = (run, row, name) => value(run, row, data.ap + name);
  const heads = several() ? data.runs.map((run) => run.name) : ["kept", "last", "highest", ""];
  fill("classes", ["class", ...heads], names.map((name, c) => {
    if (several()) return { cells: [tick(name, c), ...data.runs.map((run) => number(ap(run, run.kept, name)))] };
    const [run] = data.runs, all = run.rows.map((_, i) => ap(run, i, name)).filter((v) => v !== null);
    const bar = make("div");
    bar.style.cssText = `width: ${100 * (ap(run, run.kept, name) ?? 0)}%; background: ${colourOf(c, names.length)}`;
    const shown = [ap(run, run.kept, name), ap(run, run.rows.length - 1, name), all.length ? extremes(all)[1] : null];
    return { cells: [tick(name, c), ...shown.map(number), make("td", { className: "bar" }, bar)] };
  }));
}

function epochTable() {
  const run = data.runs[state.which], columns = run.columns.filter((c) => c !== "epoch");
  const some = columns.filter((c) => !c.startsWith(data.ap) || classes().length <= MOST);
  $("which-label").hidden = !several();
  if ($("which").options.length !== data.runs.length)
    $("which").replaceChildren(...data.runs.map((each, k) => make("option", { value: k, textContent: each.name })));
  fill("epochs", ["epoch", ...some.map((c) => (c.startsWith(data.ap) ? c : inner(c)))], run.rows.map((_, i) => ({
    className: i === run.kept ? "kept" : "",
    cells: [`${i + 1}${i === run.kept ? " (kept)" : ""}`, ...some.map((c) => number(value(run, i, c)))],
  })));
}

function optionTable() {
  const names = [...new Set([...data.differ, ...data.runs.flatMap((run) => Object.keys(run.options))])];
  const cell = (text) => make("td", { className: "text", title: text, textContent: text });
  fill("options", ["option", ...(several() ? data.runs.map((run) => run.name) : ["value"])], names.map((name) => ({
    className: data.differ.includes(name) ? "kept" : "", cells: [name, ...data.runs.map((run) => cell(run.options[name] ?? "\u2013"))],
  })));
  for (const head of $("options").querySelectorAll("th")) head.className = "";
}

// ---- What is there, and what is drawn when ----

function summary() {
  if (several()) {
    const open = data.runs.filter((run) => run.rows.length < run.planned).length;
    return `${data.runs.length} runs${open ? `, ${open} of them unfinished` : ""}`;
  }
  const [run] = data.runs, measure = `val_${run.keep}`, reached = number(value(run, run.kept, measure));
  const why = run.keep === "last" ? "the last" : `the ${run.keep === "loss" ? "lowest" : "highest"} ${inner(measure)}, ${reached}`;
  const done = `${run.rows.length} of ${counted(run.planned, "epoch")} done`;
  return `${done}; weights of epoch ${run.kept + 1} are kept: ${why}${data.live ? "; this page goes on by itself" : ""}`;
}

function take(found) { // data that has changed, or the first
  [text, data] = [found, JSON.parse(found)];
  const focused = document.activeElement?.id;
  document.title = $("title").textContent = data.title;
  $("runs-title").textContent = several() ? "Runs" : "Run";
  $("made").textContent = data.made;
  $("summary").textContent = summary();
  state.which = Math.min(state.which, data.runs.length - 1);
  tables();
  const columns = figures(), own = columns.filter((c) => c !== "val_loss" || !columns.includes("loss"));
  if (own.join() !== charts.map((chart) => chart.columns[0]).join()) {
    charts = own.map((column) => {
      const canvas = make("canvas", { ariaLabel: `${title(column)}, epoch by epoch; the table below has the numbers` });
      canvas.setAttribute("role", "img");
      const chart = { columns: column === "loss" ? ["loss", "val_loss"] : [column], canvas, box: make("span", { className: "legend" }) };
      chart.figure = make("figure", {}, make("figcaption", {}, title(column), chart.box), canvas);
      pointed(canvas);
      return chart;
    });
    $("charts").replaceChildren(...charts.map((chart) => chart.figure));
  }
  if (focused) $(focused)?.focus({ preventScroll: true });
  refresh();
}

function tables() {
  runTable();
  classTable();
  epochTable();
  optionTable();
}

function readout() {
  const at = state.hover ?? state.at;
  if (at !== null) return `At epoch ${at}`;
  return several() ? "Each at the epoch that it keeps" : `At epoch ${data.runs[0].kept + 1}, which is kept`;
}

let due = false;

function refresh() { // once for all changes before the next picture
  if (due) return;
  due = true;
  requestAnimationFrame(() => {
    due = false;
    if (state.at !== null) state.at = clamp(state.at, 1, last());
    $("readout").textContent = readout();
    for (const { columns, canvas, box } of charts) {
      const drawn = lines(columns.filter((c) => figures().includes(c)));
      legend(box, drawn);
      draw(canvas, drawn);
    }
    const names = classes(), chosen = names.filter((name) => state.drawn.has(name));
    if (!names.length) return;
    const drawn = several() ? lines(chosen.map((name) => data.ap + name)) : chosen.map((name) => ({
      run: data.runs[0], column: data.ap + name, colour: colourOf(names.indexOf(name), names.length), dashed: false, name,
    }));
    $("ap-name").textContent = several() ? chosen.join("") : "";
    legend($("ap-legend"), drawn);
    draw($("ap-chart"), drawn, HIGHER, [0, 1]);
  });
}

function go(epoch) {
  state.at = epoch === null ? null : clamp(epoch, 1, last());
  refresh();
}

const step = (by) => go((state.at ?? data.runs[0].kept + 1) + by);
listen({
  ArrowLeft: () => step(-1), ArrowRight: () => step(1), Home: () => go(1), End: () => go(last()), b: () => go(null),
  "?": () => { $("help").open = !$("help").open; $("help").scrollIntoView(); },
});

// ---- A run that goes on: this very page, opened once more and out of sight, sends what is in it by now ----

function look() {
  const address = new URL(location.href), frame = make("iframe", { hidden: true });
  address.search = `?${Date.now()}`; // else it would be a page within itself
  address.hash = "#data";
  const heard = (event) => {
    if (event.source !== frame.contentWindow) return;
    removeEventListener("message", heard);
    frame.remove();
    if (typeof event.data === "string" && event.data !== text) take(event.data);
  };
  addEventListener("message", heard);
  setTimeout(() => { removeEventListener("message", heard); frame.remove(); }, EVERY);
  frame.src = address.href;
  document.body.append(frame);
}

function start() {
  take($("meta").textContent);
  pointed($("ap-chart"));
  for (const [id, act] of Object.entries({ back: () => step(-1), on: () => step(1), best: () => go(null) })) $(id).onclick = act;
  $("which").onchange = () => { state.which = Number($("which").value); epochTable(); };
  dark.onchange = () => { tables(); refresh(); };
  addEventListener("resize", refresh);
  setInterval(() => { if (data.live && !document.hidden) look(); }, EVERY);
  document.addEventListener("visibilitychange", () => { if (data.live && !document.hidden) look(); });
  requestAnimationFrame(() => { document.body.dataset.ready = "yes"; });
}

if (parent !== window && location.hash === "#data") parent.postMessage($("meta").textContent, "*");
else start();
