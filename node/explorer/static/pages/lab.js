/** For who learns and tries: every method as a form, and on a devnet the buttons that break things. */

import { control, hasLab } from "../control.js";
import { parseAccount, parseUnits } from "../som/som.js";
import { button, field, form, h, light, loading, panel, paymentLink, problem, replace, table } from "../ui.js";
import { noteSeen } from "./payment.js";

const STATUS_MS = 1_000;

export default async function lab(context) {
  const { body, rpc, t, live, signal } = context;
  const [faults, methods] = [h("div"), h("div")];
  replace(body, faults, methods);
  if (live.info?.kind === "devnet") breaking(context, faults);
  replace(methods, loading(t));
  const document = await rpc.call("rpc.discover", {}, signal);
  replace(methods, callPanel(context, document));
}

// --- a devnet's faults ---

function breaking({ t, signal, every, live }, place) {
  if (!hasLab()) {
    replace(place, panel(t("lab.faults"), h("p", { class: "empty" }, t("lab.no_control"))));
    return;
  }
  const [rows, said] = [h("div"), h("div", { role: "status" })];
  const act = async (name, params) => {
    replace(said, h("p", { class: "empty", "aria-busy": "true" }, t("lab.doing")));
    try {
      const answer = await control(name, params, signal);
      if (answer.tx_id) noteSeen(answer.tx_id, "received", answer.received_ms);
      replace(said, answer.tx_id ? h("p", {}, t("lab.paid"), " ", paymentLink(answer.tx_id)) : h("p", {}, light("good", t("lab.done"))));
    } catch (error) {
      if (!signal.aborted) replace(said, problem(error, t));
    }
    await refresh();
  };
  const refresh = async () => {
    const found = await control("status", {}, signal).catch(() => null);
    if (signal.aborted) return;
    if (!found) {
      replace(rows, h("p", { class: "empty" }, t("lab.no_answer")));
      return;
    }
    const columns = [[t("validator")], [t("status")], [t("lab.page")], [t("lab.acts")]];
    const lines = found.validators.map((each) => {
      const own = each.name === live.info?.node;
      const acts = [["kill", each.running], ["restart", true], ["partition", each.running && !each.cut], ["heal", each.cut]].filter(([name]) => found.acts.includes(name));
      return {
        attributes: { "data-lab": each.name },
        cells: [
          each.name,
          !each.running ? light("bad", t("lab.dead")) : each.cut ? light("warn", t("lab.cut")) : light("good", t("lab.runs")),
          own ? t("lab.this") : h("a", { href: `${each.url}/explorer/` }, each.url),
          h("span", { class: "row acts" }, acts.map(([name, can]) => button(t(`lab.${name}`), () => act(name, { name: each.name }), { disabled: !can, "data-key": `${name} ${each.name}`, "aria-label": `${t(`lab.${name}`)} ${each.name}` }))),
        ],
      };
    });
    replace(rows, table(t("lab.faults"), columns, lines, t("nothing")));
  };
  const account = h("input", { class: "mono", inputmode: "numeric", maxlength: 24 });
  const amount = h("input", { inputmode: "decimal", maxlength: 24, value: "100" });
  const faucet = form(
    () => {
      const [to, units] = [parseAccount(account.value), parseUnits(amount.value, 2)];
      if (to && units) act("faucet", { account: to, amount: String(units) });
      else replace(said, h("p", { class: "problem", role: "alert" }, t(to ? "amount.bad" : "account.bad")));
    },
    field(t("account.number"), account),
    field(t("lab.amount"), amount),
    h("button", {}, t("lab.faucet")),
  );
  replace(place, panel(t("lab.faults"), h("p", { class: "empty" }, t("lab.hint")), rows, h("h3", {}, t("lab.faucet")), faucet, said));
  every(STATUS_MS, refresh);
}

// --- calls ---

function callPanel(context, document) {
  const { t } = context;
  const methods = document.methods.filter((method) => !method["x-websocket"] && !method.name.startsWith("admin_"));
  const groups = new Map();
  for (const method of methods) groups.set(method.tags[0].name, [...(groups.get(method.tags[0].name) ?? []), method]);
  const choice = h("select", {}, [...groups].map(([name, list]) => h("optgroup", { label: name }, list.map((method) => h("option", { value: method.name }, method.name)))));
  const place = h("div");
  const show = () => replace(place, callForm(context, document, methods.find((method) => method.name === choice.value)));
  choice.addEventListener("change", show);
  choice.value = "chain_getInfo";
  show();
  return panel(t("lab.methods"), h("div", { class: "line" }, field(t("lab.method"), choice)), place);
}

/** A form made from the types of a method's params: nothing about methods is known here. */
function callForm({ rpc, t, signal }, document, method) {
  const example = new Map(method.examples[0]?.params.map((param) => [param.name, param.value]) ?? []);
  const inputs = method.params.map((param) => ({ param, schema: resolve(param.schema, document), input: inputOf(resolve(param.schema, document), example.get(param.name)) }));
  const result = h("div", { "aria-live": "polite" });
  const send = async () => {
    replace(result, loading(t));
    try {
      const params = {};
      for (const { param, schema, input } of inputs) {
        const value = valueOf(schema, input);
        if (value !== undefined) params[param.name] = value;
      }
      const answer = await rpc.call(method.name, params, signal);
      replace(result, h("pre", { tabindex: "0", "data-result": method.name }, JSON.stringify(answer, null, 2)));
    } catch (error) {
      if (!signal.aborted) replace(result, problem(error, t));
    }
  };
  return h(
    "div",
    {},
    h("p", { lang: "en" }, method.summary, " ", h("span", { class: "mono" }, `x-scope: ${method["x-scope"]}`)),
    form(send, inputs.map(({ param, schema, input }) => field(param.required ? `${param.name} *` : param.name, input, schema.description ?? null)), h("button", {}, t("lab.call"))),
    result,
  );
}

/** The schema itself: behind a reference, or the one that is not null. */
function resolve(schema, document) {
  if (schema.$ref) return resolve(document.components.schemas[schema.$ref.split("/").at(-1)], document);
  const other = schema.anyOf?.filter((each) => each.type !== "null");
  return other ? resolve(other[0], document) : schema;
}

function inputOf(schema, example) {
  const shown = example === undefined ? "" : typeof example === "object" ? JSON.stringify(example) : String(example);
  if (schema.enum || schema.type === "boolean") {
    const values = schema.enum ?? [false, true];
    const select = h("select", {}, h("option", { value: "" }, "—"), values.map((value) => h("option", { value: String(value) }, String(value))));
    select.value = shown;
    return select;
  }
  return h("input", { class: "mono", value: shown, spellcheck: "false", autocomplete: "off", maxlength: 100_000, inputmode: schema.type === "integer" ? "numeric" : null });
}

function valueOf(schema, input) {
  const text = input.value.trim();
  if (text === "") return undefined;
  if (schema.type === "integer") return Number(text);
  if (schema.type === "boolean") return text === "true";
  if (schema.type === "array" || schema.type === "object") return JSON.parse(text);
  return text;
}
