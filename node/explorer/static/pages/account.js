/** An account: what it has, what it did, what is held; each new line as it comes. */

import { parseAccount, readRef } from "../som/som.js";
import { ASK_MS, followStatement } from "../statement.js";
import { accountLink, button, facts, field, form, h, hash, light, loading, panel, paymentLink, problem, replace, table, time } from "../ui.js";

const PAGE = 50;

export default async function account(context) {
  const { args, body, live, t } = context;
  const input = h("input", { class: "mono", inputmode: "numeric", maxlength: 24, value: args[0] ?? "" });
  const order = live.info?.access === "tokens" && h("input", { maxlength: 35, value: args[1] ?? "" }); // whoever acts on one
  const result = h("div");
  const find = () => {
    const under = order && order.value.trim() ? `/${encodeURIComponent(order.value.trim())}` : "";
    location.hash = `#/account/${input.value.replace(/\s/g, "")}${under}`;
  };
  const fields = [field(t("account.number"), input, t("account.hint")), order && field(t("governance.under"), order, t("optional"))];
  replace(body, panel(t("account.which"), form(find, fields, h("button", {}, t("find"))), order && h("p", { class: "empty" }, t("account.who"))), result);
  if (!args[0]) return;
  const number = parseAccount(args[0]);
  if (!number) replace(result, h("p", { class: "problem", role: "alert" }, t("account.bad")));
  else await follow(context, number, args[1] ? { under_order: args[1] } : {}, result);
}

async function follow(context, account, under, place) {
  const { rpc, t, money, som, number: digits, signal, assets, every } = context;
  replace(place, loading(t));
  const [summary, statement, held] = [h("div"), h("div"), h("div")];
  let entries = [];
  let cursor = null;
  let begun = false;
  let drawing = false;
  let stale = false; // what is shown is not all that is known
  const drawStatement = async () => {
    const known = await assets(entries.map((entry) => entry.asset));
    const rows = entries.map((entry) => [
      digits(entry.number),
      time(entry.timestamp_ms),
      money(entry.amount, known.get(entry.asset)),
      money(entry.balance, known.get(entry.asset)),
      entry.other ? accountLink(entry.other) : t("account.several"),
      readRef(entry.ref),
      paymentLink(entry.tx_id),
    ]);
    const columns = [["№", "number"], [t("time")], [t("amount"), "number"], [t("balance"), "number"], [t("account.other")], [t("ref")], [t("payment.id")]];
    replace(statement, panel(t("account.statement"), table(t("account.statement"), columns, rows, t("account.no_entries")), cursor && button(t("more"), more, { "data-key": "more" })));
  };
  const more = async () => {
    const page = await rpc.call("account_getHistory", { ...under, account, limit: PAGE, cursor }, signal);
    entries.push(...page.entries);
    cursor = page.next_cursor;
    await drawStatement();
  };
  const drawSummary = async () => {
    const [{ account: found }, holds] = await Promise.all([
      rpc.call("account_get", { ...under, account }, signal),
      rpc.pages("hold_list", { ...under, account }, "holds", 2, signal),
    ]);
    const flags = found.flags.length ? found.flags.map((flag) => h("div", {}, light("warn", t(`flag.${flag}`)))) : light("good", t("account.free"));
    const balances = found.holdings.map((each) => [each.code, money(each.balance, each), money(each.held, each), money(each.available, each)]);
    const columns = [[t("account.asset")], [t("balance"), "number"], [t("account.held"), "number"], [t("account.available"), "number"]];
    replace(
      summary,
      panel(
        t("account.title"),
        facts(
          [t("account.kind"), t(`kind.${found.kind.toLowerCase()}`)],
          [t("account.tier"), digits(found.tier)],
          [t("status"), flags],
          found.bank && [t("account.bank"), accountLink(found.bank)],
          [t("account.keys"), [`${digits(found.threshold)} / ${digits(found.keys.length)}`, found.keys.map((key) => h("div", {}, hash(key.key)))]],
          [t("account.today"), som(found.out_today)],
        ),
        table(t("balance"), columns, balances, t("account.nothing")),
      ),
    );
    const known = await assets(holds.items.map((each) => each.asset));
    const rows = holds.items.map((each) => [hash(each.id), money(each.left, known.get(each.asset)), each.by ? accountLink(each.by) : t("account.secret"), each.to ? accountLink(each.to) : "", each.until_ms ? time(each.until_ms) : t("account.no_end"), readRef(each.ref)]);
    replace(held, panel(t("account.holds"), table(t("account.holds"), [[t("evidence.id")], [t("amount"), "number"], [t("account.settler")], [t("to")], [t("expires")], [t("ref")]], rows, t("account.no_holds"))));
  };
  const begin = async () => {
    const [page] = await Promise.all([
      rpc.call("account_getHistory", { ...under, account, limit: PAGE }, signal),
      drawSummary(),
    ]);
    [entries, cursor] = [page.entries, page.next_cursor];
    await drawStatement();
    replace(place, summary, held, statement);
    followStatement(context, { ...under, account }, (entries[0]?.number ?? -1) + 1, (fresh) => {
      entries.unshift(...fresh.reverse());
      stale = true;
      draw();
    });
  };
  const draw = async () => {
    if (drawing) return;
    drawing = true;
    try {
      while (stale) {
        stale = false;
        await Promise.all([drawStatement(), drawSummary()]);
      }
    } catch (error) {
      stale ||= error.again === true; // the next turn draws it
    } finally {
      drawing = false;
    }
  };
  await every(ASK_MS, async () => {
    if (begun) return draw();
    begun = true;
    try {
      await begin();
    } catch (error) {
      begun = !error.again;
      if (!signal.aborted) replace(place, problem(error, t));
    }
  });
}
