// Money, times and numbers, as people in three languages read them.
import assert from "node:assert/strict";
import test from "node:test";
import * as som from "./som.mjs";

const plain = (text) => text.replaceAll("\u00a0", " ");

test("amounts are grouped, with a comma in Kyrgyz and Russian and a point in English", () => {
  assert.equal(plain(som.formatMoney("123456789", "ky")), "1 234 567,89 сом");
  assert.equal(plain(som.formatMoney("123456789", "ru")), "1 234 567,89 сом");
  assert.equal(plain(som.formatMoney("123456789", "en")), "1 234 567.89 som");
  assert.equal(plain(som.formatMoney("-5", "ky")), "-0,05 сом");
  assert.equal(plain(som.formatMoney("1500000", "en", { scale: 6, code: "USDKG" })), "1.500000 USDKG");
  assert.equal(plain(som.formatMoney("7", "en", { scale: 0, code: "POINT" })), "7 POINT");
});

test("an amount above 2^53 loses no tyiyn", () => {
  assert.equal(plain(som.formatUnits("9223372036854775807", 2, "en")), "92 233 720 368 547 758.07");
  assert.equal(plain(som.formatUnits(9007199254740993n, 2, "ky")), "90 071 992 547 409,93");
});

test("what was typed is an exact amount or none", () => {
  assert.equal(som.parseUnits("1 234,50", 2), 123450n);
  assert.equal(som.parseUnits("1234.5", 2), 123450n);
  assert.equal(som.parseUnits("92233720368547758.07", 2), 9223372036854775807n);
  for (const bad of ["", "0", "-1", "1.234", "1,2,3", "1e3", "92233720368547758.08", "abc", "."]) assert.equal(som.parseUnits(bad, 2), null, bad);
});

test("what is formatted is parsed back, for any amount", () => {
  for (let round = 0n; round < 2_000n; round += 1n) {
    const units = 1n + ((round * 6364136223846793005n + 1442695040888963407n) & (2n ** 62n - 1n)) / (10n ** (round % 19n));
    assert.equal(som.parseUnits(som.formatUnits(units, 2, "ky"), 2), units);
  }
});

test("times are Bishkek's, numeric, whatever the zone of the computer", () => {
  const moment = Date.UTC(2026, 10, 30, 20, 41, 4, 7);
  assert.equal(som.formatTime(moment), "01.12.2026 02:41:04");
  assert.equal(som.formatClock(moment, true), "02:41:04.007");
  assert.equal(som.formatUtc(moment), "2026-11-30 20:41:04.007 UTC");
});

test("durations name their unit in the language", () => {
  assert.equal(plain(som.formatDuration(312, "ky")), "312 мс");
  assert.equal(plain(som.formatDuration(1_500, "ru")), "1,5 с");
  assert.equal(plain(som.formatDuration(135_000, "en")), "2 min 15 s");
  assert.equal(plain(som.formatDuration(90_000_000, "ky")), "1 күн 1 саат");
  assert.equal(plain(som.formatDuration(3_600_000, "en")), "1 h");
});

test("basis points are per cent with two decimals", () => {
  assert.equal(plain(som.formatBasisPoints(9_975, "ru")), "99,75 %");
  assert.equal(plain(som.formatBasisPoints(10_000, "en")), "100.00 %");
});
