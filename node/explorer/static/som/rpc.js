/** JSON-RPC 2.0 over fetch, and subscriptions over one WebSocket that comes back by itself.
 *
 * One rule: an event is told once. After a broken connection each subscription goes on from its last cursor, so a page
 * neither misses a block nor counts one twice. Whoever cannot have a WebSocket hears of it, and asks instead.
 */

const CALL_MS = 15_000;
const BATCH_MAX = 50; // calls of one request that a node takes
const SILENCE_MS = 45_000; // three heartbeats of the node
const RETRY_MS = [500, 1_000, 2_000, 5_000, 10_000];
const WITHOUT_CURSOR = new Set(["consensus"]); // what is a hint begins now
const CLOSED_UNAUTHORIZED = 4001;

export class RpcError extends Error {
  /** What the node answered: a code, a name that never changes its meaning, details; `again`: it may pass by itself. */
  constructor({ code, message, data }) {
    super(message);
    this.code = code;
    this.name = data?.name ?? "error";
    this.data = data ?? {};
    this.again = this.data.retryable === true;
  }
}

export class Unreachable extends Error {
  /** Nothing that could be understood came back. */
  constructor(cause) {
    super(String(cause?.message ?? cause));
    this.name = "unreachable";
    this.again = true;
  }
}

export class Rpc {
  /** `url` is the node's origin; `fetch` and `WebSocket` may be others', as in tests. */
  constructor({ url, token = "", language = "en", fetch = globalThis.fetch.bind(globalThis), WebSocket = globalThis.WebSocket }) {
    this._url = url.replace(/\/$/, "");
    this._token = token;
    this._language = language;
    this._fetch = fetch;
    this._WebSocket = WebSocket;
    this._next = 1;
    this._wanted = new Map(); // our number -> {topic, params, onEvent, cursor, id}
    this._calls = new Map(); // id of a call on the socket -> {resolve, reject}
    this._listeners = new Set();
    this._socket = null;
    this._tries = 0;
    this._timer = null;
    this._silence = null;
    this._closed = false;
    this.state = "idle"; // idle, connecting, live, down
  }

  /** Calls a method; resolves to its result. Rejects with RpcError or Unreachable. */
  async call(method, params = {}, signal = undefined) {
    const [reply] = await this._post([{ method, params }], signal);
    if (reply instanceof Error) throw reply;
    return reply;
  }

  /** Calls many at once, [[method, params], ...]; resolves to results, or errors in their place. */
  async batch(calls, signal = undefined) {
    const replies = [];
    for (let from = 0; from < calls.length; from += BATCH_MAX) {
      const part = calls.slice(from, from + BATCH_MAX).map(([method, params]) => ({ method, params: params ?? {} }));
      replies.push(...(await this._post(part, signal)));
    }
    return replies;
  }

  /** All pages of a list, up to `pages` of them, as one array of what is under `name`. */
  async pages(method, params, name, pages = 5, signal = undefined) {
    const found = [];
    let cursor = null;
    for (let page = 0; page < pages; page += 1) {
      const result = await this.call(method, cursor ? { ...params, cursor } : params, signal);
      found.push(...result[name]);
      cursor = result.next_cursor;
      if (!cursor) break;
    }
    return { items: found, more: cursor !== null };
  }

  /** Tells `onEvent(event)` of a topic from now on; `onError` once, if the node refuses. Returns how to stop it. */
  subscribe(topic, params, onEvent, onError = () => {}) {
    const number = this._next++;
    const wanted = { topic, params, onEvent, onError, cursor: null, id: null };
    this._wanted.set(number, wanted);
    if (this.state === "live") this._ask(wanted);
    else this._connect();
    return () => {
      this._wanted.delete(number);
      if (wanted.id !== null && this.state === "live") this._send("sub_unsubscribe", { subscription: wanted.id }).catch(() => {});
    };
  }

  /** Hears of `state`, now and whenever it changes. Returns how to stop that. */
  onState(listener) {
    this._listeners.add(listener);
    listener(this.state);
    return () => this._listeners.delete(listener);
  }

  /** Ends the connection for good. */
  close() {
    this._closed = true;
    clearTimeout(this._timer);
    clearTimeout(this._silence);
    this._socket?.close();
  }

  // --- calls ---

