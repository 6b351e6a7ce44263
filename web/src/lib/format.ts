// Figures as text. Units stand behind a thin space; what is not known is never passed in here.

const THIN = "\u202f";

/** What is less is not told apart from it. */
const SMALLEST = 1e-6;

/** A whole number with separators. The locale's own way to do it takes a hundred times as long. */
const whole = (value: number): string => String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ",");

/** Three significant digits, without trailing zeros, and with separators above 9,999. */
export function number(value: number): string {
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 10_000) return whole(value);
  if (size >= 100) return String(Math.round(value));
  if (size < SMALLEST) return `<${SMALLEST.toFixed(6)}`;
  const digits = size >= 10 ? 1 : size >= 1 ? 2 : 2 - Math.floor(Math.log10(size));
  return trimmed(value.toFixed(digits));
}

function trimmed(text: string): string {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/** A count: 1,234, 12.3 k, 4.5 M. */
export function count(value: number): string {
  const size = Math.abs(value);
  if (size < 10_000) return whole(value);
  for (const [limit, unit] of [[1e6, "k"], [1e9, "M"], [1e12, "G"]] as const) {
    if (size < limit * 0.9995) return number(value / (limit / 1000)) + THIN + unit;
  }
  return number(value / 1e12) + THIN + "T";
}

/** Milliseconds, in the unit that people would take. */
export function duration(ms: number): string {
  if (ms < 0.1) return number(ms) + THIN + "ms";
  if (ms < 999.5) return (ms < 10 ? trimmed(ms.toFixed(1)) : String(Math.round(ms))) + THIN + "ms";
  if (ms < 59_950) return trimmed((ms / 1000).toFixed(ms < 9_995 ? 2 : 1)) + THIN + "s";
  return span(Math.round(ms / 1000));
}

/** Whole seconds: 45 s, 3 m 05 s, 2 h 10 m, 3 d 4 h. */
export function span(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  const two = (value: number) => String(value).padStart(2, "0");
  if (s < 60) return `${s}${THIN}s`;
  if (s < 3600) return `${Math.floor(s / 60)}${THIN}m ${two(s % 60)}${THIN}s`;
  if (s < 86_400) return `${Math.floor(s / 3600)}${THIN}h ${two(Math.floor((s % 3600) / 60))}${THIN}m`;
  return `${Math.floor(s / 86_400)}${THIN}d ${Math.floor((s % 86_400) / 3600)}${THIN}h`;
}

/** Bytes in binary units. */
export function bytes(value: number): string {
  let [rest, unit] = [Math.abs(value), "B"];
  for (const next of ["KiB", "MiB", "GiB", "TiB"]) {
    if (rest < 1023.5) break;
    rest /= 1024;
    unit = next;
  }
  return number(unit === "B" ? Math.round(rest) : rest) + THIN + unit;
}

export const gib = (value: number): string => number(value) + THIN + "GiB";
export const mib = (value: number): string => bytes(value * 1024 * 1024);
/** Of a hundred. */
export const percent = (value: number): string => (value > 0 && value < 0.1 ? "<0.1" : number(value)) + THIN + "%";
/** Of one. */
export const share = (value: number): string => percent(value * 100);
/** Of one, without a fraction. */
export const wholeShare = (value: number): string => (value > 0 && value < 0.01 ? "<1" : String(Math.round(value * 100))) + THIN + "%";
export const perSecond = (value: number): string => number(value) + THIN + "/s";
export const tokensPerSecond = (value: number): string => number(value) + THIN + "tok/s";
export const watts = (value: number): string => number(value) + THIN + "W";
export const joules = (value: number): string => (value < 3600 ? number(value) + THIN + "J" : value < 3.6e6 ? number(value / 3600) + THIN + "Wh" : number(value / 3.6e6) + THIN + "kWh");
export const celsius = (value: number): string => Math.round(value) + THIN + "°C";

/** The format for a unit of `/dashboard/series`. */
export function ofUnit(unit: string): (value: number) => string {
  switch (unit) {
    case "ms": return duration;
    case "percent": return percent;
    case "bytes": return bytes;
    case "count/s": return perSecond;
    case "tokens/s": return tokensPerSecond;
    case "bytes/s": return (value) => `${bytes(value)}/s`;
    case "watts": return watts;
    case "celsius": return celsius;
    case "joules": return joules;
    case "count": return count;
    default: return number;
  }
}

/** `http_error` as people write it. */
export const words = (name: string): string => name.replaceAll("_", " ");

const CAUSES: Record<string, string> = {
  first: "first use", expired: "kept no longer", evicted: "had made room for another", unloaded: "unloaded by hand", options_changed: "other options", restart: "restart of its server",
  unknown: "was not in memory",
};

/** Why a model had to be loaded. */
export const loaded = (cause: string): string => CAUSES[cause] ?? words(cause);
