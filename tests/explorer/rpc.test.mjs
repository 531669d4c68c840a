// Calls and subscriptions against a server that does as a node does, and one that breaks off.
import assert from "node:assert/strict";
import test, { mock } from "node:test";
import { Rpc, RpcError, Unreachable } from "./som.mjs";

/** The other end of a WebSocket, in this process. */
class Socket {
  static all = [];
  constructor(url, protocols) {
    Object.assign(this, { url, protocols, sent: [] });
    Socket.all.push(this);
  }
  open() {
    this.onopen();
  }
  send(text) {
    this.sent.push(JSON.parse(text));
  }
  tell(message) {
    this.onmessage({ data: JSON.stringify({ jsonrpc: "2.0", ...message }) });
  }
  close(code = 1006) {
    this.onclose({ code });
  }
}

const replying = (answer) => async (url, options) => {
  const body = JSON.parse(options.body);
  replying.last = { url, options, body };
  return { json: async () => (Array.isArray(body) ? body.map((call) => ({ id: call.id, ...answer(call) })) : { id: body.id, ...answer(body) }) };
};
const fresh = (options = {}) => {
  Socket.all = [];
  return new Rpc({ url: "http://node:1/", WebSocket: Socket, fetch: replying(() => ({ result: 1 })), ...options });
};
const settled = () => new Promise((resolve) => setImmediate(resolve));

test("a call goes to /rpc, with token and language, and its result comes back", async () => {
  const rpc = fresh({ token: "ab", language: "ky", fetch: replying((call) => ({ result: call.method })) });
  assert.equal(await rpc.call("chain_getInfo"), "chain_getInfo");
  const { url, options } = replying.last;
  assert.equal(url, "http://node:1/rpc");
  assert.equal(options.headers.Authorization, "Bearer ab");
  assert.equal(options.headers["Accept-Language"], "ky");
});

test("an error keeps its name and details", async () => {
  const rpc = fresh({ fetch: replying(() => ({ error: { code: -32007, message: "no", data: { name: "not_found", path: "x" } } })) });
  await assert.rejects(rpc.call("tx_get"), (error) => error instanceof RpcError && error.name === "not_found" && error.data.path === "x" && !error.again);
});

test("an error says whether the same call may pass later", async () => {
  for (const retryable of [true, false]) {
    const rpc = fresh({ fetch: replying(() => ({ error: { code: -32003, message: "no", data: { name: "x", retryable } } })) });
    await assert.rejects(rpc.call("tx_get"), (error) => error.again === retryable);
  }
  await assert.rejects(fresh({ fetch: async () => ({ json: async () => [] }) }).call("x"), (error) => error.again);
});

test("a node that is gone is unreachable, whatever broke", async () => {
  for (const fetch of [async () => { throw new TypeError("refused"); }, async () => ({ json: async () => JSON.parse("<html>") })]) {
    await assert.rejects(fresh({ fetch }).call("x"), Unreachable);
  }
});

test("a batch of 120 goes in three requests, and one error spoils no other reply", async () => {
  const sizes = [];
  const answer = replying((call) => (call.params.n === 7 ? { error: { code: 1, message: "bad", data: { name: "bad" } } } : { result: call.params.n }));
  const fetch = (url, options) => {
    sizes.push(JSON.parse(options.body).length);
    return answer(url, options);
  };
  const replies = await fresh({ fetch }).batch(Array.from({ length: 120 }, (_, n) => ["m", { n }]));
  assert.deepEqual(sizes, [50, 50, 20]);
  assert.ok(replies[7] instanceof RpcError);
  assert.deepEqual(replies.filter((_, n) => n !== 7), Array.from({ length: 120 }, (_, n) => n).filter((n) => n !== 7));
});

