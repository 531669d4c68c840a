/** The view under way: who leads, who has said what, whom we wait for; and proofs of misbehaviour. */

import { facts, h, hash, light, panel, replace, table } from "../ui.js";

const EVIDENCE_MS = 10_000;

export default async function consensus({ body, t, live, number, onLive, every, rpc, signal }) {
  const [view, votes, evidence] = [h("div"), h("div"), h("div")];
  replace(body, view, votes, evidence);
  onLive(() => {
    const now = live.consensus;
    if (!now) {
      replace(view, h("p", { class: "empty" }, t("nothing")));
      return;
    }
    replace(
      view,
      panel(
        t("consensus.view"),
        facts(
          [t("view"), number(now.view)],
          [t("epoch"), number(now.epoch)],
          [t("leader"), now.leader],
          [t("consensus.finalized"), number(now.finalized_height)],
          [t("consensus.quorum"), t("consensus.quorum_of", { quorum: number(now.quorum_weight), total: number(now.total_weight) })],
          [t("consensus.awaited"), now.awaited.length ? now.awaited.join(", ") : t("consensus.nobody")],
        ),
      ),
    );
    const said = (yes, word) => (yes ? light("good", word) : light("off", t("consensus.not_yet")));
    const rows = now.votes.map((vote) => [
      vote.name === now.leader ? h("strong", {}, vote.name, " · ", t("leader")) : vote.name,
      vote.connected ? light("good", t("connected")) : light("bad", t("away")),
      said(vote.notarized, "NOTARIZE"),
      vote.nullified ? light("warn", "NULLIFY") : light("off", t("consensus.no")),
      said(vote.finalized, "FINALIZE"),
    ]);
    const columns = [[t("validator")], [t("status")], [t("consensus.notarize")], [t("consensus.nullify")], [t("consensus.finalize")]];
    replace(votes, panel(t("consensus.votes"), table(t("consensus.votes"), columns, rows, t("nothing")), h("p", { class: "empty" }, t("consensus.hint"))));
  });
  await every(EVIDENCE_MS, async () => {
    const found = await rpc.call("evidence_list", {}, signal).catch(() => null);
    if (!found) return;
    const rows = found.evidence.map((each) => [light("bad", each.validator), t(`evidence.${each.kind}`), number(each.epoch), each.view === null ? "" : number(each.view), hash(each.id)]);
    const columns = [[t("validator")], [t("evidence.kind")], [t("epoch"), "number"], [t("view"), "number"], [t("evidence.id")]];
    replace(evidence, panel(t("evidence.title"), table(t("evidence.title"), columns, rows, t("evidence.none"))));
  });
}
