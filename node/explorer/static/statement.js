/** The lines that come to an account's statement while a page shows it. */

export const ASK_MS = 2_000;
const LINES = 200; // of a reply

/** Gives `take` each line from number `next` on, in order and once: told, or asked for where there is no WebSocket.
 *
 * A look under an order is written down, so there only what is missing between two lines that were told is asked for.
 */
export function followStatement({ rpc, live, signal, every, onLeave }, params, next, take) {
  let asking = false;
  let behind = false; // there are lines that nobody told
  let refused = false; // nothing is told
  let told = false; // the WebSocket was there at the last turn
  const give = (entries) => {
    const fresh = entries.filter((entry) => entry.number >= next);
    if (!fresh.length) return;
    next = fresh.at(-1).number + 1;
    take(fresh);
  };
  const ask = async () => {
    if (asking) return;
    asking = true;
    try {
      for (let more = true; more; more = more || behind) {
        behind = false;
        const asked = { ...params, from_number: next, order: "asc", limit: LINES };
        const page = await rpc.call("account_getHistory", asked, signal);
        give(page.entries);
        more = page.next_cursor !== null;
      }
    } catch {
      behind = true; // the line on top says what is wrong, and the next turn asks again
    } finally {
      asking = false;
    }
  };
  const hear = ({ entry }) => {
    if (entry.number <= next) return give([entry]);
    behind = true;
    return ask();
  };
  onLeave(rpc.subscribe("account", params, hear, () => (refused = true)));
  const turn = () => {
    const before = told;
    told = live.mode === "live" && !refused;
    return told && before && !behind ? undefined : ask();
  };
  if (params.under_order === undefined) every(ASK_MS, turn);
}
