// Whether a model is well, by one rule that the page states.
import { share as percentOf } from "./format.ts";
import type { Model } from "./types.ts";

export type Level = "healthy" | "degraded" | "unhealthy" | "unknown";

export interface Verdict {
  level: Level;
  because: string;
  /** Of one; `undefined` where nothing was decided. */
  availability: number | undefined;
}

/** Below as many requests nothing is said. */
export const FEWEST = 20;

export const RULE =
  "Of the last 24 hours. Unhealthy: its backend is down, or more than 5 % of the requests failed on the server's side. " +
  "Degraded: more than 1 %, or the warm p95 to the first token is above twice the median of the last 7 days. " +
  `Unknown below ${FEWEST} requests. Availability is 1 less server-side failures by all requests that were not cancelled; ` +
  "a status that is the client's own fault counts as none.";

/** `usual` is the median of the last days' warm p95 to the first token, in milliseconds. */
export function verdict(model: Model, backendUp: boolean | undefined, usual?: number): Verdict {
  const { total_requests: total, cancelled_requests: cancelled, server_failures: failures } = model.performance;
  const decided = total === null || cancelled === null ? undefined : total - cancelled;
  const share = decided && failures !== null ? failures / decided : undefined;
  const availability = share === undefined ? undefined : 1 - share;
  const says = (level: Level, because: string): Verdict => ({ level, because, availability });
  if (backendUp === false) return says("unhealthy", `the backend ${model.backend} is down`);
  if (total === null || decided === undefined) return says("unknown", "no history tells");
  if (total < FEWEST || share === undefined) return says("unknown", `${total} of ${FEWEST} requests that it takes to tell`);
  const failed = `${percentOf(share)} failed on the server's side`;
  if (share > 0.05) return says("unhealthy", failed);
  if (share > 0.01) return says("degraded", failed);
  const warm = model.performance.warm_time_to_first_token_ms.p95;
  if (warm !== null && usual !== undefined && warm > 2 * usual) {
    return says("degraded", "the first token takes more than twice its usual time");
  }
  return says("healthy", failed);
}

export function median(values: (number | null)[]): number | undefined {
  const known = values.filter((value) => value !== null).sort((a, b) => a - b);
  if (known.length === 0) return undefined;
  const middle = known.length >> 1;
  return known.length % 2 ? known[middle] : ((known[middle - 1] as number) + (known[middle] as number)) / 2;
}
