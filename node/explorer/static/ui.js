/** What all pages are made of: elements, tables, lights, times, tiles. Text goes in as text, never as markup. */

import { formatAccount, formatClock, formatTime, formatUtc } from "./som/som.js";

const SVG = "http://www.w3.org/2000/svg";

/** An element: h("p", {class: "lead", onclick: f}, "text", h("b", {}, "more"), null). */
export function h(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** The same for SVG. */
export function s(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Puts new children in the place of the old ones; what had the focus has it afterwards, by its href or data-key. */
export function replace(element, ...children) {
  const focused = element.contains(document.activeElement) ? document.activeElement : null;
  const key = focused && (focused.dataset.key ?? focused.getAttribute("href"));
  const fresh = children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
  element.replaceChildren(...fresh);
  if (!key) return;
  const again = [...element.querySelectorAll("[data-key], a[href]")].find(
    (other) => (other.dataset.key ?? other.getAttribute("href")) === key,
  );
  again?.focus({ preventScroll: true });
}

/** A piece of a page: a title, and what comes under it. */
export const panel = (title, ...children) => h("section", { class: "panel" }, h("h2", {}, title), ...children);

/** A number that matters, with its name. */
export const tile = (name, value, more = null, kind = "") =>
  h("div", { class: `tile ${kind}` }, h("dt", {}, name), h("dd", {}, value, more && h("small", {}, more)));

export const tiles = (...items) => h("dl", { class: "tiles" }, ...items);

/** A state by shape, word and colour: none of them alone. Kinds: good, warn, bad, off. */
export function light(kind, text) {
  const shapes = { good: "●", warn: "▲", bad: "■", off: "○" };
  return h("span", { class: `light ${kind}` }, h("span", { "aria-hidden": "true" }, shapes[kind]), " ", text);
}

/** A table; `columns` are [name, "number" for what is aligned right]. It scrolls by itself where it is too wide. */
export function table(caption, columns, rows, empty) {
  if (!rows.length) return h("p", { class: "empty" }, empty);
  const head = h("tr", {}, columns.map(([name, kind]) => h("th", { scope: "col", class: kind }, name)));
  const body = rows.map((row) => {
    const cells = Array.isArray(row) ? row : row.cells;
    const attributes = Array.isArray(row) ? {} : row.attributes;
    return h("tr", attributes, cells.map((cell, index) => h("td", { class: columns[index][1] }, cell)));
  });
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h("table", {}, h("caption", { class: "hidden" }, caption), h("thead", {}, head), h("tbody", {}, body)),
  );
}

/** Pairs of a name and a value. */
export const facts = (...pairs) =>
  h("dl", { class: "facts" }, pairs.filter(Boolean).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));

/** A time in Bishkek; the pointer shows it in UTC. */
export const time = (timeMs, clockOnly = false) =>
  h(
    "time",
    { datetime: new Date(timeMs).toISOString(), title: formatUtc(timeMs) },
    clockOnly ? formatClock(timeMs) : formatTime(timeMs),
  );

/** A hash, short, whole for the pointer, and a link if it leads somewhere. */
export function hash(hex, href = null, digits = 12) {
  const short = hex.length > digits ? `${hex.slice(0, digits)}…` : hex;
  return href ? h("a", { class: "mono", href, title: hex }, short) : h("span", { class: "mono", title: hex }, short);
}

export const accountLink = (account) => h("a", { class: "mono", href: `#/account/${account}` }, formatAccount(account));
export const paymentLink = (id) => hash(id, `#/payment/${id}`);
export const blockLink = (height, text) => h("a", { href: `#/block/${height}` }, text);

/** A field with its name, and what is wrong with it. */
export function field(label, input, hint = null) {
  const id = `field-${(field.count = (field.count ?? 0) + 1)}`;
  input.id = id;
  return h("div", { class: "field" }, h("label", { for: id }, label), input, hint && h("small", {}, hint));
}

/** A form of one line: `submit(event)` is called, and the page does not go anywhere. */
export function form(submit, ...children) {
  return h(
    "form",
    {
      class: "line",
      onsubmit: (event) => {
        event.preventDefault();
        submit(event);
      },
    },
    ...children,
  );
}

export const button = (text, onclick, attributes = {}) => h("button", { type: "button", onclick, ...attributes }, text);

/** A share of a whole, said in words too. */
export function progress(done, whole, label) {
  const share = whole > 0 ? Math.min(1, done / whole) : 0;
  const bar = s("svg", { class: "progress", viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true" });
  bar.append(s("rect", { class: "track", width: 100, height: 4 }), s("rect", { class: "done", width: share * 100, height: 4 }));
  return h(
    "div",
    { role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": Math.round(share * 100), "aria-label": label },
    bar,
  );
}

export const loading = (t) => h("p", { class: "empty", "aria-busy": "true" }, t("loading"));

/** What went wrong, in words that say what to do. */
export function problem(error, t) {
  const known = ["unauthorized", "forbidden", "not_found", "rate_limited", "syncing", "pruned", "unreachable", "invalid_params"];
  const text = known.includes(error.name) ? t(`error.${error.name}`) : error.message;
  const detail = error.data?.expected ? `${error.data.path ?? ""} ${error.data.expected}`.trim() : "";
  return h("div", { class: "problem", role: "alert" }, h("p", {}, text), detail && h("p", { class: "detail" }, detail));
}
