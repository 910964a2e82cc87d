"use strict";
// What the pages share: no libraries.  Whatever was named by somebody else is set as text, never as HTML.

const $ = (id) => document.getElementById(id);
const make = (tag, values = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), values);
  node.append(...children);
  return node;
};
const clamp = (x, low, high) => Math.min(Math.max(x, low), high);
const counted = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;
const dark = matchMedia("(prefers-color-scheme: dark)");

function colourOf(c, count) { // of so many; neighbours differ in lightness, too
  const hue = Math.round(count > 16 ? c * 137.508 : (c * 360) / count);
  return `hsl(${(hue + 210) % 360} 75% ${(dark.matches ? [60, 78] : [33, 50])[c % 2]}%)`;
}

function sized(canvas, height) {
  const wide = canvas.parentElement.clientWidth, scale = devicePixelRatio || 1;
  canvas.style.height = `${height}px`;
  canvas.width = Math.round(wide * scale);
  canvas.height = Math.round(height * scale);
  const context = canvas.getContext("2d"), style = getComputedStyle(document.documentElement);
  context.scale(scale, scale);
  context.font = "12px system-ui, sans-serif";
  return Object.assign(context, {
    wide, soft: style.getPropertyValue("--soft"), line: style.getPropertyValue("--line"),
  });
}

function listen(keys, may = () => true) { // key -> what it does, unless something else is meant
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input:not([type=checkbox], [type=radio], [type=range]), select, textarea");
    const pressing = event.key === " " && event.target.matches("input, button, summary, audio, .scroll");
    const moving = /^(Arrow|Home|End)/.test(event.key) && event.target.matches("input, .scroll, .list");
    if (typing || pressing || moving || event.ctrlKey || event.metaKey || event.altKey) return;
    if (!keys[event.key] || !may(event.key)) return;
    event.preventDefault();
    keys[event.key]();
  });
}
