// Watts of this machine, as far as they are measured.
import { useAsk } from "../../lib/api.ts";
import { sum } from "../../lib/summary.ts";
import { useTopic } from "../../lib/live.ts";
import type { Stats } from "../../lib/types.ts";

interface Power {
  /** Of all GPUs. */
  gpu: number | null;
  /** Of the processors. */
  cpu: number | null;
}

export function usePower(): Power {
  const gpu = useTopic<Stats>("stats")?.gpu.devices.map((device) => device.power_usage_watts ?? null) ?? [];
  const summary = useAsk<{ summary: { power_consumption: number | null } }>("/api/metrics", 10).data?.summary.power_consumption ?? null;
  const gpus = sum(gpu);
  return gpus === null ? { gpu: null, cpu: summary } : { gpu: gpus, cpu: null };
}
