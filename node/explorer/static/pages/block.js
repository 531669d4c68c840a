/** One block: who proposed it, who signed, what it carried. */

import { blockLink, facts, h, hash, light, panel, paymentLink, replace, table, time } from "../ui.js";
import { outcomeLight } from "./payment.js";

export default async function block({ args, body, rpc, t, number, signal }) {
  const height = Number(args[0]);
  const found = await rpc.call("chain_getBlock", Number.isSafeInteger(height) && height >= 0 ? { height, limit: 200 } : { limit: 200 }, signal);
  const { header } = found;
  replace(
    body,
    panel(
      t("block.title", { height: number(found.height) }),
      facts(
        [t("time"), time(found.timestamp_ms)],
        [t("transactions"), number(found.transaction_count)],
        header && [t("leader"), header.proposer],
        header && [t("view"), number(header.view)],
        header && [t("epoch"), number(header.epoch)],
        [t("signers"), found.signers.length ? found.signers.map((name) => h("div", {}, light("good", name))) : t("nothing")],
        [t("block.hash"), hash(found.block_hash, null, 64)],
        [t("block.root"), hash(found.state_root_after, null, 64)],
      ),
      h("p", { class: "row" }, found.height > 0 && blockLink(found.height - 1, t("block.before")), found.height < found.at_height && blockLink(found.height + 1, t("block.after"))),
    ),
    panel(
      t("transactions"),
      table(
        t("transactions"),
        [[t("payment.id")], [t("outcome")]],
        found.transactions.map((each) => [paymentLink(each.tx_id), outcomeLight(each.outcome, t)]),
        t("block.empty"),
      ),
    ),
  );
}
