/** The way of a payment: received, proposed, final, receipt; with its times, and in as much detail as one wants. */

import { formatDuration, hexOf, parseAccount, parseHash, readRef } from "../som/som.js";
import { accountLink, blockLink, button, facts, field, form, h, hash, light, loading, panel, paymentLink, problem, replace, table, time } from "../ui.js";

const ASK_MS = 1_000;
const LEVELS = ["plain", "detailed", "raw"];
const seen = new Map(); // id -> when this page saw it pending, and final: of this tab only
const SEEN_MAX = 200;

/** What became of a transaction, by shape, word and colour. */
export function outcomeLight(outcome, t) {
  const looks = { applied: "good", failed: "bad", expired: "bad", pending: "warn", unknown: "off" };
  const name = outcome.code ? ` · ${outcome.code} ${outcome.name}` : "";
  return light(looks[outcome.status], t(`outcome.${outcome.status}`) + name);
}

/** Remembers when this page sent or saw something: the chain keeps no time of arrival. */
export function noteSeen(id, what, timeMs = Date.now()) {
  if (!seen.has(id) && seen.size >= SEEN_MAX) seen.delete(seen.keys().next().value);
  seen.set(id, { [what]: timeMs, ...seen.get(id) });
}

export default async function payment(context) {
  const { args, body, t } = context;
  const id = parseHash(args[0] ?? "");
  const result = h("div");
  replace(body, asking(context, args[0] ?? "", result), result);
  if (id) await trace(context, id, result);
  else if (args[0]) replace(result, h("p", { class: "problem" }, t("payment.bad_id")));
}

/** Two ways in: by the transaction's id, or by who paid and under which reference. */
function asking({ rpc, t, number, signal, assets, money }, given, result) {
  const id = h("input", { class: "long mono", value: given, spellcheck: "false", autocomplete: "off", maxlength: 80 });
  const payer = h("input", { class: "mono", inputmode: "numeric", maxlength: 24 });
  const ref = h("input", { maxlength: 140 });
  const find = async () => {
    const account = parseAccount(payer.value);
    if (!account || !ref.value) {
      replace(result, h("p", { class: "problem", role: "alert" }, account ? t("payment.no_ref") : t("account.bad")));
      return;
    }
    replace(result, loading(t));
    try {
      const bytes = new TextEncoder().encode(ref.value);
      const found = await rpc.call("tx_getByRef", { account, refs: [hexOf(bytes)] }, signal);
      const known = await assets(found.payments.map((each) => each.asset));
      const rows = found.payments.map((each) => [paymentLink(each.tx_id), blockLink(each.height, number(each.height)), accountLink(each.to), money(each.amount, known.get(each.asset))]);
      const columns = [[t("payment.id")], [t("height")], [t("to")], [t("amount"), "number"]];
      replace(result, panel(t("payment.found"), table(t("payment.found"), columns, rows, t("payment.never", { height: number(found.at_height) }))));
    } catch (error) {
      if (!signal.aborted) replace(result, problem(error, t));
    }
  };
  return panel(
    t("payment.find"),
    form(() => (location.hash = `#/payment/${id.value.trim()}`), field(t("payment.id"), id), h("button", {}, t("find"))),
    form(find, field(t("payer"), payer), field(t("ref"), ref), h("button", {}, t("find"))),
  );
}

async function trace(context, id, place) {
  const { rpc, t, signal, live, every, onLeave } = context;
  let level = "plain";
  let state = null;
  const steps = h("div");
  const choice = h("div", { class: "row", role: "group", "aria-label": t("payment.level") });
  const drawChoice = () =>
    replace(choice, LEVELS.map((each) => button(t(`payment.${each}`), () => { level = each; drawChoice(); draw(); }, { "aria-pressed": String(each === level), "data-key": each })));
  const draw = () => state && replace(steps, drawn(context, id, state, level));
  drawChoice();
  replace(place, panel(t("payment.trace"), choice, h("p", {}, hash(id, null, 64)), steps));
  replace(steps, loading(t));
  const stop = rpc.subscribe("transactions", { tx_ids: [id] }, () => noteSeen(id, "final"));
  onLeave(stop);
  await every(ASK_MS, async () => {
    if (state?.outcome.final && state.certified) return;
    try {
      const found = await rpc.call("tx_get", { tx_id: id }, signal);
      if (found.outcome.status === "pending") noteSeen(id, "received");
      if (found.outcome.final && seen.get(id)?.received) noteSeen(id, "final");
      state = { ...state, ...found };
      if (found.outcome.final && found.outcome.height && !state.block) {
        const ask = [["chain_getBlock", { height: found.outcome.height, limit: 0 }], ["tx_get", { tx_id: id, transaction: true }]];
        const [block, whole] = await rpc.batch(ask, signal);
        state.block = block instanceof Error ? null : block;
        state.transaction = whole instanceof Error ? null : whole.transaction;
        state.hidden = whole instanceof Error ? whole : null;
      }
      state.certified = found.outcome.final && (!found.outcome.height || (live.info?.finalized_height ?? 0) > found.outcome.height);
      draw();
    } catch (error) {
      if (!signal.aborted) replace(steps, problem(error, t));
    }
  });
}

