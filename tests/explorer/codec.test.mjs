// Account numbers, hex, references, histograms, and the verdict about the network.
import assert from "node:assert/strict";
import test from "node:test";
import * as som from "./som.mjs";

test("an account number is 16 digits whose check digits hold", () => {
  assert.equal(som.parseAccount("0011 0000 0001 0057"), "0011000000010057");
  for (const bad of ["0011000000010058", "0000000000000000", "001100000001005", "00110000000100570", "001100000001005a", ""]) assert.equal(som.parseAccount(bad), null, bad);
});

test("every mistyped digit of an account number is seen", () => {
  const good = "0011000000010057";
  for (let place = 0; place < 16; place += 1) {
    for (let digit = 0; digit < 10; digit += 1) {
      const typed = good.slice(0, place) + digit + good.slice(place + 1);
      if (typed !== good) assert.equal(som.parseAccount(typed), null, typed);
    }
  }
});

test("hex is of an exact length and comes back", () => {
  assert.equal(som.parseHash(" " + "AB".repeat(32)), "ab".repeat(32));
  assert.equal(som.parseHash("ab".repeat(31)), null);
  assert.equal(som.hexOf(som.bytesOf("00ff10")), "00ff10");
  assert.equal(som.bytesOf("0"), null);
  assert.equal(som.bytesOf("zz"), null);
});

test("a reference is text if it is printable, else the hex", () => {
  assert.equal(som.readRef(som.hexOf(new TextEncoder().encode("пенсия №7"))), "пенсия №7");
  assert.equal(som.readRef("ff00"), "ff00");
  assert.equal(som.readRef("0a"), "0a");
  assert.equal(som.readRef(null), "");
});

test("quantiles of a histogram lie in the bucket that holds them", () => {
  const text = ['x_bucket{le="0.1"} 50.0', 'x_bucket{le="0.5"} 90', 'x_bucket{le="+Inf"} 100', "x_count 100", 'xy_bucket{le="9"} 5'].join("\n");
  const buckets = som.readHistogram(text, "x");
  assert.deepEqual(buckets, [[0.1, 50], [0.5, 90], [Infinity, 100]]);
  assert.equal(som.quantile(buckets, 0.5), 0.1);
  assert.ok(Math.abs(som.quantile(buckets, 0.7) - 0.3) < 1e-9);
  assert.equal(som.quantile(buckets, 0.99), 0.5);
  assert.equal(som.quantile([], 0.5), null);
});

const vote = (name, connected = true, weight = 1) => ({ name, weight, connected });
const facts = (votes, more = {}) => ({
  reachable: true,
  info: { now_ms: 20_000, block_time_ms: 19_000, height: 9, syncing: false, ...more },
  consensus: { votes, quorum_weight: 3, awaited: ["c"] },
  peers: [],
});

test("how many more may fail counts the heaviest first", () => {
  assert.equal(som.mayFail([vote("a"), vote("b"), vote("c"), vote("d")], 3), 1);
  assert.equal(som.mayFail([vote("a"), vote("b"), vote("c"), vote("d", false)], 3), 0);
  assert.equal(som.mayFail([vote("a"), vote("b"), vote("c", false), vote("d", false)], 3), -1);
  assert.equal(som.mayFail([vote("a", true, 5), vote("b"), vote("c"), vote("d")], 4), 0);
  assert.equal(som.mayFail([vote("a", true, 1), vote("b", true, 2), vote("c", true, 2), vote("d", true, 2)], 5), 1);
});

test("the verdict says what is wrong, and with whom", () => {
  const all = [vote("a"), vote("b"), vote("c"), vote("d")];
  assert.equal(som.judge(facts(all)).kind, "running");
  assert.deepEqual(som.judge(facts([...all.slice(1), vote("z", false)])), { kind: "away", names: ["z"], spare: 0, ahead: 0, age: 1_000 });
  assert.deepEqual(som.judge(facts([vote("a"), vote("b"), vote("y", false), vote("z", false)])).names, ["y", "z"]);
  assert.equal(som.judge(facts([vote("a"), vote("b"), vote("y", false), vote("z", false)])).kind, "stalled");
  const old = som.judge(facts(all, { now_ms: 60_000 }));
  assert.deepEqual([old.kind, old.names], ["stalled", ["c"]]);
  const behind = som.judge({ ...facts(all, { syncing: true }), peers: [{ connected: true, height: 100 }, { connected: false, height: 900 }] });
  assert.deepEqual([behind.kind, behind.ahead], ["behind", 91]);
  assert.equal(som.judge({ reachable: false, info: null }).kind, "unreachable");
  assert.equal(som.judge({ ...facts(all), refused: true }).kind, "refused");
});
