/** What is typed and what is on the wire: account numbers, hex, references. Nothing here throws at bad input. */

const TEXT = new TextDecoder("utf-8", { fatal: true });

/** The 16 digits of an account if the check digits hold, else null. Spaces between digits are taken for granted. */
export function parseAccount(text) {
  const digits = text.replace(/[\s\u00a0]/g, "");
  if (!/^[0-9]{16}$/.test(digits)) return null;
  const number = BigInt(digits);
  return number > 0n && (number / 100n) % 97n === number % 100n ? digits : null;
}

/** The account number of a participant's serial, with its check digits; null outside 0..9999 and 0..9,999,999,999, and for 0, 0. */
export function makeAccount(participant, serial) {
  const [bank, own] = [BigInt(participant), BigInt(serial)];
  if (bank < 0n || bank > 9_999n || own < 0n || own > 9_999_999_999n || bank + own === 0n) return null;
  const first = bank * 10n ** 10n + own;
  return String(first * 100n + (first % 97n)).padStart(16, "0");
}

/** Tyiyn, as BigInt, of an amount as programs write it: som with a point and two decimals at the most. Null for anything else. */
export function parseSom(text) {
  const found = /^(0|[1-9][0-9]{0,18})(?:\.([0-9]{1,2}))?$/.exec(text);
  if (!found) return null;
  const tyiyn = BigInt(found[1] + (found[2] ?? "").padEnd(2, "0"));
  return tyiyn > 0n && tyiyn < 2n ** 63n ? tyiyn : null;
}

/** A hash as 64 digits of lower-case hex, else null. */
export function parseHash(text) {
  const hex = text.trim().toLowerCase();
  return /^[0-9a-f]{64}$/.test(hex) ? hex : null;
}

/** The bytes of hex; null if it is none. */
export function bytesOf(hex) {
  if (!/^([0-9a-f]{2})*$/.test(hex)) return null;
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** Lower-case hex of bytes. */
export const hexOf = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** A reference as text if it is printable UTF-8, else as the hex that it came in. */
export function readRef(hex) {
  if (!hex) return "";
  const bytes = bytesOf(hex);
  if (!bytes) return hex;
  try {
    const text = TEXT.decode(bytes);
    return /^[^\p{C}]+$/u.test(text) ? text : hex;
  } catch {
    return hex;
  }
}

/** The observations of a Prometheus histogram: [[upper bound in seconds, count up to it], ...], ascending. */
export function readHistogram(text, name) {
  const found = [];
  for (const line of text.split("\n")) {
    const row = line.startsWith(`${name}_bucket{`) && /le="([^"]+)"\}\s+(\S+)/.exec(line);
    if (row) found.push([row[1] === "+Inf" ? Infinity : Number(row[1]), Number(row[2])]);
  }
  return found.sort(([a], [b]) => a - b);
}

/** The quantile of a histogram in its own unit, by straight lines inside a bucket; null without observations. */
export function quantile(buckets, share) {
  const total = buckets.at(-1)?.[1] ?? 0;
  if (!total) return null;
  let [lower, before] = [0, 0];
  for (const [upper, count] of buckets) {
    if (count >= share * total) {
      return upper === Infinity ? lower : lower + ((upper - lower) * (share * total - before)) / (count - before || 1);
    }
    [lower, before] = [upper, count];
  }
  return lower;
}
