// A chart in words, and other figures of series.
import { newestOf } from "./tokens.ts";

type Values = readonly (number | null)[];

/** Where the last known value is; -1 where there is none. */
export const lastAt = (values: Values): number => {
  let at = values.length - 1;
  while (at >= 0 && values[at] == null) at -= 1;
  return at;
};

export const last = (values: Values): number | null => values[lastAt(values)] ?? null;

/** What a legend shows: the value under the cursor, or of the newest of the intervals that are over. */
export const shownAt = (values: Values, over: number, cursor: number | null): number | null =>
  cursor === null ? newestOf(values, over) : values[cursor] ?? null;

const known = (values: Values): number[] => values.filter((value): value is number => value !== null);

/** Null where nothing is known: no value is not zero. */
export const sum = (values: Values): number | null => {
  const all = known(values);
  return all.length === 0 ? null : all.reduce((total, value) => total + value, 0);
};

/** What a token takes, over the intervals in which both are known. */
export function perToken(energy: Values, tokens: Values): number | null {
  const both = energy.map((value, at) => [value, tokens[at] ?? null]).filter(([value, count]) => value !== null && count !== null) as [number, number][];
  const count = both.reduce((all, [, some]) => all + some, 0);
  return count > 0 ? both.reduce((all, [value]) => all + value, 0) / count : null;
}

export interface Line {
  label: string;
  values: Values;
  format: (value: number) => string;
}

/** One sentence for each line: its newest value, if the last interval has one, and its bounds with where they were. */
export function describe(lines: Line[], when: (index: number) => string): string {
  const sentences = lines.map(({ label, values, format }) => {
    const all = known(values);
    if (all.length === 0) return `${label}: no values.`;
    const top = Math.max(...all);
    const newest = newestOf(values, values.length);
    const end = newest === null ? "none" : format(newest);
    if (Math.min(...all) === top) return `${label}: ${newest === null ? `none at the end, ${format(top)} before (${when(lastAt(values))})` : `${end} all the time`}.`;
    return `${label}: ${end} at the end, from ${format(Math.min(...all))} to ${format(top)} (${when(values.indexOf(top))}).`;
  });
  return sentences.join(" ");
}
