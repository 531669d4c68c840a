/** Ed25519 keys and SHA-256, by the platform's own WebCrypto: no cryptography is written here.
 *
 * Browsers have it for pages of https and of this machine (http://127.0.0.1) alone; elsewhere `NoCrypto` says so.
 */

import { bytesOf, hexOf } from "./codec.js";

export const SEED_BYTES = 32;
const SIGNATURE_BYTES = 64;
// RFC 8410: a private key of Ed25519 as PKCS #8 is these bytes and the seed.
const PKCS8 = bytesOf("302e020100300506032b657004220420");
const NAME = { name: "Ed25519" };
const WRITER = new TextEncoder();

export class NoCrypto extends Error {
  /** The platform does not sign for this page. */
  constructor(cause) {
    super(`no Ed25519 here: a page of https or of http://127.0.0.1, in a browser of 2025 or newer, has it (${cause})`);
    this.name = "NoCrypto";
  }
}

/** A key that signs. Its seed is given to the platform once, and does not come out of it again. */
export class Key {
  constructor(secret, publicBytes) {
    this._secret = secret;
    this.public = publicBytes;
  }

  /** The key of a secret seed of 32 bytes. Rejects with RangeError, NoCrypto. */
  static async fromSeed(seed) {
    if (!(seed instanceof Uint8Array) || seed.length !== SEED_BYTES) throw new RangeError(`a seed has ${SEED_BYTES} bytes`);
    const subtle = platform();
    const whole = new Uint8Array([...PKCS8, ...seed]);
    try {
      // WebCrypto tells a public half only of keys that may be exported: this one is forgotten at once.
      const open = await subtle.exportKey("jwk", await subtle.importKey("pkcs8", whole, NAME, true, ["sign"]));
      const secret = await subtle.importKey("pkcs8", whole, NAME, false, ["sign"]);
      return new Key(secret, Uint8Array.from(atob(open.x.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0)));
    } catch (error) {
      throw new NoCrypto(error.message);
    } finally {
      whole.fill(0);
    }
  }

  /** A signature of 64 bytes. */
  async sign(message) {
    return new Uint8Array(await platform().sign(NAME, this._secret, message));
  }
}

/** Whether a signature over a message holds under a public key. Rejects with NoCrypto. */
export async function verify(publicBytes, message, signature) {
  const subtle = platform();
  if (signature.length !== SIGNATURE_BYTES) return false;
  let key;
  try {
    key = await subtle.importKey("raw", publicBytes, NAME, false, ["verify"]);
  } catch (error) {
    if (error.name === "NotSupportedError") throw new NoCrypto(error.message);
    return false;
  }
  return subtle.verify(NAME, key, signature, message);
}

/** SHA-256 over a tag, which is text, and parts, which are bytes. */
export async function digest(tag, ...parts) {
  const all = [WRITER.encode(tag), ...parts];
  const whole = new Uint8Array(all.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of all) {
    whole.set(part, at);
    at += part.length;
  }
  return new Uint8Array(await platform().digest("SHA-256", whole));
}

/** What the owner of an account sends to be told about it, as `auth`; `namespace` is the first part of a method's name. */
export async function signRead({ genesis_hash, account, expires_ms, namespace }, key) {
  const statement = await readStatement({ genesis_hash, account, expires_ms, namespace });
  return { account, expires_ms: Number(expires_ms), key: hexOf(key.public), signature: hexOf(await key.sign(statement)) };
}

/** The 32 bytes that it signs. */
export function readStatement({ genesis_hash, account, expires_ms, namespace }) {
  return digest("som-read-1", bytesOf(genesis_hash), uint64(account), uint64(expires_ms), WRITER.encode(namespace));
}

function uint64(value) {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
  return bytes;
}

function platform() {
  const subtle = globalThis.crypto?.subtle;
  if (!subtle) throw new NoCrypto("no crypto.subtle");
  return subtle;
}
