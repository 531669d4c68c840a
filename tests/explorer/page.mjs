// The explorer's pages without a browser: a document of a few lines, a node that answers from a table, and a clock.
import { mock } from "node:test";
import { readFileSync } from "node:fs";
import "./som.mjs";

const STATIC = new URL("../../node/explorer/static/", import.meta.url);
const GIVEN = ["title", "network", "tools", "pages", "state", "access", "page", "foot", "skip"];
process.removeAllListeners("warning"); // the clock of node:test is called an experiment by Node.js 20
export const plain = (text) => text.replaceAll("\u00a0", " ");

/** As much of an element as pages use. */
class Element {
  constructor(name) {
    Object.assign(this, { name, attributes: {}, children: [], dataset: {}, heard: {} });
  }
  setAttribute(name, value) {
    this.attributes[name] = value;
    if (name.startsWith("data-")) this.dataset[name.slice(5)] = value;
    if (name === "value") this.value = value;
  }
  getAttribute(name) {
    return this.attributes[name] ?? null;
  }
  removeAttribute(name) {
    delete this.attributes[name];
  }
  addEventListener(kind, hear) {
    this.heard[kind] = hear;
  }
  append(...children) {
    this.children.push(...children);
  }
  replaceChildren(...children) {
    this.children = children;
  }
  contains() {
    return false;
  }
  focus() {}
  /** All elements in it that `matches` is true of. */
  all(matches) {
    const elements = this.children.filter((child) => child instanceof Element);
    return elements.flatMap((child) => [...(matches(child) ? [child] : []), ...child.all(matches)]);
  }
  querySelectorAll(name) {
    return this.all((each) => each.name === name);
  }
  querySelector(name) {
    return this.querySelectorAll(name)[0] ?? null;
  }
  get textContent() {
    return this.children.map((child) => (child instanceof Element ? child.textContent : String(child))).join(" ");
  }
  set textContent(text) {
    this.children = [text];
  }
  /** What a tile says: tile("Paid"). */
  tile(name) {
    const found = this.all((each) => each.name === "dt" && each.textContent === name);
    const dl = this.all((each) => each.children.includes(found[0]))[0];
    return plain(dl.children[1].textContent);
  }
}

class Socket {
  static last = null;
  static refused = ""; // a topic
  constructor() {
    Socket.last = this;
    this.sent = [];
  }
  send(text) {
    const call = JSON.parse(text);
    this.sent.push(call);
    const result = { subscription: this.sent.length, cursor: "c" };
    const error = { code: -32006, message: "no", data: { name: "limit_exceeded" } };
    const reply = call.params.topic === Socket.refused ? { error } : { result };
    queueMicrotask(() => this.onmessage({ data: JSON.stringify({ id: call.id, ...reply }) }));
  }
  close() {}
}

let loads = 0;
const IDLE = 20; // turns without a question: nobody waits for an answer

/** Loads the explorer. Its node answers by `methods`, a function of params each, which may throw {name, retryable}. */
export async function explorer(methods, { live = false, refused = "", hash = "" } = {}) {
  Socket.refused = refused;
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: 1_800_000_000_000 });
  const [asked, errors, hears] = [[], [], {}];
  const elements = new Map(GIVEN.map((id) => [id, new Element(id)]));
  const answer = ({ id, method, params }) => {
    asked.push({ method, params });
    try {
      if (!methods[method]) throw { name: "not_found" };
      return { id, result: methods[method](params) };
    } catch (data) {
      if (data instanceof Error) throw data;
      return { id, error: { code: -1, message: data.name, data } };
    }
  };
  const fetch = async (url, options) => {
    const read = async () => JSON.parse(readFileSync(new URL(url, STATIC)));
    if (!options?.body) return { json: read, text: async () => "" };
    const body = JSON.parse(options.body);
    return { json: async () => (Array.isArray(body) ? body.map(answer) : answer(body)) };
  };
  const storage = { getItem: () => null, setItem() {}, removeItem() {} };
  const create = (name) => new Element(name);
  const globals = {
    document: {
      documentElement: new Element("html"), body: new Element("body"), activeElement: null, hidden: false, title: "",
      getElementById: (id) => elements.get(id), createElement: create, createElementNS: (_, name) => create(name),
    },
    location: { hash, search: "?lang=en", origin: "http://node:1", href: "http://node:1/explorer/" },
    history: { replaceState() {} },
    navigator: { languages: [] },
    localStorage: storage,
    sessionStorage: storage,
    WebSocket: live ? Socket : undefined,
    addEventListener: (kind, hear) => (hears[kind] = hear),
    scrollTo() {},
    fetch,
  };
  const console = globalThis.console.error;
  globalThis.console.error = (error) => errors.push(error);
  for (const [name, value] of Object.entries(globals)) {
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  }
  const opened = {
    asked,
    errors,
    page: elements.get("page"),
    count: (method) => asked.filter((each) => each.method === method).length,
    /** Lets everything happen that waits for nothing but its turn. */
    async settle() {
      for (let [idle, before] = [0, -1]; idle < IDLE; idle = asked.length === before ? idle + 1 : 0) {
        before = asked.length;
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
    async go(hash) {
      location.hash = hash;
      hears.hashchange();
      await opened.settle();
    },
    async wait(ms) {
      for (let gone = 0; gone < ms; gone += 500) {
        mock.timers.tick(500);
        await opened.settle();
      }
    },
    /** Tells an event of the subscription to a topic that began last. */
    async tell(topic, event) {
      const calls = Socket.last.sent;
      const subscription = calls.findLastIndex((call) => call.params.topic === topic) + 1;
      const params = { subscription, cursor: "c", ...event };
      Socket.last.onmessage({ data: JSON.stringify({ method: "sub_event", params }) });
      await opened.settle();
    },
    /** Breaks the WebSocket, and opens the next one after `ms`. */
    async cut(ms) {
      Socket.last.onclose({ code: 1006 });
      await opened.wait(ms);
      Socket.last.onopen();
      await opened.settle();
    },
    /** Fills a form in, by the names of its fields, and sends it. */
    async submit(fields) {
      const forms = opened.page.querySelectorAll("form");
      const form = forms.find((each) => Object.keys(fields).every((name) => input(each, name)));
      for (const [name, value] of Object.entries(fields)) input(form, name).value = value;
      form.heard.submit({ preventDefault() {} });
      await opened.settle();
    },
    close() {
      globalThis.console.error = console;
      mock.timers.reset();
    },
  };
  await import(new URL(`app.js?${(loads += 1)}`, STATIC));
  while (!document.body.dataset.ready) await opened.settle();
  if (live) Socket.last.onopen();
  await opened.settle();
  return opened;
}

function input(form, name) {
  const field = form.all((each) => each.attributes.class === "field").find((each) => each.textContent.startsWith(name));
  return field?.querySelector("input");
}
