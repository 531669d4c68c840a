/** Money, numbers, times and accounts as people read them.
 *
 * One rule: nothing is left to the browser's locales. Browsers have none for Kyrgyz and would show English in its place;
 * so groups, commas and dates are made here, the same in every browser, and amounts are BigInt from end to end.
 */

const SPACE = "\u00a0"; // between groups of three: a number never breaks at the end of a line
const BISHKEK_MS = 6 * 3_600_000; // UTC+6 all year, since 2005
const CURRENCY = { SOM: { ky: "сом", ru: "сом", en: "som" } };
const UNITS = {
  ky: { d: "күн", h: "с", m: "мүн", s: "с", ms: "мс" },
  ru: { d: "д", h: "ч", m: "мин", s: "с", ms: "мс" },
  en: { d: "d", h: "h", m: "min", s: "s", ms: "ms" },
};
UNITS.ky.h = "саат";

const pad = (number, width = 2) => String(number).padStart(width, "0");
const decimalMark = (language) => (language === "en" ? "." : ",");

/** Groups the digits of a whole number, BigInt or Number or a decimal string, by three. */
export function formatInteger(value) {
  const text = String(value);
  const sign = text.startsWith("-") ? "-" : "";
  const digits = sign ? text.slice(1) : text;
  return sign + digits.replace(/\B(?=([0-9]{3})+$)/g, SPACE);
}

/** An amount in minor units, BigInt or decimal string, with `scale` decimals: "123456789", 2 -> 1 234 567,89. */
export function formatUnits(units, scale, language) {
  const value = BigInt(units);
  const sign = value < 0n ? "-" : "";
  const digits = String(value < 0n ? -value : value).padStart(scale + 1, "0");
  const whole = formatInteger(digits.slice(0, digits.length - scale));
  return sign + whole + (scale ? decimalMark(language) + digits.slice(digits.length - scale) : "");
}

/** An amount with what it is of: 1 234 567,89 сом. */
export function formatMoney(units, language, { scale = 2, code = "SOM" } = {}) {
  const name = CURRENCY[code]?.[language] ?? code;
  return formatUnits(units, scale, language) + SPACE + name;
}

/** Minor units of what somebody typed, "1 234,50" or "1234.5". Null if that is no amount: nothing is rounded. */
export function parseUnits(text, scale) {
  const found = /^([0-9]{1,19})(?:[.,]([0-9]{1,12}))?$/.exec(text.replace(/[\s\u00a0]/g, ""));
  if (!found || (found[2] ?? "").length > scale) return null;
  const units = BigInt(found[1] + (found[2] ?? "").padEnd(scale, "0"));
  return units > 0n && units < 2n ** 63n ? units : null;
}

/** A Number with so many decimals. */
export function formatDecimal(value, decimals, language) {
  const [whole, part] = value.toFixed(decimals).split(".");
  return formatInteger(whole) + (part ? decimalMark(language) + part : "");
}

/** 9 975 basis points -> 99,75 %. */
export const formatBasisPoints = (points, language) => formatUnits(BigInt(points), 2, language) + SPACE + "%";

/** Day and time in Bishkek: 30.11.2026 06:41:04. */
export function formatTime(timeMs) {
  const at = new Date(timeMs + BISHKEK_MS);
  const day = `${pad(at.getUTCDate())}.${pad(at.getUTCMonth() + 1)}.${at.getUTCFullYear()}`;
  return `${day} ${formatClock(timeMs)}`;
}

/** The time of day in Bishkek. */
export function formatClock(timeMs, withMs = false) {
  const at = new Date(timeMs + BISHKEK_MS);
  const clock = `${pad(at.getUTCHours())}:${pad(at.getUTCMinutes())}:${pad(at.getUTCSeconds())}`;
  return withMs ? `${clock}.${pad(at.getUTCMilliseconds(), 3)}` : clock;
}

/** The same moment for who thinks in UTC, as ISO 8601 says it. */
export const formatUtc = (timeMs) => new Date(timeMs).toISOString().replace("T", " ").replace("Z", " UTC");

/** How long something took, in the two units that matter. */
export function formatDuration(ms, language) {
  const unit = UNITS[language] ?? UNITS.en;
  if (ms < 0) return "-" + formatDuration(-ms, language);
  if (ms < 1_000) return `${Math.round(ms)}${SPACE}${unit.ms}`;
  if (ms < 60_000) return `${formatDecimal(ms / 1_000, 1, language)}${SPACE}${unit.s}`;
  const seconds = Math.floor(ms / 1_000);
  const [days, hours, minutes] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3_600) % 24, Math.floor(seconds / 60) % 60];
  const parts = [[days, unit.d], [hours, unit.h], [minutes, unit.m], [seconds % 60, unit.s]];
  const first = parts.findIndex(([count]) => count > 0);
  return parts.slice(first, first + 2).filter(([count]) => count > 0).map(([count, name]) => `${count}${SPACE}${name}`).join(SPACE);
}

/** Bytes in the unit that fits. */
export function formatBytes(bytes, language) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let size = bytes;
  let index = 0;
  while (size >= 1_024 && index < units.length - 1) {
    size /= 1_024;
    index += 1;
  }
  return formatDecimal(size, index ? 1 : 0, language) + SPACE + units[index];
}

/** 16 digits in groups of four. */
export const formatAccount = (account) => account.replace(/(.{4})(?=.)/g, `$1${SPACE}`);
