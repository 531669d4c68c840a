/** Payments, from their parts to signed bytes and back: node/ledger/transaction.py and pay.py, for who has JavaScript.
 *
 *     raw  = [body, [[index of the account, public key, signature] ...]]      signatures ascend, none twice
 *     body = [1, network, expires_ms, salt, [account ...], [operation ...]]   a payment: [1, asset, payer, legs, partial, once]
 *
 * One rule: the id is the hash of the body's bytes under the genesis hash, so the same bytes may be sent again and again
 * and pay once. Other operations than payments are neither written nor read here.
 */

import { bytesOf, hexOf, parseAccount } from "./codec.js";
import { DecodeError, decode, encode } from "./encoding.js";
import { digest, verify } from "./signing.js";

const VERSION = 1n;
const PAY = 1n;
const TRANSACTION_BYTES_MAX = 256 * 1024;
const OPERATIONS_MAX = 16;
const ACCOUNTS_MAX = 16;
const SIGNATURES_MAX = 32;
const LEGS_MAX = 4_096;
const UNSORTED_LEGS_MAX = 16; // more must ascend by payee
const REF_BYTES_MAX = 35;
const AMOUNT_MAX = 2n ** 63n - 1n;
const NUMBER_MAX = 2n ** 63n - 1n; // of what is no money
const ACCOUNT_MAX = 10n ** 16n - 1n;
const ASSET_MAX = 2n ** 16n - 1n;
const NETWORK_MAX = 2n ** 32n - 1n;
const EXPIRES_MAX_MS = 2n ** 53n - 1n;
const SALT_MAX = 2n ** 64n - 1n;
const LIFETIME_MS = 5 * 60_000; // people may sign for ten minutes ahead
export const SOM = 1;

export class Refused extends Error {
  /** No node takes these bytes; `code` is the ledger's name of the reason. */
  constructor(code) {
    super(code);
    this.name = "Refused";
    this.code = code;
  }
}

/** Signs a payment: `{payer, legs: [{to, amount, ref}], once, partial, asset}`, amounts in tyiyn as text or BigInt, refs as bytes.
 *
 * `info` is what `chain_getInfo` says, `keys` are the payer's. Returns {tx_id, raw, expires_ms}, hex: keep `raw` before it is sent,
 * and send the same again until the result is final.
 */
export async function signPayment(info, payment, keys) {
  const expires_ms = info.now_ms + LIFETIME_MS;
  const parts = { network: info.network, expires_ms, salt: randomSalt(), accounts: [payment.payer], pays: [payment] };
  const body = makeBody(parts);
  const signatures = await Promise.all(keys.map((key) => signBody(info.genesis_hash, body, 0, key)));
  const raw = assemble(body, signatures);
  const read = await readTransaction(raw, info.genesis_hash);
  return { tx_id: read.tx_id, raw: hexOf(raw), expires_ms };
}

/** The body to be signed. Throws RangeError, TypeError. */
export function makeBody({ network, expires_ms, salt, accounts, pays }) {
  const operations = pays.map(({ asset = SOM, payer, legs, partial = false, once = false }) => [
    PAY,
    BigInt(asset),
    accountValue(payer),
    legs.map(({ to, amount, ref = new Uint8Array() }) => [accountValue(to), BigInt(amount), ref]),
    partial,
    once,
  ]);
  return encode([VERSION, BigInt(network), BigInt(expires_ms), BigInt(salt), accounts.map(accountValue), operations]);
}

/** The 32 bytes that are signed, and by which the transaction is found. */
export const transactionId = (genesis_hash, body) => digest("som-tx-1", bytesOf(genesis_hash), body);

/** One signature for the account at `index` of the body's list. */
export async function signBody(genesis_hash, body, index, key) {
  return { index, public: key.public, signature: await key.sign(await transactionId(genesis_hash, body)) };
}

/** The raw transaction. The order of the signatures does not matter, doubles are dropped. */
export function assemble(body, signatures) {
  const rows = new Map(signatures.map((each) => [`${each.index}`.padStart(3, "0") + hexOf(each.public) + hexOf(each.signature), each]));
  const ascending = [...rows].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, each]) => [each.index, each.public, each.signature]);
  return encode([body, ascending]);
}

