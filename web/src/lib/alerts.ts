// Alerts and their rules, as the API has them.
import type { Unknown } from "./unknown.ts";

export interface ActiveAlert {
  id: string;
  timestamp: string;
  level: string;
  category: string;
  title: string;
  message: string;
  details: Record<string, unknown>;
  actions: string[];
  acknowledged: boolean;
}

export interface ResolvedAlert {
  id: string;
  timestamp: string | null;
  resolved_at: string;
  level: string;
  title: string;
}

/** An alert as the history has it. */
export interface KeptAlert {
  _id: string;
  status: string;
  started_at: string;
  resolved_at: string | null;
  severity: string;
  title: string;
}

/** The alerts that have ended since then, the last first: those that the program has seen end, and those that its history has from before it started. */
export function ended(seen: ResolvedAlert[], kept: KeptAlert[], since: number): ResolvedAlert[] {
  const all = new Map(seen.map((one) => [one.id, one]));
  for (const { _id: id, started_at: timestamp, resolved_at, severity: level, title } of kept) {
    if (resolved_at !== null && !all.has(id)) all.set(id, { id, timestamp, resolved_at, level, title });
  }
  return [...all.values()].filter((one) => Date.parse(one.resolved_at) >= since).sort((one, other) => Date.parse(other.resolved_at) - Date.parse(one.resolved_at));
}

export interface Rule {
  name: string;
  condition: string;
  severity: string;
  enabled: boolean;
  for_seconds?: number | null;
  /** Since when its condition holds. */
  pending_since?: string | null;
  state?: string;
  /** Why it is not looked at. */
  reason?: string | null;
}

export interface Alerts {
  active_alerts: ActiveAlert[];
  resolved_alerts: ResolvedAlert[] | null;
  alert_rules: Rule[];
  unknown?: Unknown;
}

/** The rules whose condition has not held for long enough yet. */
export const pending = (rules: Rule[]): Rule[] => rules.filter((rule) => rule.state === "pending");

/** How many there are, in words. */
export function standing({ active_alerts: { length: active }, alert_rules: rules }: Alerts): string {
  const coming = pending(rules).length;
  const alerts = active === 1 ? "1 alert" : `${active || "no"} alerts`;
  return coming === 0 ? alerts : active === 0 ? `${coming} pending` : `${alerts}, ${coming} pending`;
}
