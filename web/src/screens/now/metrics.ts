// What the figures and charts of Now are made of. The page asks for it before its script is there: see build.mjs.

export const METRICS = [
  "requests", "request_rate", "failed", "cancelled", "prompt_tokens", "generated_tokens", "generated_rate", "ttft_p50", "ttft_p95",
  "duration_p50", "duration_p95", "cost", "energy", "energy_per_token", "gpu_watts", "cpu_watts", "gpu_percent", "cpu_percent",
];

/** The question for them, where the address says nothing else. */
export const USUAL = `/dashboard/series?${new URLSearchParams({ metrics: METRICS.join(","), period: "1h" }).toString()}`;
