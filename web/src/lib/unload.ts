// When a backend unloads a model.
import type { Model, Running } from "./types.ts";

/** Seconds until then, from 1 on; or why there are none. */
export type Unload = number | "kept" | "unknown" | "used" | "over";

/**
 * `why` is the reason for which the time is `null`. While a model answers, its time does not run, whatever the backend said of it before; one whose time is
 * over, and that is still listed, is about to go.
 */
export function unloadOf(model: Pick<Model, "name" | "backend" | "expires_at">, why: string | undefined, flight: Running[], now: number): Unload {
  if (flight.some((one) => one.model === model.name && one.backend === model.backend)) return "used";
  if (model.expires_at === null) return why === "not_applicable" ? "kept" : "unknown";
  const left = (Date.parse(model.expires_at) - now) / 1000;
  return left < 1 ? "over" : left;
}
