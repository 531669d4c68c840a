// The client as the page loads it: its files end in .js, which Node.js takes for modules only beside a package.json.
import { register } from "node:module";

register("data:text/javascript," + encodeURIComponent(`
  import { readFile } from "node:fs/promises";
  export async function load(url, context, next) {
    if (!url.endsWith(".js")) return next(url, context);
    return { format: "module", shortCircuit: true, source: await readFile(new URL(url)) };
  }
`));
const som = await import("../../node/explorer/static/som/som.js");
export const {
  Rpc, RpcError, Unreachable, bytesOf, formatAccount, formatBasisPoints, formatBytes, formatClock, formatDecimal, formatDuration,
  formatInteger, formatMoney, formatTime, formatUnits, formatUtc, hexOf, judge, mayFail, parseAccount, parseHash, parseUnits,
  quantile, readHistogram, readRef,
} = som;
