/** What amounts are of: code and decimals of each asset, as the register has them.
 *
 * One rule: an amount of an asset that is not known is shown in its minor units, with the asset's number; never as som.
 */

const AGAIN_MS = 30_000; // between two questions for an asset that the register does not have

/** Returns how to ask for the assets of some numbers: once each in this tab, while the register has them. */
export function rememberAssets(rpc, t) {
  const known = new Map();
  const missed = new Map(); // asset -> when the register did not have it
  const unnamed = (asset) => ({ asset, scale: 0, code: t("asset.unnamed", { number: asset }) });
  const found = { get: (asset) => known.get(asset) ?? unnamed(asset) };
  const ask = async (numbers) => {
    const now = Date.now();
    const fresh = (asset) => !known.has(asset) && !(now - missed.get(asset) < AGAIN_MS);
    const wanted = [...new Set(numbers)].filter(fresh);
    if (!wanted.length) return found;
    const replies = await rpc.batch(wanted.map((asset) => ["asset_get", { asset }]));
    replies.forEach((reply, index) => {
      if (!(reply instanceof Error)) known.set(wanted[index], reply.asset);
      else if (reply.name === "not_found") missed.set(wanted[index], now);
    });
    const refused = replies.find((reply) => reply instanceof Error && reply.name !== "not_found");
    if (refused) throw refused;
    return found;
  };
  let asked = Promise.resolve(found); // one after another: who waits for the same asset finds it
  return (numbers) => (asked = asked.catch(() => {}).then(() => ask(numbers)));
}
