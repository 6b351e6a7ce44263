// A share as a bar with its figure.
import { percent } from "../lib/format.ts";
import { Dash } from "./value.tsx";

/** `scarce`: that nearly nothing is left is bad. */
export function Meter({ label, of, why, note, scarce }: { label: string; of: number | null | undefined; why?: string; note?: string; scarce?: boolean }) {
  return (
    <span class="share">
      {label && <span class="label">{label}</span>}
      <span class="meter" aria-hidden="true"><i class={scarce && (of ?? 0) > 90 ? "full" : "gpu"} style={{ width: `${Math.min(100, of ?? 0)}%` }} /></span>
      <span class="n">{of === null || of === undefined ? <Dash {...(why ? { why } : {})} /> : percent(of)}</span>
      {note && <span class="note">{note}</span>}
    </span>
  );
}