  async _post(calls, signal) {
    const body = calls.map((call) => ({ jsonrpc: "2.0", id: this._next++, ...call }));
    const headers = { "Content-Type": "application/json", "Accept-Language": this._language };
    if (this._token) headers.Authorization = `Bearer ${this._token}`;
    const timeout = AbortSignal.timeout(CALL_MS);
    let answer;
    try {
      const response = await this._fetch(`${this._url}/rpc`, {
        method: "POST",
        headers,
        body: JSON.stringify(body.length === 1 ? body[0] : body),
        signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
        cache: "no-store",
      });
      answer = await response.json();
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new Unreachable(error);
    }
    const replies = new Map((Array.isArray(answer) ? answer : [answer]).map((reply) => [reply.id, reply]));
    const lone = replies.get(null); // the whole body was refused
    return body.map(({ id }) => {
      const reply = replies.get(id) ?? lone;
      if (!reply) return new Unreachable("no reply to this call");
      return reply.error ? new RpcError(reply.error) : reply.result;
    });
  }

  // --- events ---

  _connect() {
    if (this._closed || this._socket || this._timer || !this._wanted.size || !this._WebSocket) return;
    this._become("connecting");
    const protocols = this._token ? ["som-rpc", `som-token.${this._token}`] : ["som-rpc"];
    let socket;
    try {
      socket = new this._WebSocket(`${this._url.replace(/^http/, "ws")}/ws`, protocols);
    } catch {
      this._again();
      return;
    }
    this._socket = socket;
    socket.onopen = () => {
      this._hear();
      this._become("live");
      for (const wanted of this._wanted.values()) this._ask(wanted);
    };
    socket.onmessage = ({ data }) => this._message(data);
    socket.onclose = ({ code }) => {
      if (this._socket === socket) this._lost(code);
    };
  }

  _message(data) {
    this._hear();
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return; // not ours to judge: the next heartbeat will come, or silence
    }
    if (message.method === "sub_event") this._event(message.params);
    else if (message.method === "sub_heartbeat" || message.method === "sub_closed") this._positions(message.params.subscriptions);
    else if (this._calls.has(message.id)) {
      const { resolve, reject } = this._calls.get(message.id);
      this._calls.delete(message.id);
      if (message.error) reject(new RpcError(message.error));
      else resolve(message.result);
    }
  }

  _event(event) {
    const wanted = this._by(event.subscription);
    if (!wanted) return; // of one that we have just left
    wanted.cursor = event.cursor;
    this._tries = 0;
    wanted.onEvent(event);
  }

  _positions(positions) {
    for (const { subscription, cursor } of positions) {
      const wanted = this._by(subscription);
      if (wanted) wanted.cursor = cursor;
    }
  }

  _by(id) {
    for (const wanted of this._wanted.values()) if (wanted.id === id) return wanted;
    return undefined;
  }

  _ask(wanted) {
    const from = wanted.cursor && !WITHOUT_CURSOR.has(wanted.topic) ? { from_cursor: wanted.cursor } : {};
    // The node may tell the first event right behind its answer, so the number is taken in the turn of the answer.
    const asked = this._send("sub_subscribe", { topic: wanted.topic, ...wanted.params, ...from }, (result) => {
      wanted.id = result.subscription;
      wanted.cursor = result.cursor;
    });
    asked.catch((error) => {
      if (error instanceof RpcError) wanted.onError(error);
    });
  }

  _send(method, params, taken = () => {}) {
    const id = this._next++;
    return new Promise((resolve, reject) => {
      this._calls.set(id, { reject, resolve: (result) => { taken(result); resolve(result); } });
      this._socket.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
    });
  }

  _hear() {
    clearTimeout(this._silence);
    this._silence = setTimeout(() => this._socket?.close(), SILENCE_MS);
  }

  _lost(code) {
    this._socket = null;
    clearTimeout(this._silence);
    for (const { reject } of this._calls.values()) reject(new Unreachable("the connection broke"));
    this._calls.clear();
    for (const wanted of this._wanted.values()) wanted.id = null;
    if (code === CLOSED_UNAUTHORIZED) this._tries = RETRY_MS.length;
    this._again();
  }

  _again() {
    if (this._closed) return;
    this._become("down");
    const wait = RETRY_MS[Math.min(this._tries, RETRY_MS.length - 1)];
    this._tries += 1;
    this._timer = setTimeout(() => {
      this._timer = null;
      this._connect();
    }, wait);
  }

  _become(state) {
    if (this.state === state) return;
    this.state = state;
    for (const listener of this._listeners) listener(state);
  }
}
