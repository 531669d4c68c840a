// What the client says of bytes: {values: [hex], transactions: [hex], genesis_hash} on stdin, verdicts on stdout.
import { readFileSync } from "node:fs";
import * as som from "./som.mjs";

const asked = JSON.parse(readFileSync(0, "utf8"));
const values = asked.values.map((hex) => {
  try {
    return som.hexOf(som.encode(som.decode(som.bytesOf(hex))));
  } catch (error) {
    return error.name;
  }
});
const transactions = [];
for (const hex of asked.transactions) {
  try {
    const read = await som.readTransaction(som.bytesOf(hex), asked.genesis_hash);
    transactions.push([read.tx_id, await som.signaturesValid(read)]);
  } catch (error) {
    transactions.push([error.code ?? error.name, false]);
  }
}
console.log(JSON.stringify({ values, transactions }));
