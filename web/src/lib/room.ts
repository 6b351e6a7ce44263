// How much memory the machine of a backend has. Of other machines than this one it is not known.
import { sum } from "./summary.ts";
import type { Stats, Workers } from "./types.ts";

/** In MiB; `undefined` is unknown. */
export interface Room {
  gpu?: number;
  host?: number;
}

export function machineOf(backend: string, workers: Workers | undefined, stats: Stats | undefined): Room {
  const at = workers?.workers.findIndex((one) => one.id === backend) ?? -1;
  const isFar = workers?.unknown?.[`/workers/${at}/resource_usage/cpu_percent`] === "not_local";
  if (at < 0 || isFar || !stats) return {};
  const totals = stats.gpu.devices.map((device) => device.memory_total_mb);
  const gpu = totals.includes(null) ? null : sum(totals);
  const host = stats.system.memory_total_gb;
  return { ...(gpu ? { gpu } : {}), ...(host ? { host: host * 1024 } : {}) };
}