function drawn(context, id, state, level) {
  if (level === "raw") return h("pre", { tabindex: "0" }, JSON.stringify({ outcome: state.outcome, receipt: state.receipt, transaction: state.transaction, block: state.block?.header }, null, 2));
  return [way(context, id, state), level === "detailed" && details(context, state)];
}

/** The four steps; a step that is not there yet is open. */
function way({ t, language, number }, id, { outcome, receipt, block, certified }) {
  const times = seen.get(id) ?? {};
  const proposed = block?.header?.timestamp_ms;
  const took = (from, to) => (from && to && to >= from ? ` · ${formatDuration(to - from, language)}` : "");
  const step = (done, title, words, failed = false) =>
    h("li", { class: failed ? "failed" : done ? "done" : "open", "data-mark": failed ? "■" : done ? "●" : "○" }, h("div", {}, h("strong", {}, title), h("span", {}, words)));
  const pending = outcome.status === "pending";
  const final = outcome.final && outcome.height;
  return h(
    "ol",
    { class: "trace" },
    step(pending || final, t("payment.received"), times.received ? [time(times.received), " · ", t("payment.by_page")] : final ? t("payment.not_watched") : pending ? t("payment.waits") : outcomeLight(outcome, t), false),
    step(final, t("payment.proposed"), final ? [proposed ? time(proposed) : "", took(times.received, proposed), block?.header ? ` · ${block.header.proposer} · ${t("view")} ${number(block.header.view)}` : ""] : t("payment.not_yet")),
    step(final, t("payment.final"), final ? [blockLink(outcome.height, `${t("height")} ${number(outcome.height)}`), times.final ? [" · ", time(times.final), took(times.received ?? proposed, times.final)] : "", block?.signers?.length ? ` · ${t("signers")}: ${block.signers.join(", ")}` : ""] : outcome.final ? outcomeLight(outcome, t) : t("payment.not_yet"), outcome.status === "expired"),
    step(final, t("payment.receipt"), final ? [outcomeLight(outcome, t), receipt?.skipped?.length ? ` · ${t("skipped")}: ${receipt.skipped.length}` : "", certified ? ` · ${t("payment.provable")}` : ""] : t("payment.not_yet"), outcome.status === "failed"),
  );
}

function details({ t, number }, { transaction, hidden, receipt, block }) {
  if (hidden) return problem(hidden, t);
  const parts = [
    facts(
      block && [t("block.hash"), hash(block.block_hash, null, 64)],
      receipt && [t("payment.index"), number(receipt.index)],
      transaction && [t("expires"), time(transaction.expires_ms)],
      transaction && [t("payment.signed_by"), transaction.signatures.map((each) => h("div", {}, accountLink(each.account), " · ", hash(each.key)))],
    ),
  ];
  for (const operation of transaction?.operations ?? []) {
    const legs = operation.legs ?? [];
    const plain = Object.entries(operation).filter(([name, value]) => name !== "legs" && typeof value !== "object");
    parts.push(h("h3", {}, operation.type), facts(...plain.map(([name, value]) => [name, h("span", { class: "mono" }, String(value))])));
    if (legs.length) {
      const rows = legs.slice(0, 200).map((leg) => [accountLink(leg.to), number(leg.amount), readRef(leg.ref)]);
      parts.push(table(t("payment.legs"), [[t("to")], [t("payment.minor"), "number"], [t("ref")]], rows, t("nothing")));
      if (legs.length > rows.length) parts.push(h("p", { class: "empty" }, t("payment.more_legs", { count: number(legs.length - rows.length) })));
    }
  }
  return parts;
}
