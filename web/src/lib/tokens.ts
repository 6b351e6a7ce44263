// Tokens count where their answer ends: how many a minute had in which none ended is not known, and not zero.

/** What there was in the last of the intervals that are over; null where the API knows none. */
export const newestOf = (values: readonly (number | null)[], over: number): number | null => values[over - 1] ?? null;

/** Why an interval has no tokens, as a sentence, and what stands below the dash; `running` is how many exchanges go on. */
export function whyNone(running: number | undefined): { why: string; note: string } {
  const rule = "Tokens are counted when their answer ends";
  return running
    ? { why: `${rule}; none has ended in this time, and ${running} in flight.`, note: "counted when an answer ends" }
    : { why: `${rule}, and none has ended in this time.`, note: "no answer has ended" };
}
