// The client as the page loads it: its files end in .js, which Node.js takes for modules only beside a package.json.
import { register } from "node:module";

register("data:text/javascript," + encodeURIComponent(`
  import { readFile } from "node:fs/promises";
  export async function load(url, context, next) {
    if (!new URL(url).pathname.endsWith(".js")) return next(url, context);
    return { format: "module", shortCircuit: true, source: await readFile(new URL(url)) };
  }
`));
const som = await import("../../node/explorer/static/som/som.js");
export const {
  Key, Rpc, RpcError, Unreachable, assemble, bytesOf, decode, encode, formatAccount, formatBasisPoints, formatBytes, formatClock,
  formatDecimal, formatDuration, formatInteger, formatMoney, formatTime, formatUnits, formatUtc, hexOf, judge, makeAccount, makeBody,
  mayFail, parseAccount, parseHash, parseSom, parseUnits, quantile, readHistogram, readRef, readStatement, readTransaction, signBody,
  signPayment, signRead, signaturesValid, transactionId, verify,
} = som;
