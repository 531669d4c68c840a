/** A run of many payments, as pensions: how far it is, what failed and why, when it ends. */

import { formatDuration, parseAccount, parseUnits } from "../som/som.js";
import { ASK_MS, followStatement } from "../statement.js";
import {
  field, form, h, light, loading, panel, paymentLink, problem, progress, replace, table, tile, tiles, time,
} from "../ui.js";

const WINDOW_MS = 3_600_000; // before the latest line: what is older is of another run
const LINES_MAX = 5_000; // of the statement that are read: 20 million pensions in transactions of 4,096
const LINES_AT_ONCE = 200;
const READ_AT_ONCE = 5; // whole transactions of a reply
const LISTED = 100;
const SOM = 1; // the asset

export default async function disbursement(context) {
  const { args, body, t } = context;
  const [given, expected, total] = args;
  const payer = h("input", { class: "mono", inputmode: "numeric", maxlength: 24, value: given ?? "" });
  const count = h("input", { inputmode: "numeric", maxlength: 12, value: expected && expected !== "0" ? expected : "" });
  const sum = h("input", { inputmode: "decimal", maxlength: 24, value: total ?? "" });
  const result = h("div");
  const go = () => {
    const address = `#/disbursement/${payer.value.replace(/\s/g, "")}/${count.value.replace(/\D/g, "") || 0}/${sum.value.replace(/\s/g, "")}`;
    location.hash = address.replace(/\/+$/, "");
  };
  replace(
    body,
    panel(t("disbursement.which"), form(go, field(t("payer"), payer), field(t("disbursement.expected"), count, t("optional")), field(t("disbursement.sum"), sum, t("optional")), h("button", {}, t("find")))),
    result,
  );
  if (!given) return;
  const account = parseAccount(given);
  if (!account) replace(result, h("p", { class: "problem", role: "alert" }, t("account.bad")));
  else await follow(context, account, Number(expected) || 0, parseUnits(total ?? "", 2), result);
}

/** Reads the payer's latest payments, and then each as it comes. */
async function follow(context, account, expected, sum, place) {
  const { rpc, t, signal, assets, every } = context;
  const run = new Map(); // transaction -> {id, lines of the statement, legs: null until it is read, skipped}
  let known;
  let whole = true;
  let begun = false;
  let reading = false;
  const add = (lines) => {
    for (const line of lines.filter((each) => BigInt(each.amount) < 0n)) {
      if (!run.has(line.tx_id)) run.set(line.tx_id, { id: line.tx_id, lines: [], legs: null, skipped: [] });
      run.get(line.tx_id).lines.push(line);
    }
  };
  const draw = async () => {
    const lines = [...run.values()].flatMap((each) => each.lines);
    known = await assets(lines.map((line) => line.asset)).catch((error) => {
      if (known) return known;
      throw error;
    });
    if (!signal.aborted) replace(place, drawn(context, [...run.values()], known, expected, sum, whole));
  };
  /** Reads what is not read, a few at a time. What did not come waits, behind the others, for the next turn. */
  const read = async () => {
    if (reading) return;
    reading = true;
    try {
      for (let came = true; came; ) {
        const part = [...run.values()].filter((each) => each.legs === null).slice(0, READ_AT_ONCE);
        if (!part.length) break;
        const calls = part.map(({ id }) => ["tx_get", { tx_id: id, transaction: true }]);
        const replies = await rpc.batch(calls, signal).catch(() => []);
        part.forEach((each, index) => {
          const { transaction, receipt } = replies[index] ?? {};
          if (transaction) {
            each.legs = legsOf(transaction, account);
            each.skipped = receipt?.skipped ?? [];
            return;
          }
          came = false;
          run.delete(each.id);
          run.set(each.id, each);
        });
        await draw();
      }
    } finally {
      reading = false;
    }
  };
  const begin = async () => {
    const latest = await readLatest(context, account);
    whole = latest.whole;
    add(latest.lines);
    await draw();
    followStatement(context, { account }, latest.next, (lines) => {
      add(lines);
      read();
    });
  };
  replace(place, loading(t));
  await every(ASK_MS, async () => {
    if (begun) return read();
    begun = true;
    try {
      await begin();
      await read();
    } catch (error) {
      begun = !error.again;
      if (!signal.aborted) replace(place, problem(error, t));
    }
  });
}

