// Which intervals of a series are over. Their sums reach the files some seconds after their end: until then they seem to fall.
import type { Series } from "./types.ts";

/** Seconds from the end of an interval until its sums are written: five, and one for the rest. */
const SETTLES = 6;

/** Seconds: so short an interval is only drawn once it is over. */
export const SHORT = 60;

/** How many intervals from the first on are over, when the answer was read. */
export function finished(series: Pick<Series, "timestamps" | "interval_seconds" | "timestamp">, now: number): number {
  const { timestamps, interval_seconds: seconds } = series;
  const read = series.timestamp === undefined ? now : Date.parse(series.timestamp);
  let count = timestamps.length;
  while (count > 0 && Date.parse(timestamps[count - 1] as string) + (seconds + SETTLES) * 1000 > read) count -= 1;
  return count;
}
