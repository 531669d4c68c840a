/** Who validates, who is there, who signed which of the latest blocks. */

import { matrix } from "../charts.js";
import { h, hash, light, panel, replace, table } from "../ui.js";

const SHOWN = 60;
const UPTIME_BLOCKS = 200;
const ASK_MS = 5_000;

export default async function validators({ body, t, live, number, onLive, every, rpc, signal }) {
  const [list, grid, seats] = [h("div"), h("div"), h("div")];
  replace(body, list, grid, seats);
  let uptime = new Map();
  let known = null;
  await every(ASK_MS, async () => {
    const [up, listed] = await rpc.batch([["validator_getUptime", { blocks: UPTIME_BLOCKS }], ["validator_list"]], signal).catch(() => []);
    if (up && !(up instanceof Error)) uptime = new Map(up.validators.map((each) => [each.name, each]));
    if (listed && !(listed instanceof Error)) known = listed;
  });
  onLive(() => {
    const { consensus, blocks, names } = live;
    const rows = (consensus?.votes ?? []).map((vote) => {
      const up = uptime.get(vote.name);
      const share = up?.certificates ? up.signed / up.certificates : null;
      return {
        attributes: { "data-validator": vote.name, "data-connected": String(vote.connected) },
        cells: [
          vote.name,
          vote.connected ? light("good", t("connected")) : light("bad", t("away")),
          number(vote.weight),
          share === null ? "" : `${Math.round(share * 100)} % (${up.signed} / ${up.certificates})`,
          up ? number(up.led) : "",
          up ? number(up.passed) : "",
        ],
      };
    });
    const columns = [[t("validator")], [t("status")], [t("weight"), "number"], [t("validators.signed"), "number"], [t("validators.led"), "number"], [t("validators.passed"), "number"]];
    const sums = known && h("p", { class: "empty" }, t("validators.quorum", { quorum: number(known.quorum_weight), total: number(known.total_weight), faulty: number(known.faulty_weight_max) }));
    replace(list, panel(t("validators.committee"), table(t("validators.committee"), columns, rows, t("nothing")), sums));
    const shown = blocks.slice(-SHOWN);
    const kind = (block, name) => (block.header?.proposer === name ? "led" : block.signers.includes(name) ? "signed" : "missing");
    const lines = names.flatMap((name) => {
      const cells = shown.map((block) => ({ kind: kind(block, name), title: `${name} · ${number(block.height)} · ${t(`validators.${kind(block, name)}_cell`)}` }));
      const missing = cells.filter((cell) => cell.kind === "missing").length;
      return [h("span", {}, name), matrix([{ cells }], t("validators.row", { name, missing, count: cells.length }))];
    });
    const legend = ["led", "signed", "missing"].map((each) => h("li", {}, matrix([{ cells: [{ kind: each, title: "" }] }], t(`validators.${each}_cell`)), " ", t(`validators.${each}_cell`)));
    replace(grid, panel(t("validators.matrix", { count: shown.length }), h("div", { class: "matrixgrid" }, lines), h("ul", { class: "legend" }, legend), h("p", { class: "empty" }, t("validators.late"))));
    replace(seats, known && seatTable(known, t, number));
  });
}

/** The seats of which the next committee is made. */
export function seatTable(known, t, number) {
  const rows = known.seats.map((seat) => [
    seat.name,
    number(seat.weight),
    seat.current ? hash(seat.current.consensus_key) : "",
    seat.next ? light("warn", t("validators.must_prove")) : seat.current ? light("good", t("validators.seated")) : "",
  ]);
  const columns = [[t("validator")], [t("weight"), "number"], [t("validators.key")], [t("status")]];
  return panel(t("validators.seats", { height: number(known.epoch_ends) }), table(t("page.validators"), columns, rows, t("nothing")));
}
