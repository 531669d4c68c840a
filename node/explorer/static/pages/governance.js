/** Rules in force, seats of the validators, and orders: how many in public, what they say by role. */

import { formatDuration } from "../som/som.js";
import { accountLink, facts, field, form, h, hash, light, loading, panel, problem, replace, table, time } from "../ui.js";
import { seatTable } from "./validators.js";
import { parseAccount } from "../som/som.js";

export default async function governance({ body, rpc, t, language, number, money, som, signal, assets }) {
  const [counts, parameters, seats] = await rpc.batch([["order_getCounts"], ["parameter_list"], ["validator_list"]], signal);
  const orders = counts instanceof Error ? problem(counts, t) : table(
    t("governance.orders"),
    [[t("governance.authority")], [t("governance.act")], [t("governance.given"), "number"], [t("governance.standing"), "number"]],
    counts.counts.map((each) => [accountLink(each.authority), t(`act.${each.act}`), number(each.given), number(each.standing)]),
    t("governance.no_orders"),
  );
  const result = h("div");
  const authority = h("input", { class: "mono", inputmode: "numeric", maxlength: 24 });
  const under = h("input", { maxlength: 35 });
  const ask = async () => {
    const account = parseAccount(authority.value);
    if (!account) {
      replace(result, h("p", { class: "problem", role: "alert" }, t("account.bad")));
      return;
    }
    replace(result, loading(t));
    try {
      const params = under.value ? { authority: account, under_order: under.value } : { authority: account };
      const found = await rpc.pages("order_list", params, "orders", 2, signal);
      const known = await assets(found.items.filter((each) => each.amount).map((each) => each.asset));
      const rows = found.items.map((each) => [each.number, t(`act.${each.act}`), accountLink(each.target), each.amount ? money(each.amount, known.get(each.asset)) : "", time(each.timestamp_ms), each.stands ? light("warn", t("governance.stands")) : light("off", t("governance.lifted")), hash(each.basis)]);
      const columns = [["№"], [t("governance.act")], [t("governance.target")], [t("amount"), "number"], [t("time")], [t("status")], [t("register.basis")]];
      replace(result, table(t("governance.orders"), columns, rows, t("governance.no_orders")));
    } catch (error) {
      if (!signal.aborted) replace(result, problem(error, t));
    }
  };
  const rows = parameters instanceof Error ? [] : parameters.parameters.map((each) => [each.name, said(each, { t, language, number, som }), hash(each.hash)]);
  replace(
    body,
    panel(t("governance.orders"), orders),
    panel(t("governance.detail"), h("p", { class: "empty" }, t("governance.logged")), form(ask, field(t("governance.authority"), authority), field(t("governance.under"), under), h("button", {}, t("find"))), result),
    panel(t("governance.parameters"), table(t("governance.parameters"), [[t("governance.name")], [t("governance.value"), "wrap"], [t("governance.hash")]], rows, t("nothing"))),
    seats instanceof Error ? problem(seats, t) : seatTable(seats, t, number),
  );
}

/** The value of a parameter in words. */
function said(each, { t, language, number, som }) {
  if (each.milliseconds !== undefined) return formatDuration(each.milliseconds, language);
  if (each.version !== undefined) return number(each.version);
  if (each.tiers) {
    return facts(...each.tiers.map((tier) => [`${t("account.tier")} ${tier.number}`, t("governance.tier", { once: som(tier.out_per_transaction), day: som(tier.out_per_day), most: som(tier.balance_max) })]));
  }
  if (each.openers) return facts(...each.openers.map((opener) => [t(`kind.${opener.kind.toLowerCase()}`), opener.kinds.map((kind) => t(`kind.${kind.toLowerCase()}`)).join(", ")]));
  if (each.attesters) return facts(...each.attesters.map((attester) => [attester.schema, attester.accounts.map((account) => h("div", {}, accountLink(account)))]));
  return "";
}
