/** This node and its links. */

import { facts, h, hash, light, panel, replace, table, time } from "../ui.js";

export default function network({ body, t, live, number, onLive }) {
  onLive(() => {
    const { info, peers } = live;
    if (!info) {
      replace(body, h("p", { class: "empty" }, t("nothing")));
      return;
    }
    const rows = peers.map((peer) => ({
      attributes: { "data-peer": peer.name },
      cells: [
        peer.name,
        peer.connected ? light("good", t("connected")) : light("bad", t("away")),
        peer.height === null ? t("unknown") : number(peer.height),
        peer.since_ms ? time(peer.since_ms) : "",
        hash(peer.node_key),
      ],
    }));
    const columns = [[t("network.peer")], [t("status")], [t("height"), "number"], [t("network.since")], [t("network.key")]];
    replace(
      body,
      panel(
        t("network.node"),
        facts(
          [t("network.name"), info.node],
          [t("network.network"), `${info.name} (${info.kind}, ${info.network})`],
          [t("status"), info.ready ? light("good", t("network.ready")) : light("bad", info.reasons.join("; ") || t("network.not_ready"))],
          [t("height"), number(info.height)],
          [t("now.waiting"), number(info.mempool_transactions)],
          [t("network.access"), t(`access.${info.access}`)],
          [t("network.version"), info.version],
          [t("network.protocol"), info.protocol_version === info.protocol_version_next ? number(info.protocol_version) : t("network.protocol_next", { now: info.protocol_version, next: info.protocol_version_next })],
          [t("network.genesis"), hash(info.genesis_hash, null, 64)],
          [t("network.metrics"), h("a", { href: "/metrics" }, "/metrics")],
        ),
      ),
      panel(t("network.links"), table(t("network.links"), columns, rows, t("network.alone"))),
    );
  });
}
