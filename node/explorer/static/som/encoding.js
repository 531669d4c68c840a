/** Values to canonical MessagePack and back, as consensus/encoding.py has them.
 *
 * One rule: a value has exactly one encoding, and other bytes are refused. A value is an integer of 64 bits, bytes, text, a
 * boolean, null, or an array of values. Integers are read as BigInt; one may write a Number only where it is exact.
 */

const INT_MIN = -(2n ** 63n);
const INT_MAX = 2n ** 64n - 1n;
const DEPTH_MAX = 256; // of arrays in arrays: far beyond any transaction
const WRITER = new TextEncoder();
const READER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export class DecodeError extends Error {
  /** The bytes are not the canonical encoding of a value. */
  constructor(message) {
    super(message);
    this.name = "DecodeError";
  }
}

/** The one encoding of a value. Throws TypeError or RangeError at what is no value. */
export function encode(value) {
  const out = [];
  write(value, out, 0);
  return Uint8Array.from(out);
}

function write(value, out, depth) {
  if (depth > DEPTH_MAX) throw new RangeError(`arrays in arrays, more than ${DEPTH_MAX}`);
  if (value === null) out.push(0xc0);
  else if (typeof value === "boolean") out.push(value ? 0xc3 : 0xc2);
  else if (typeof value === "bigint") writeInteger(value, out);
  else if (typeof value === "number") {
    if (!Number.isSafeInteger(value)) throw new RangeError(`not an exact integer: ${value}`);
    writeInteger(BigInt(value), out);
  } else if (typeof value === "string") {
    if (/\p{Surrogate}/u.test(value)) throw new RangeError("text with half a character");
    const bytes = WRITER.encode(value);
    writeLength(bytes.length, [0xa0, 31], [0xd9, 0xda, 0xdb], out);
    for (const byte of bytes) out.push(byte);
  } else if (value instanceof Uint8Array) {
    writeLength(value.length, null, [0xc4, 0xc5, 0xc6], out);
    for (const byte of value) out.push(byte);
  } else if (Array.isArray(value)) {
    writeLength(value.length, [0x90, 15], [null, 0xdc, 0xdd], out);
    for (const item of value) write(item, out, depth + 1);
  } else throw new TypeError(`no value: ${typeof value}`);
}

function writeInteger(value, out) {
  if (value < INT_MIN || value > INT_MAX) throw new RangeError(`more than 64 bits: ${value}`);
  if (value >= -32n && value < 128n) {
    out.push(Number(BigInt.asUintN(8, value)));
    return;
  }
  const first = value >= 0n ? 0xcc : 0xd0;
  const step = [8n, 16n, 32n, 64n].findIndex((bits) => (value >= 0n ? value < 2n ** bits : value >= -(2n ** (bits - 1n))));
  out.push(first + step);
  const rest = BigInt.asUintN(8 << step, value);
  for (let shift = (8 << step) - 8; shift >= 0; shift -= 8) out.push(Number((rest >> BigInt(shift)) & 255n));
}

function writeLength(count, short, longer, out) {
  if (short && count <= short[1]) {
    out.push(short[0] | count);
    return;
  }
  const step = longer.findIndex((first, index) => first !== null && count < 256 ** (1 << index));
  out.push(longer[step]);
  for (let shift = (8 << step) - 8; shift >= 0; shift -= 8) out.push((count >>> shift) & 255);
}

/** The value of bytes, all of them. Throws DecodeError at anything that `encode` would not have written. */
export function decode(bytes) {
  const reader = { bytes, at: 0 };
  const value = read(reader, 0);
  if (reader.at !== bytes.length) throw new DecodeError("bytes after the value");
  return value;
}

function read(reader, depth) {
  if (depth > DEPTH_MAX) throw new DecodeError("arrays in arrays, too many");
  const first = Number(number(reader, 1));
  if (first < 0x80) return BigInt(first);
  if (first >= 0xe0) return BigInt(first - 256);
  if (first >= 0x90 && first <= 0x9f) return readArray(reader, first & 15, depth);
  if (first >= 0xa0 && first <= 0xbf) return readText(reader, first & 31);
  switch (first) {
    case 0xc0: return null;
    case 0xc2: return false;
    case 0xc3: return true;
    case 0xc4: case 0xc5: case 0xc6: return take(reader, length(reader, first - 0xc4, [0, 256, 65_536])).slice();
    case 0xcc: case 0xcd: case 0xce: case 0xcf: {
      const value = number(reader, 1 << (first - 0xcc));
      return atLeast(value, [128n, 2n ** 8n, 2n ** 16n, 2n ** 32n][first - 0xcc]);
    }
    case 0xd0: case 0xd1: case 0xd2: case 0xd3: {
      const bits = 8 << (first - 0xd0);
      const value = BigInt.asIntN(bits, number(reader, bits / 8));
      return -atLeast(-value, [33n, 2n ** 7n + 1n, 2n ** 15n + 1n, 2n ** 31n + 1n][first - 0xd0]);
    }
    case 0xd9: case 0xda: case 0xdb: return readText(reader, length(reader, first - 0xd9, [32, 256, 65_536]));
    case 0xdc: case 0xdd: return readArray(reader, length(reader, first - 0xdb, [0, 16, 65_536]), depth);
    default: throw new DecodeError(`no value begins with ${first.toString(16)}`);
  }
}

function readText(reader, count) {
  try {
    return READER.decode(take(reader, count));
  } catch (error) {
    throw error instanceof DecodeError ? error : new DecodeError("a text that is not UTF-8");
  }
}

function readArray(reader, count, depth) {
  if (count > reader.bytes.length - reader.at) throw new DecodeError("an array that ends early"); // before room is made for it
  return Array.from({ length: count }, () => read(reader, depth + 1));
}

function length(reader, step, least) {
  return Number(atLeast(number(reader, 1 << step), BigInt(least[step])));
}

function atLeast(value, least) {
  if (value < least) throw new DecodeError("not in the shortest form");
  return value;
}

function number(reader, count) {
  return take(reader, count).reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

function take(reader, count) {
  if (count > reader.bytes.length - reader.at) throw new DecodeError("bytes that end early");
  reader.at += count;
  return reader.bytes.subarray(reader.at - count, reader.at);
}
