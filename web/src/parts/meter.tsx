// A share as a bar with its figure.
import { percent } from "../lib/format.ts";
import { Dash } from "./value.tsx";

interface MeterProps {
  label: string;
  of: number | null | undefined;
  /** Whose it is. */
  kind?: "gpu" | "host" | "left";
  why?: string;
  note?: string;
  /** That nearly nothing is left is bad. */
  scarce?: boolean;
}

export function Meter({ label, of, kind = "host", why, note, scarce }: MeterProps) {
  return (
    <span class="share">
      {label && <span class="label">{label}</span>}
      <span class="meter" aria-hidden="true"><i class={scarce && (of ?? 0) > 90 ? "full" : kind} style={{ width: `${Math.min(100, of ?? 0)}%` }} /></span>
      <span class="n">{of === null || of === undefined ? <Dash {...(why ? { why } : {})} /> : percent(of)}</span>
      {note && <span class="note">{note}</span>}
    </span>
  );
}