/** The payer's lines of the last hour that it paid in; the number of the line to come; whether these are all. */
async function readLatest({ rpc, signal }, account) {
  const lines = [];
  const recent = (line) => lines[0].timestamp_ms - line.timestamp_ms < WINDOW_MS;
  let cursor = null;
  do {
    const asked = { account, limit: LINES_AT_ONCE, cursor };
    const page = await rpc.call("account_getHistory", asked, signal).catch((error) => {
      if (lines.length && error.name === "pruned") return null;
      throw error;
    });
    if (!page) break;
    lines.push(...page.entries);
    cursor = page.next_cursor;
  } while (cursor && lines.length < LINES_MAX && recent(lines.at(-1)));
  const shown = lines.filter(recent);
  return { lines: shown, next: (lines[0]?.number ?? -1) + 1, whole: !cursor || shown.length < lines.length };
}

/** How many payments of the account a transaction has; one where it pays otherwise. */
function legsOf({ operations }, account) {
  const pays = operations.filter((each) => each.type === "pay" && each.payer === account);
  return pays.reduce((count, { legs }) => count + legs.length, 0) || 1;
}

const skippedLight = (count, number) => (count ? light("warn", number(count)) : light("good", "0"));

function drawn({ t, language, number, money, som }, run, known, expected, sum, whole) {
  if (!run.length) return h("p", { class: "empty" }, t("disbursement.none"));
  const missing = run.filter((each) => each.legs === null).length;
  const paid = run.reduce((count, each) => count + (each.legs ?? 0) - each.skipped.length, 0);
  const skipped = run.flatMap((each) => each.skipped);
  const done = paid + skipped.length;
  const lines = run.flatMap((each) => each.lines);
  const spent = lines.reduce((total, line) => total - (line.asset === SOM ? BigInt(line.amount) : 0n), 0n);
  const times = lines.map((line) => line.timestamp_ms).sort((a, b) => a - b);
  const tookMs = times.at(-1) - times[0];
  const rate = tookMs > 0 && !missing ? done / (tookMs / 1_000) : 0;
  const left = Math.max(0, expected - done);
  const reasons = new Map();
  for (const each of skipped) reasons.set(`${each.code} ${each.name}`, (reasons.get(`${each.code} ${each.name}`) ?? 0) + 1);
  const byNewest = [...run].sort((a, b) => b.lines[0].number - a.lines[0].number);
  const rows = byNewest.slice(0, LISTED).map((each) => [
    paymentLink(each.id),
    time(each.lines[0].timestamp_ms),
    each.legs === null ? t("unknown") : number(each.legs),
    each.legs === null ? t("unknown") : skippedLight(each.skipped.length, number),
    each.lines.map((line) => h("div", {}, money(line.amount, known.get(line.asset)))),
  ]);
  const eta = whole && rate ? formatDuration((left / rate) * 1_000, language) : t("unknown");
  const columns = [
    [t("payment.id")], [t("time")], [t("payment.legs"), "number"], [t("skipped")], [t("amount"), "number"],
  ];
  return [
    !whole && h("p", {}, light("warn", t("disbursement.cut"))),
    missing > 0 && h("p", {}, light("warn", t("disbursement.missing", { count: number(missing) }))),
    tiles(
      tile(t("disbursement.paid"), number(paid), expected ? t("disbursement.of", { count: number(expected) }) : null),
      tile(t("disbursement.failed"), number(skipped.length)),
      tile(t("amount"), som(spent), sum ? t("disbursement.of", { count: som(sum) }) : null),
      tile(t("disbursement.rate"), rate ? number(Math.round(rate)) : t("unknown"), t("disbursement.per_second")),
      tile(t("disbursement.eta"), !expected ? t("unknown") : left === 0 ? t("disbursement.complete") : eta),
    ),
    expected > 0 && panel(t("disbursement.progress"), progress(done, expected, t("disbursement.progress"))),
    panel(t("disbursement.reasons"), table(t("disbursement.reasons"), [[t("disbursement.reason")], [t("disbursement.count"), "number"]], [...reasons].map(([reason, count]) => [reason, number(count)]), t("disbursement.no_failures"))),
    panel(
      t("transactions"),
      table(t("transactions"), columns, rows, t("nothing")),
      run.length > LISTED && h("p", { class: "empty" }, t("disbursement.more", { count: number(run.length - LISTED) })),
    ),
  ];
}
