// A figure, or a dash that says why it is not known.
import type { ComponentChildren } from "preact";
import { sentence } from "../lib/unknown.ts";

export function Dash({ why }: { why?: string }) {
  const text = why ?? sentence(undefined);
  return (
    <span class="dash" tabIndex={0} role="note" aria-label={`unknown: ${text}`} data-why={text}>–</span>
  );
}

/** `why` is a sentence. */
export function Value<T>({ of, as, why }: { of: T | null | undefined; as?: (value: T) => ComponentChildren; why?: string | undefined }) {
  if (of === null || of === undefined) return <Dash {...(why ? { why } : {})} />;
  return <>{as ? as(of) : String(of)}</>;
}

/** How something is: good, doubtful, bad, neither. */
export type Tone = "good" | "warn" | "bad" | "quiet";

export function Chip({ tone, title, children }: { tone: Tone; title?: string; children: ComponentChildren }) {
  return <span class={`chip ${tone}`} title={title}>{children}</span>;
}

const OUTCOMES: Record<string, [Tone, string]> = {
  completed: ["good", "completed"],
  client_cancelled: ["quiet", "cancelled"],
  truncated: ["bad", "truncated"],
  rejected: ["warn", "rejected"],
};

export function Outcome({ of, error, status }: { of: string; error?: string | null; status?: number }) {
  const [tone, text] = OUTCOMES[of] ?? (["bad", of.replaceAll("_", " ")] as const);
  const shown = of === "http_error" && status ? `HTTP ${status}` : text;
  return <Chip tone={tone} {...(error ? { title: error.replaceAll("_", " ") } : {})}>{shown}</Chip>;
}
