/** Charts as SVG: blocks as bars with a tick per validator, a line over time, a matrix. Each has its words beside it. */

import { s } from "./ui.js";

const BAR = 10;
const GAP = 3;
const HIGH = 96;
const TICK = 5;

/** Up to `slots` blocks, oldest first: a bar for its transactions, and under it a tick per validator, filled if it signed. */
export function blockChart(blocks, slots, names, label, titleOf) {
  const most = Math.max(1, ...blocks.map((block) => block.transaction_count));
  const width = slots * (BAR + GAP);
  const height = HIGH + 8 + names.length * (TICK + 2);
  const chart = s("svg", { class: "blocks", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  blocks.forEach((block, index) => {
    const x = index * (BAR + GAP);
    const tall = 3 + ((HIGH - 3) * Math.log1p(block.transaction_count)) / Math.log1p(most);
    const group = s("g", { "data-height": block.height }, s("title", {}, titleOf(block)));
    const empty = block.transaction_count === 0;
    group.append(s("rect", { class: empty ? "bar none" : "bar", x, y: HIGH - tall, width: BAR, height: tall, rx: 1 }));
    names.forEach((name, row) => {
      const signed = block.signers.includes(name);
      const y = HIGH + 6 + row * (TICK + 2) + (signed ? 0 : TICK / 2 - 0.5);
      group.append(s("rect", { class: signed ? "tick" : "tick missing", x, y, width: BAR, height: signed ? TICK : 1 }));
    });
    chart.append(group);
  });
  return chart;
}

/** A line of [time, value] with a filled foot, from the first to the last. */
export function stepChart(points, label) {
  const [width, height] = [600, 120];
  const chart = s("svg", { class: "steps", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  if (points.length < 2) return chart;
  const [from, to] = [points[0][0], points.at(-1)[0]];
  const top = Math.max(1, ...points.map(([, value]) => value));
  const at = ([time, value]) => [((time - from) / (to - from || 1)) * width, height - 4 - (value / top) * (height - 12)];
  let path = "";
  points.forEach((point, index) => {
    const [x, y] = at(point);
    path += index === 0 ? `M${x.toFixed(1)} ${y.toFixed(1)}` : `H${x.toFixed(1)}V${y.toFixed(1)}`;
  });
  chart.append(s("path", { class: "area", d: `${path}V${height}H0Z` }), s("path", { class: "curve", d: path }));
  return chart;
}

/** Rows of cells that are good, late or bad; each cell has a shape of its own beside its colour. */
export function matrix(rows, label) {
  const [cell, gap] = [12, 2];
  const columns = Math.max(1, ...rows.map((row) => row.cells.length));
  const [width, height] = [columns * (cell + gap), rows.length * (cell + gap)];
  const chart = s("svg", { class: "matrix", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  rows.forEach((row, y) => {
    row.cells.forEach(({ kind, title }, x) => {
      const [left, top] = [x * (cell + gap), y * (cell + gap)];
      const group = s("g", {}, s("title", {}, title));
      group.append(s("rect", { class: `cell ${kind}`, x: left, y: top, width: cell, height: cell, rx: 2 }));
      if (kind === "missing") group.append(s("path", { class: "cross", d: `M${left + 3} ${top + 3}l6 6m0-6l-6 6` }));
      chart.append(group);
    });
  });
  return chart;
}
