// tests/vectors/client.json under Node.js, and what the client refuses to write.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test from "node:test";
import * as som from "./som.mjs";
import { checksOf } from "./vectors.mjs";

const vectors = JSON.parse(await readFile(new URL("../vectors/client.json", import.meta.url)));
const checks = checksOf(som, vectors);

test("every vector of the file is tried", () => {
  const count = Object.values(vectors).filter(Array.isArray).reduce((sum, part) => sum + part.length, 0);
  assert.equal(checks.length, count + 1);
  assert.ok(count > 100);
});

for (const { name, run } of checks) test(name, run);

test("a part of the file that is not known, or not there, is a failure", async () => {
  await assert.rejects(checksOf(som, { ...vectors, holds: [] })[0].run);
  const { keys, ...rest } = vectors;
  await assert.rejects(checksOf(som, rest)[0].run);
});

test("what is no value is not written", () => {
  for (const wrong of [1.5, NaN, Infinity, 2 ** 53, 2n ** 64n, -(2n ** 63n) - 1n, undefined, {}, new Map(), "\ud800", [[undefined]]]) {
    assert.throws(() => som.encode(wrong), /TypeError|RangeError/, String(wrong));
  }
  let deep = [];
  for (let depth = 0; depth < 300; depth += 1) deep = [deep];
  assert.throws(() => som.encode(deep), RangeError);
  assert.throws(() => som.decode(new Uint8Array(300).fill(0x91)), { name: "DecodeError" });
});

test("whatever is decoded is encoded to the same bytes, and whatever else is a DecodeError", () => {
  let state = 1;
  const lot = (below) => (state = (state * 48_271) % 2_147_483_647) % below; // Lehmer's, so that a failure comes again
  let decoded = 0;
  for (let round = 0; round < 20_000; round += 1) {
    const bytes = Uint8Array.from({ length: lot(9) }, () => (lot(2) ? lot(256) : [0x92, 0xa1, 0xc4, 0xcc, 0xd0, 0xdc, 0xe0][lot(7)]));
    try {
      const value = som.decode(bytes);
      assert.equal(som.hexOf(som.encode(value)), som.hexOf(bytes));
      decoded += 1;
    } catch (error) {
      assert.equal(error.name, "DecodeError", som.hexOf(bytes));
    }
  }
  assert.ok(decoded > 500, String(decoded));
});

test("a signature holds for its message and key alone", async () => {
  const [one, two] = await Promise.all([1, 2].map((byte) => som.Key.fromSeed(new Uint8Array(32).fill(byte))));
  const message = new Uint8Array([1, 2, 3]);
  const signature = await one.sign(message);
  assert.equal(await som.verify(one.public, message, signature), true);
  assert.equal(await som.verify(two.public, message, signature), false);
  assert.equal(await som.verify(one.public, new Uint8Array([1, 2]), signature), false);
  assert.equal(await som.verify(one.public, message, signature.slice(1)), false);
  assert.equal(await som.verify(new Uint8Array(31), message, signature), false);
  await assert.rejects(som.Key.fromSeed(new Uint8Array(31)), RangeError);
});

test("a payment is signed for the network that the node names, and never twice the same", async () => {
  const key = await som.Key.fromSeed(new Uint8Array(32).fill(7));
  const info = { network: 7, genesis_hash: "ab".repeat(32), now_ms: 1_790_000_000_000 };
  const payment = { payer: "0011000000010057", legs: [{ to: "0011000000010158", amount: 2n ** 53n + 1n }] };
  const [first, second] = [await som.signPayment(info, payment, [key]), await som.signPayment(info, payment, [key])];
  assert.notEqual(first.tx_id, second.tx_id);
  const read = await som.readTransaction(som.bytesOf(first.raw), info.genesis_hash);
  assert.deepEqual([read.network, read.expires_ms, read.pays[0].legs[0].amount], [7n, BigInt(first.expires_ms), 2n ** 53n + 1n]);
  assert.equal(await som.signaturesValid(read), true);
  assert.equal(await som.signaturesValid(await som.readTransaction(som.bytesOf(first.raw), "cd".repeat(32))), false);
  await assert.rejects(som.signPayment(info, { ...payment, payer: "0011000000010058" }, [key]), RangeError);
  await assert.rejects(som.signPayment(info, { ...payment, legs: [{ to: payment.payer, amount: 0 }] }, [key]), { code: "AMOUNT" });
  await assert.rejects(som.signPayment(info, payment, []), { code: "NOT_SIGNED" });
});
