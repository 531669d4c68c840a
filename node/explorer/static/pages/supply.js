/** What is issued, and what stands behind it, at one moment of what is on disk. */

import { stepChart } from "../charts.js";
import { formatBasisPoints } from "../som/som.js";
import { accountLink, facts, h, light, panel, paymentLink, replace, table, time } from "../ui.js";

const ASK_MS = 5_000;
const CHANGES = 50;

/** Whether an asset is covered: good, bad, or off where nothing has to back it. */
export function coverage(asset, t) {
  if (asset.backing === "none") return light("off", t("supply.unbacked"));
  const allowed = asset.cover?.supply_max;
  if (allowed === null || allowed === undefined) return BigInt(asset.supply) === 0n ? light("off", t("supply.nothing_issued")) : light("bad", t("supply.no_word"));
  return BigInt(asset.supply) <= BigInt(allowed) ? light("good", t("supply.covered")) : light("bad", t("supply.short"));
}

export default async function supply({ body, rpc, t, language, number, money, signal, every, assets }) {
  await every(ASK_MS, async () => {
    const { items } = await rpc.pages("asset_list", {}, "assets", 5, signal);
    const known = await assets(items.flatMap(({ terms }) => terms?.asset ?? []));
    const histories = await rpc.batch(items.map((asset) => ["supply_getHistory", { asset: asset.asset, limit: CHANGES }]), signal);
    const panels = items.map((asset, index) => {
      const changes = histories[index] instanceof Error ? [] : histories[index].changes;
      const { terms, cover } = asset;
      const reserve = cover?.value !== null && cover?.value !== undefined ? (terms?.asset ? money(cover.value, known.get(terms.asset)) : number(cover.value)) : t("unknown");
      const points = [...changes].reverse().map((each) => [each.timestamp_ms, Number(each.supply)]);
      const rows = changes.slice(0, 8).map((each) => [time(each.timestamp_ms), money(each.change, asset), money(each.supply, asset), paymentLink(each.tx_id)]);
      return panel(
        asset.code,
        h("p", {}, coverage(asset, t)),
        facts(
          [t("supply.issued"), h("strong", {}, money(asset.supply, asset))],
          [t("supply.max"), money(asset.max_supply, asset)],
          [t("supply.issuer"), accountLink(asset.issuer)],
          asset.backing !== "none" && [t("supply.backing"), t(`backing.${asset.backing}`)],
          asset.backing !== "none" && [t("supply.reserve"), reserve],
          terms?.ratio_bp && [t("supply.ratio"), formatBasisPoints(terms.ratio_bp, language)],
          cover?.coverage_bp !== null && cover?.coverage_bp !== undefined && [t("supply.coverage"), formatBasisPoints(cover.coverage_bp, language)],
          cover?.attestation && [t("supply.as_of"), time(cover.attestation.as_of_ms)],
        ),
        points.length > 1 && stepChart(points, t("supply.chart", { code: asset.code })),
        table(`${asset.code}: ${t("supply.changes")}`, [[t("time")], [t("supply.change"), "number"], [t("supply.after"), "number"], [t("payment.id")]], rows, t("supply.never")),
      );
    });
    replace(body, items.length ? h("div", { class: "grid" }, panels) : h("p", { class: "empty" }, t("nothing")));
  });
}
