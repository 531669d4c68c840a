/** The State Register of Digital Assets with its history, and the national reserve as it is attested. */

import { accountLink, h, hash, light, panel, paymentLink, replace, table, time } from "../ui.js";
import { coverage } from "./supply.js";

const ASK_MS = 10_000;
const RESERVES = ["crypto-reserve", "som-reserve", "gold"];

export default async function register({ body, rpc, t, number, money, signal, every }) {
  await every(ASK_MS, async () => {
    const { items } = await rpc.pages("asset_list", {}, "assets", 5, signal);
    const asks = [...items.map((asset) => ["asset_getHistory", { asset: asset.asset }]), ...RESERVES.map((schema) => ["attestation_list", { schema }])];
    const answers = await rpc.batch(asks, signal);
    const looks = { registered: "good", suspended: "warn", revoked: "bad" };
    const status = (name) => light(looks[name], t(`status.${name}`));
    const rows = items.map((asset) => [asset.code, number(asset.asset), status(asset.status), money(asset.supply, asset), t(`backing.${asset.backing}`), coverage(asset, t), accountLink(asset.issuer), asset.basis ? hash(asset.basis) : ""]);
    const columns = [[t("register.code")], [t("register.number"), "number"], [t("status")], [t("supply.issued"), "number"], [t("supply.backing")], [t("supply.cover")], [t("supply.issuer")], [t("register.basis")]];
    const changes = items
      .flatMap((asset, index) => (answers[index].changes ?? []).map((change) => ({ ...change, code: asset.code })))
      .sort((a, b) => b.timestamp_ms - a.timestamp_ms)
      .map((change) => [time(change.timestamp_ms), change.code, status(change.status), accountLink(change.by), paymentLink(change.tx_id)]);
    const said = RESERVES.flatMap((schema, index) => answers[items.length + index].attestations ?? []);
    const reserves = said.map((each) => [
      each.schema,
      each.subject,
      number(each.value),
      time(each.as_of_ms),
      each.valid ? light("good", t("register.valid")) : light("warn", t("register.ended")),
      accountLink(each.by),
      hash(each.evidence),
    ]);
    const reserveColumns = [[t("register.schema")], [t("register.subject")], [t("register.value"), "number"], [t("supply.as_of")], [t("status")], [t("register.by")], [t("register.document")]];
    replace(
      body,
      panel(t("register.assets"), table(t("register.assets"), columns, rows, t("nothing"))),
      panel(t("register.reserve"), table(t("register.reserve"), reserveColumns, reserves, t("register.no_reserve")), h("p", { class: "empty" }, t("register.units"))),
      panel(t("register.history"), table(t("register.history"), [[t("time")], [t("register.code")], [t("status")], [t("register.by")], [t("payment.id")]], changes, t("register.no_history"))),
    );
  });
}
