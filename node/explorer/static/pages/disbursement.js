/** A run of many payments, as pensions: how far it is, what failed and why, when it ends. */

import { formatDuration, parseAccount, parseUnits } from "../som/som.js";
import { accountLink, field, form, h, light, loading, panel, paymentLink, problem, progress, replace, table, tile, tiles, time } from "../ui.js";

const TRANSACTIONS_MAX = 100; // of one run: 100 of 4,096 legs each
const READ_AT_ONCE = 5; // whole transactions of a reply
const WINDOW_MS = 3_600_000;

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

/** Reads the payer's latest payments, and then each as it is told. */
async function follow(context, account, expected, sum, place) {
  const { rpc, t, signal, assets, onLeave } = context;
  const run = new Map(); // transaction -> {entry, legs, skipped}
  const known = await assets();
  const draw = () => replace(place, drawn(context, [...run.values()], known, expected, sum));
  replace(place, loading(t));
  const add = async (entries) => {
    const fresh = entries.filter((entry) => BigInt(entry.amount) < 0n && !run.has(entry.tx_id)).slice(0, TRANSACTIONS_MAX);
    for (let from = 0; from < fresh.length; from += READ_AT_ONCE) {
      const part = fresh.slice(from, from + READ_AT_ONCE);
      const found = await rpc.batch(part.map((entry) => ["tx_get", { tx_id: entry.tx_id, transaction: true }]), signal);
      part.forEach((entry, index) => {
        const legs = found[index].transaction?.operations.flatMap((operation) => (operation.type === "pay" && operation.payer === account ? operation.legs : [])) ?? [];
        run.set(entry.tx_id, { entry, legs: legs.length || 1, skipped: found[index].receipt?.skipped ?? [] });
      });
      draw();
    }
  };
  try {
    const { entries } = await rpc.call("account_getHistory", { account, limit: TRANSACTIONS_MAX }, signal);
    const last = entries[0]?.timestamp_ms ?? 0;
    await add(entries.filter((entry) => last - entry.timestamp_ms < WINDOW_MS).reverse());
    draw();
    onLeave(rpc.subscribe("account", { account }, ({ entry }) => add([entry]).catch(() => {}), (error) => replace(place, problem(error, t))));
  } catch (error) {
    if (!signal.aborted) replace(place, problem(error, t));
  }
}

function drawn({ t, language, number, money }, run, known, expected, sum) {
  if (!run.length) return h("p", { class: "empty" }, t("disbursement.none"));
  const paid = run.reduce((count, each) => count + each.legs - each.skipped.length, 0);
  const skipped = run.flatMap((each) => each.skipped);
  const done = paid + skipped.length;
  const ofSom = run.filter((each) => each.entry.asset === 1);
  const spent = ofSom.reduce((total, each) => total - BigInt(each.entry.amount), 0n);
  const times = run.map((each) => each.entry.timestamp_ms);
  const tookMs = Math.max(...times) - Math.min(...times);
  const rate = tookMs > 0 ? done / (tookMs / 1_000) : 0;
  const left = Math.max(0, expected - done);
  const reasons = new Map();
  for (const each of skipped) reasons.set(`${each.code} ${each.name}`, (reasons.get(`${each.code} ${each.name}`) ?? 0) + 1);
  const rows = [...run].sort((a, b) => b.entry.number - a.entry.number).map((each) => [
    paymentLink(each.entry.tx_id),
    time(each.entry.timestamp_ms),
    number(each.legs),
    each.skipped.length ? light("warn", number(each.skipped.length)) : light("good", "0"),
    money(each.entry.amount, known.get(each.entry.asset)),
  ]);
  return [
    tiles(
      tile(t("disbursement.paid"), number(paid), expected ? t("disbursement.of", { count: number(expected) }) : null),
      tile(t("disbursement.failed"), number(skipped.length)),
      tile(t("amount"), money(spent), sum ? t("disbursement.of", { count: money(sum) }) : null),
      tile(t("disbursement.rate"), rate ? number(Math.round(rate)) : t("unknown"), t("disbursement.per_second")),
      tile(t("disbursement.eta"), !expected ? t("unknown") : left === 0 ? t("disbursement.complete") : rate ? formatDuration((left / rate) * 1_000, language) : t("unknown")),
    ),
    expected > 0 && panel(t("disbursement.progress"), progress(done, expected, t("disbursement.progress"))),
    panel(t("disbursement.reasons"), table(t("disbursement.reasons"), [[t("disbursement.reason")], [t("disbursement.count"), "number"]], [...reasons].map(([reason, count]) => [reason, number(count)]), t("disbursement.no_failures"))),
    panel(t("transactions"), table(t("transactions"), [[t("payment.id")], [t("time")], [t("payment.legs"), "number"], [t("skipped")], [t("amount"), "number"]], rows, t("nothing"))),
  ];
}
