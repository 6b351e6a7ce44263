// The time that is looked at: a period up to now, or two instants.
import { time } from "./time.ts";

export const PERIODS = ["5m", "15m", "1h", "6h", "24h", "7d", "30d"] as const;
export type Period = (typeof PERIODS)[number];

export type Range = { period: Period } | { from: number; to: number };

const UNITS: Record<string, number> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** In milliseconds. */
export function lengthOf(range: Range): number {
  if ("from" in range) return range.to - range.from;
  return Number.parseInt(range.period, 10) * (UNITS[range.period.slice(-1)] ?? 0);
}

export const isPeriod = (text: string | undefined): text is Period => PERIODS.includes(text as Period);

/** What parameters of the API mean. */
export function rangeOf(given: Record<string, string> | undefined): Range | undefined {
  if (isPeriod(given?.["period"])) return { period: given["period"] };
  const [from, to] = [Date.parse(given?.["from"] ?? ""), Date.parse(given?.["to"] ?? "")];
  return from < to ? { from, to } : undefined;
}

/** The two instants that a range has now, in milliseconds. */
export function bounds(range: Range, now: number): [number, number] {
  return "from" in range ? [range.from, range.to] : [now - lengthOf(range), now];
}

/** Moved by half its length; `direction` is -1 or 1. Never into the future. */
export function shifted(range: Range, direction: number, now: number): Range {
  const [from, to] = bounds(range, now);
  const by = (direction * (to - from)) / 2;
  if (to + by >= now) return "from" in range && to < now ? { from: now - (to - from), to: now } : range;
  return { from: Math.round(from + by), to: Math.round(to + by) };
}

/** The range in words, for what is of it. */
export const windowOf = (range: Range): string => ("from" in range ? `${time(range.from)} – ${time(range.to)}` : `last ${range.period}`);

/** What the API says of models, backends and caches is of this time, whatever the range is. */
export const DAY = "last 24h";

/** Parameters of the API. */
export function parameters(range: Range): Record<string, string> {
  if ("period" in range) return { period: range.period };
  return { from: new Date(range.from).toISOString(), to: new Date(range.to).toISOString() };
}

/** As the parameter `since` of lists has it: whole minutes back from now, or hours where these are too many. */
export function since(range: Range, now: number): string {
  const minutes = Math.max(1, Math.ceil((now - bounds(range, now)[0]) / 60_000));
  return minutes < 10_000 ? `${minutes}m` : `${Math.ceil(minutes / 60)}h`;
}
