/** What happens now: blocks as they come, who signed them, how long they took, who may still fail. */

import { blockChart } from "../charts.js";
import { formatClock, formatDuration, quantile, readHistogram } from "../som/som.js";
import { blockLink, h, light, panel, replace, table, tile, tiles, time } from "../ui.js";

const SHOWN = 60;
const LISTED = 10;
const METRICS_MS = 5_000;

export default function now({ body, t, language, live, number, onLive, every, signal }) {
  let finality = null;
  const [top, chart, list] = [h("div"), h("div"), h("div")];
  replace(body, top, chart, list);
  every(METRICS_MS, async () => {
    try {
      const text = await (await fetch("/metrics", { signal })).text();
      finality = readHistogram(text, "som_block_finality_seconds");
    } catch {
      finality = null; // shown as unknown; the state above says whether the node answers
    }
  });
  onLive(() => {
    const { info, blocks, names, verdict } = live;
    if (!info) {
      replace(top, h("p", { class: "empty" }, t("nothing")));
      return;
    }
    const shown = blocks.slice(-SHOWN);
    const [first, last] = [shown[0], shown.at(-1)];
    const transactions = shown.reduce((sum, block) => sum + block.transaction_count, 0);
    const seconds = shown.length > 1 ? (last.timestamp_ms - first.timestamp_ms) / 1_000 : 0;
    const at = (share) => (finality && quantile(finality, share) !== null ? formatDuration(quantile(finality, share) * 1_000, language) : t("unknown"));
    replace(
      top,
      tiles(
        tile(t("height"), number(info.height), t("now.epoch", { epoch: number(info.epoch), view: number(info.view) })),
        tile(t("now.finality"), at(0.5), t("now.p99", { time: at(0.99) })),
        tile(t("now.transactions"), number(transactions), t("now.in_blocks", { count: shown.length, time: formatDuration(seconds * 1_000, language) })),
        tile(t("now.may_fail"), verdict.spare < 0 ? t("now.no_quorum") : number(verdict.spare), t("now.of", { count: info.validators }), verdict.spare < 1 ? "thin" : ""),
        tile(t("now.waiting"), number(info.mempool_transactions)),
        tile(t("now.last"), formatDuration(verdict.age, language), h("span", {}, time(info.block_time_ms, true))),
      ),
    );
    const titleOf = (block) => t("now.block", { height: number(block.height), count: number(block.transaction_count), time: formatClock(block.timestamp_ms), names: block.signers.join(", ") });
    replace(
      chart,
      panel(
        t("now.blocks"),
        blockChart(shown, SHOWN, names, t("now.chart", { count: shown.length, transactions: number(transactions) }), titleOf),
        h("ul", { class: "legend" }, h("li", {}, t("now.legend_bar")), h("li", {}, t("now.legend_tick", { names: names.join(", ") }))),
      ),
    );
    const rows = blocks.slice(-LISTED).reverse().map((block) => [
      blockLink(block.height, number(block.height)),
      time(block.timestamp_ms, true),
      number(block.transaction_count),
      block.header?.proposer ?? "",
      light(block.signers.length >= names.length ? "good" : "off", `${block.signers.length} / ${names.length}`),
    ]);
    const columns = [[t("height")], [t("time")], [t("transactions"), "number"], [t("leader")], [t("signers")]];
    replace(list, panel(t("now.latest"), table(t("now.latest"), columns, rows, t("nothing"))));
  });
}
