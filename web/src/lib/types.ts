// What the page reads of the API's answers; `/openapi.json` has all of it. `null` is unknown.
import type { Unknown } from "./unknown.ts";

type Known<T> = T | null;

interface Answered {
  timestamp?: string;
  unknown?: Unknown;
}

export interface GpuDevice {
  id: number;
  name: Known<string>;
  memory_used_mb: Known<number>;
  memory_total_mb: Known<number>;
  utilization_percent: Known<number>;
  temperature_celsius: Known<number>;
  power_usage_watts?: Known<number>;
  fan_speed_percent?: Known<number>;
}

export interface Stats extends Answered {
  uptime_seconds: number;
  system: {
    cpu_usage_percent: Known<number>;
    memory_usage_percent: Known<number>;
    memory_used_gb: Known<number>;
    memory_total_gb: Known<number>;
    disk_usage_percent: Known<number>;
    load_average: Known<number[]>;
  };
  gpu: { available: boolean; count: number; devices: GpuDevice[] };
  inference: {
    requests_per_second: Known<number>;
    average_latency_ms: Known<number>;
    active_requests: number;
    total_requests: number;
    total_errors: number;
    since: string;
  };
}

export interface Percentiles {
  p50: Known<number>;
  p95: Known<number>;
  p99: Known<number>;
}

export interface Model {
  id: string;
  name: string;
  backend: string;
  format: Known<string>;
  size_bytes: Known<number>;
  status: string;
  loaded_at: Known<string>;
  last_loaded_at: Known<string>;
  expires_at: Known<string>;
  backend_type: Known<string>;
  metadata: {
    architecture: Known<string>;
    context_length: Known<number>;
    parameters: Known<string>;
    quantization: Known<string>;
  };
  performance: {
    total_requests: Known<number>;
    average_tokens_per_second: Known<number>;
    average_latency_ms: Known<number>;
    error_rate: Known<number>;
    cache_hit_rate: Known<number>;
    failed_requests: Known<number>;
    cancelled_requests: Known<number>;
    truncated_requests: Known<number>;
    server_failures: Known<number>;
    cold_starts: Known<number>;
    prompt_tokens: Known<number>;
    generated_tokens: Known<number>;
    latency_ms: Percentiles;
    time_to_first_token_ms: Percentiles;
    warm_time_to_first_token_ms: Percentiles;
    load_ms: Percentiles;
  };
  resource_usage: { memory_usage_mb: Known<number>; gpu_memory_usage_mb: Known<number> };
}

export interface Models extends Answered {
  /** Of the whole intervals that sums are of. */
  from: string;
  to: string;
  models: Model[];
  /** The exchanges that count for none of them. */
  others: {
    /** Those among them that have a name, and that no backend lists now. */
    models: Known<string[]>;
    total_requests: Known<number>;
    failed_requests: Known<number>;
    cancelled_requests: Known<number>;
    cold_starts: Known<number>;
    prompt_tokens: Known<number>;
    generated_tokens: Known<number>;
  };
  summary: { total_models: Known<number>; loaded_models: Known<number>; total_size_gb: number | null; memory_usage_gb: number | null };
}

export interface Running {
  id: string;
  trace_id: string;
  started_at: string;
  age_ms: number;
  phase: string;
  backend: Known<string>;
  model: Known<string>;
  client: Known<string>;
  endpoint: string;
  method: string;
  operation: string;
  pieces: number;
}

export interface InFlight extends Answered {
  count: number;
  exchanges: Running[];
}

export interface Exchange {
  id: string;
  trace_id: string;
  started_at: string;
  ended_at: string;
  backend: Known<string>;
  model: Known<string>;
  tenant: Known<string>;
  client: Known<string>;
  conversation: Known<string>;
  messages: Known<number>;
  endpoint: Known<string>;
  method: string;
  dialect: string;
  operation: string;
  /** Whether a model works for it: a generation or an embedding. */
  inference: boolean;
  status: number;
  outcome: string;
  error: Known<string>;
  phase: string;
  finish_reason: Known<string>;
  cold_start: Known<string>;
  streamed: boolean;
  prompt_truncated: boolean;
  attempts: number;
  weight: number;
  duration_ms: Known<number>;
  time_to_first_token_ms: Known<number>;
  time_per_output_token_ms: Known<number>;
  tokens_per_second: Known<number>;
  largest_gap_ms: Known<number>;
  stalls: Known<number>;
  tokens: {
    prompt: Known<number>;
    prompt_source: Known<string>;
    cached: Known<number>;
    generated: Known<number>;
    generated_source: Known<string>;
    reasoning: Known<number>;
    /** Proposed by a draft model, and of these accepted. */
    drafted: Known<number>;
    draft_accepted: Known<number>;
  };
  request_bytes: number;
  response_bytes: number;
  cost: Known<number>;
  unknown?: Unknown;
}

export interface Step {
  step: string;
  from_ms: number;
  to_ms: number;
  placed_by_estimate: boolean;
}

export interface OneExchange extends Exchange {
  timeline: Step[];
  where_the_time_went: Known<string>;
}

export interface Exchanges extends Answered {
  from: string;
  to: string;
  exchanges: Exchange[];
  pagination: { page: number; limit: number; total: Known<number>; has_more: boolean };
}

export interface OneSeries {
  metric: string;
  unit: string;
  /** The model, backend or tenant that it is of, where it is divided by them. */
  group?: Known<string>;
  values: Known<number>[];
}

export interface Series extends Answered {
  from: string;
  to: string;
  interval_seconds: number;
  timestamps: string[];
  series: OneSeries[];
  compared?: OneSeries[];
  groups_left_out?: number;
}

export interface Workers extends Answered {
  coordinator: { status: string; address: string; uptime_seconds: number; connected_workers: number };
  workers: {
    id: string;
    address: string;
    status: string;
    state?: Known<string>;
    /** Of several, how many times more slowly than usual it generates. */
    times_slower?: Known<number>;
    weight?: Known<number>;
    tier?: number;
    /** How often it was chosen out of several, by why. */
    placed?: Record<string, number>;
    draining?: boolean;
    zone?: Known<string>;
    slots?: Known<number>;
    last_heartbeat: Known<string>;
    capabilities: Known<string[]>;
    resource_usage: {
      cpu_percent: Known<number>;
      memory_percent: Known<number>;
      gpu_available: Known<boolean>;
      gpu_usage_percent: Known<number>;
    };
    current_load: { active_requests: number; queue_length: Known<number>; average_latency_ms: Known<number> };
    models_loaded: Known<string[]>;
  }[];
}

export interface Health {
  status: string;
  version: string;
  revision: Known<string>;
  uptime_seconds: number;
  in_flight: number;
  backends: { name: string; address: string; runtime: Known<string>; version: Known<string>; up: Known<boolean>; reason: Known<string> }[];
  history: {
    status: string;
    reason: Known<string>;
    lost: number;
    bytes: Known<number>;
    kept: Known<{ days: number; oldest: Known<number>; newest: Known<number>; minutes_from: Known<number>; hours_from: Known<number> }>;
  };
}

export interface Session extends Answered {
  user: Known<string>;
  method: string;
  session: boolean;
  permissions: string[];
  expires_at: Known<string>;
}

export interface Metrics extends Answered {
  metrics: {
    latency: { p50_ms: Known<number>; p95_ms: Known<number> };
    throughput: { tokens_per_second: Known<number> };
    resources: { gpu_usage: Known<number> };
  };
}
