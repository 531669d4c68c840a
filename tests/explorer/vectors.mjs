/** What every client library must compute alike (tests/vectors/client.json), asked of the JavaScript client.
 *
 * One rule: every vector is tried. A part of the file that is not known here is a failure, not a thing to leave out. It is a
 * plain module, because Node.js (vectors.test.mjs) and a browser (tests/test_explorer_browser.py) both run it.
 */

/** [{name, run}]: `run` rejects if the client `som` says anything else than the vectors. */
export function checksOf(som, vectors) {
  const parts = {
    encoding: [({ hex }) => hex, encoding],
    not_canonical: [({ why }) => why, notCanonical],
    accounts: [({ account }) => account, account],
    not_accounts: [(text) => text, (som, text) => same(som.parseAccount(text), null)],
    amounts: [({ text }) => text, (som, { text, tyiyn }) => same(String(som.parseSom(text)), tyiyn)],
    not_amounts: [(text) => text, (som, text) => same(som.parseSom(text), null)],
    keys: [({ public: key }) => key, key],
    transactions: [({ name }) => name, transaction],
    refused: [({ name }) => name, refused],
    reading: [({ namespace }) => namespace, reading],
  };
  const told = new Set(["about", "format", ...Object.keys(parts)]);
  const unknown = Object.keys(vectors).filter((part) => !told.has(part));
  const missing = [...told].filter((part) => !(part in vectors));
  const first = { name: "the file has the parts that are known here", run: async () => same([unknown, missing, vectors.format], [[], [], 1]) };
  return [
    first,
    ...Object.entries(parts).flatMap(([part, [nameOf, check]]) =>
      (vectors[part] ?? []).map((row) => ({ name: `${part}: ${String(nameOf(row)).slice(0, 60)}`, run: async () => check(som, row, vectors) })),
    ),
  ];
}

function encoding(som, { value, hex }) {
  const meant = valueOf(som, value);
  same(som.hexOf(som.encode(meant)), hex);
  same(som.decode(som.bytesOf(hex)), meant);
}

function notCanonical(som, { hex, why }) {
  try {
    som.decode(som.bytesOf(hex));
  } catch (error) {
    same(error.name, "DecodeError");
    return;
  }
  throw new Error(`decoded: ${why}`);
}

function account(som, { participant, serial, account: number }) {
  same(som.makeAccount(participant, serial), number);
  same(som.parseAccount(number), number);
}

async function key(som, { seed, public: expected }) {
  const found = await som.Key.fromSeed(som.bytesOf(seed));
  same(som.hexOf(found.public), expected);
}

async function transaction(som, row) {
  const pays = row.pays.map((pay) => ({ ...pay, legs: pay.legs.map((leg) => ({ ...leg, ref: som.bytesOf(leg.ref) })) }));
  const body = som.makeBody({ ...row, pays });
  same(som.hexOf(body), row.body);
  same(som.hexOf(await som.transactionId(row.genesis_hash, body)), row.tx_id);
  const signatures = [];
  for (const { index, seed } of row.signers) signatures.push(await som.signBody(row.genesis_hash, body, index, await som.Key.fromSeed(som.bytesOf(seed))));
  const raw = som.assemble(body, [...signatures, ...signatures]); // doubles are dropped
  same(som.hexOf(raw), row.raw);
  const read = await som.readTransaction(raw, row.genesis_hash);
  const shown = (each) => ({ index: each.index, public: som.hexOf(each.public), signature: som.hexOf(each.signature) });
  same(read.signatures.map(shown), row.signatures);
  same([read.tx_id, String(read.network), String(read.expires_ms), String(read.salt), read.accounts], [row.tx_id, row.network, row.expires_ms, row.salt, row.accounts]);
  same(som.hexOf(som.makeBody(read)), row.body); // what was read says it all
  same(await som.signaturesValid(read), true);
}

async function refused(som, { raw, refused: code }, vectors) {
  const genesis_hash = vectors.transactions[0].genesis_hash;
  let read;
  try {
    read = await som.readTransaction(som.bytesOf(raw), genesis_hash);
  } catch (error) {
    same([error.name, error.code], ["Refused", code]);
    return;
  }
  same([code, await som.signaturesValid(read)], ["SIGNATURE", false]);
}

async function reading(som, row) {
  same(som.hexOf(await som.readStatement(row)), row.statement);
  const owner = await som.Key.fromSeed(som.bytesOf(row.seed));
  same(await som.signRead(row, owner), { account: row.account, expires_ms: Number(row.expires_ms), key: som.hexOf(owner.public), signature: row.signature });
}

/** A value of the encoding as the client has it. */
function valueOf(som, written) {
  const [[kind, value]] = Object.entries(written);
  switch (kind) {
    case "int": return BigInt(value);
    case "bytes": return som.bytesOf(value);
    case "array": return value.map((item) => valueOf(som, item));
    case "text": case "bool": case "nil": return value;
    default: throw new Error(`unknown kind: ${kind}`);
  }
}

/** Throws unless both say the same, with the same types. */
function same(found, expected) {
  const [said, meant] = [told(found), told(expected)];
  if (said !== meant) throw new Error(`${said}\n instead of ${meant}`);
}

const told = (value) => JSON.stringify(value, (_, each) => (typeof each === "bigint" ? { int: String(each) } : each instanceof Uint8Array ? { bytes: [...each] } : each));