/** What raw bytes say, if they are a well-formed transaction of payments. Rejects with Refused. Signatures are not checked. */
export async function readTransaction(raw, genesis_hash) {
  if (raw.length > TRANSACTION_BYTES_MAX) throw new Refused("TOO_LARGE");
  try {
    const [body, signatures] = array(decode(raw), 2);
    const [version, network, expires_ms, salt, accounts, operations] = array(decode(bytes(body)), 6);
    integer(version, VERSION, VERSION);
    const listed = array(accounts, null, ACCOUNTS_MAX).map((number) => accountText(integer(number, 0n, ACCOUNT_MAX)));
    if (!listed.length || new Set(listed).size !== listed.length) throw new DecodeError("accounts must be there, none twice");
    const tx_id = hexOf(await transactionId(genesis_hash, body));
    return {
      tx_id,
      body,
      network: integer(network, 0n, NETWORK_MAX),
      expires_ms: integer(expires_ms, 0n, EXPIRES_MAX_MS),
      salt: integer(salt, 0n, SALT_MAX),
      accounts: listed,
      pays: readPays(operations, listed),
      signatures: readSignatures(signatures, listed.length),
    };
  } catch (error) {
    throw error instanceof DecodeError ? new Refused("MALFORMED") : error;
  }
}

/** Whether every signature of what was read signs its id. */
export async function signaturesValid({ tx_id, signatures }) {
  const checks = await Promise.all(signatures.map((each) => verify(each.public, bytesOf(tx_id), each.signature)));
  return checks.every(Boolean);
}

function readPays(operations, listed) {
  const values = array(operations);
  if (values.length < 1 || values.length > OPERATIONS_MAX) throw new Refused("OPS");
  let legs = 0;
  return values.map((value) => {
    const pay = readPay(array(value));
    legs += pay.legs.length;
    if (legs > LEGS_MAX) throw new Refused("LEGS");
    if (!listed.includes(pay.payer)) throw new Refused("NOT_SIGNED");
    return pay;
  });
}

function readPay([operation, ...fields]) {
  if (operation !== PAY) throw new DecodeError("no payment");
  const [asset, payer, legs, partial, once] = array(fields, 5);
  const pay = { asset: Number(integer(asset, 0n, ASSET_MAX)), payer: accountText(integer(payer, 0n, ACCOUNT_MAX)), partial: boolean(partial), once: boolean(once) };
  return { ...pay, legs: readLegs(array(legs), pay.once) };
}

function readLegs(values, withRefs) {
  if (values.length < 1 || values.length > LEGS_MAX) throw new Refused("LEGS");
  let before = -1n;
  return values.map((value) => {
    const [to, amount, ref] = array(value, 3);
    integer(to, 0n, ACCOUNT_MAX);
    if (typeof amount !== "bigint" || bytes(ref).length > REF_BYTES_MAX) throw new DecodeError("no leg");
    if (amount < 1n || amount > AMOUNT_MAX) throw new Refused("AMOUNT");
    if (values.length > UNSORTED_LEGS_MAX && to <= before) throw new Refused("LEGS");
    if (withRefs && !ref.length) throw new Refused("FIELD");
    before = to;
    return { to: accountText(to), amount, ref };
  });
}

function readSignatures(value, accounts) {
  let before = "";
  const rows = array(value, null, SIGNATURES_MAX).map((row) => {
    const [index, publicBytes, signature] = array(row, 3);
    integer(index, 0n, BigInt(accounts - 1));
    const signer = String(index).padStart(3, "0") + hexOf(bytes(publicBytes, 32));
    bytes(signature, 64);
    if (signer <= before) throw new DecodeError("signatures must ascend, none twice");
    before = signer;
    return { index: Number(index), public: publicBytes, signature };
  });
  if (!rows.length) throw new Refused("NOT_SIGNED");
  return rows;
}

// --- shapes ---

function accountValue(text) {
  const digits = parseAccount(String(text));
  if (!digits) throw new RangeError(`no account number: ${text}`);
  return BigInt(digits);
}

const accountText = (number) => String(number).padStart(16, "0");

function array(value, length = null, most = Infinity) {
  if (!Array.isArray(value) || (length !== null && value.length !== length) || value.length > most) throw new DecodeError("an array was expected");
  return value;
}

function integer(value, low = 0n, high = NUMBER_MAX) {
  if (typeof value !== "bigint" || value < low || value > high) throw new DecodeError("an integer was expected");
  return value;
}

function bytes(value, length = null) {
  if (!(value instanceof Uint8Array) || (length !== null && value.length !== length)) throw new DecodeError("bytes were expected");
  return value;
}

function boolean(value) {
  if (typeof value !== "boolean") throw new DecodeError("a boolean was expected");
  return value;
}

function randomSalt() {
  return crypto.getRandomValues(new BigUint64Array(1))[0];
}
