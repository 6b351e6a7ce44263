// Watts of this machine, as far as they are measured.
import { last } from "../../lib/summary.ts";

interface Power {
  /** Of all GPUs. */
  gpu: number | null;
  /** Of the processors. */
  cpu: number | null;
  /** Of what is measured of both. */
  all: number | null;
}

/** The newest of series. */
export function power(of: (metric: string) => readonly (number | null)[]): Power {
  const [gpu, cpu] = [last(of("gpu_watts")), last(of("cpu_watts"))];
  return { gpu, cpu, all: gpu === null && cpu === null ? null : (gpu ?? 0) + (cpu ?? 0) };
}