test("pages are asked for to the end, and not further than asked", async () => {
  const fetch = replying(({ params }) => ({ result: { rows: [params.cursor ?? "first"], next_cursor: params.cursor === "c" ? null : params.cursor ? "c" : "b" } }));
  assert.deepEqual(await fresh({ fetch }).pages("list", {}, "rows"), { items: ["first", "b", "c"], more: false });
  assert.deepEqual(await fresh({ fetch }).pages("list", {}, "rows", 2), { items: ["first", "b"], more: true });
});

test("a subscription goes on from its last cursor after the connection broke", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const rpc = fresh({ token: "ab" });
    const [heard, states] = [[], []];
    rpc.onState((state) => states.push(state));
    rpc.subscribe("blocks", {}, (event) => heard.push(event.block));
    const [first] = Socket.all;
    assert.equal(first.url, "ws://node:1/ws");
    assert.deepEqual(first.protocols, ["som-rpc", "som-token.ab"]);
    first.open();
    assert.equal(first.sent[0].params.from_cursor, undefined);
    first.tell({ id: first.sent[0].id, result: { subscription: 1, cursor: "c0" } });
    first.tell({ method: "sub_event", params: { subscription: 1, cursor: "c1", block: 1 } });
    first.tell({ method: "sub_event", params: { subscription: 9, cursor: "zz", block: 9 } });
    first.tell({ method: "sub_heartbeat", params: { subscriptions: [{ subscription: 1, cursor: "c2" }] } });
    first.close();
    mock.timers.tick(500);
    const second = Socket.all[1];
    second.open();
    assert.equal(second.sent[0].params.from_cursor, "c2");
    second.tell({ id: second.sent[0].id, result: { subscription: 1, cursor: "c2" } });
    second.tell({ method: "sub_event", params: { subscription: 1, cursor: "c3", block: 3 } });
    assert.deepEqual(heard, [1, 3]);
    assert.deepEqual(states, ["idle", "connecting", "live", "down", "connecting", "live"]);
    await settled();
    rpc.close();
  } finally {
    mock.timers.reset();
  }
});

test("hints have no cursor, and begin now after a break", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const rpc = fresh();
    rpc.subscribe("consensus", {}, () => {});
    Socket.all[0].open();
    Socket.all[0].tell({ id: Socket.all[0].sent[0].id, result: { subscription: 1, cursor: "c0" } });
    Socket.all[0].close();
    mock.timers.tick(500);
    Socket.all[1].open();
    assert.equal("from_cursor" in Socket.all[1].sent[0].params, false);
    rpc.close();
  } finally {
    mock.timers.reset();
  }
});

test("a connection that is silent for three heartbeats is given up", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const rpc = fresh();
    rpc.subscribe("blocks", {}, () => {});
    Socket.all[0].open();
    mock.timers.tick(44_000);
    assert.equal(rpc.state, "live");
    mock.timers.tick(2_000);
    assert.equal(rpc.state, "down");
    rpc.close();
  } finally {
    mock.timers.reset();
  }
});

test("whoever waits longer and longer never waits above ten seconds", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const rpc = fresh();
    rpc.subscribe("blocks", {}, () => {});
    for (let round = 0; round < 12; round += 1) {
      Socket.all.at(-1).close();
      mock.timers.tick(10_000);
      assert.equal(Socket.all.length, round + 2);
    }
    rpc.close();
    Socket.all.at(-1).close();
    mock.timers.tick(60_000);
    assert.equal(Socket.all.length, 13);
  } finally {
    mock.timers.reset();
  }
});

test("a refused subscription is told once, and who left hears nothing more", async () => {
  const rpc = fresh();
  const refused = [];
  const stop = rpc.subscribe("account", { account: "1" }, () => assert.fail("told"), (error) => refused.push(error.name));
  const [socket] = Socket.all;
  socket.open();
  socket.tell({ id: socket.sent[0].id, error: { code: -32001, message: "no", data: { name: "unauthorized" } } });
  await settled();
  assert.deepEqual(refused, ["unauthorized"]);
  stop();
  socket.tell({ method: "sub_event", params: { subscription: 1, cursor: "c", entry: {} } });
  rpc.close();
});
