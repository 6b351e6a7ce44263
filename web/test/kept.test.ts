import assert from "node:assert/strict";
import { test } from "node:test";
import { redacted } from "../src/lib/incident.ts";
import { answerOf } from "../src/lib/kept.ts";
import { reason, slowest } from "../src/lib/slowest.ts";
import { perToken } from "../src/lib/summary.ts";
import type { Model } from "../src/lib/types.ts";

const one = (metric: string) => ({ metric, values: [1] });

test("a saved page answers what was saved, and nothing else", () => {
  const answers = {
    "/dashboard/series?metrics=a,b&period=1h": { interval_seconds: 60, series: [one("a"), one("b")] },
    "/dashboard/series?metrics=c&period=1h": { interval_seconds: 60, series: [one("c")] },
    "/dashboard/series?metrics=a&by=model&period=1h": { series: [{ ...one("a"), group: "m" }] },
    "/dashboard/exchanges?limit=100&period=1h": "newest",
    "/dashboard/exchanges?failed=true&limit=100&period=1h": "failed",
    "/dashboard/models": "of a day",
    "/dashboard/models?period=15m": "of the range",
    "/health": "health",
  };
  const ask = (path: string) => answerOf(path, answers);
  assert.deepEqual(ask("/dashboard/series?metrics=b,c&period=1h&interval=10s"), { interval_seconds: 60, series: [one("b"), one("c")] });
  assert.deepEqual(ask("/dashboard/series?metrics=a&by=model&period=1h"), { series: [{ ...one("a"), group: "m" }] });
  assert.equal(ask("/dashboard/series?metrics=a&model=m&period=1h"), undefined);
  assert.equal(ask("/dashboard/exchanges?period=1h&page=1&limit=50"), "newest");
  assert.equal(ask("/dashboard/exchanges?period=1h&failed=true&limit=50"), "failed");
  assert.equal(ask("/dashboard/config"), undefined);
  assert.equal(ask("/dashboard/models"), "of a day");
  assert.equal(ask("/dashboard/models?from=a&to=b"), "of the range");
  assert.equal(ask("/health"), "health");
});

test("what is saved names no address and no machine", () => {
  const given = { workers: [{ id: "a", address: "gpu-box:11434", n: 1, why: "10.0.0.7:1 refused, [::1]:80 too, see https://gpu/x" }], node: "gpu-box", version: "0.33.0" };
  const expected = { workers: [{ id: "a", address: "(address)", n: 1, why: "(address) refused, (address) too, see (address)" }], node: "(address)", version: "0.33.0" };
  assert.deepEqual(redacted(given), expected);
});

const model = (name: string, of: Partial<Model["performance"]>): Model => ({
  name,
  performance: {
    total_requests: 100, cold_starts: 0, generated_tokens: 10_000, prompt_tokens: 1_000, average_tokens_per_second: 60,
    latency_ms: { p50: 1_000, p95: null, p99: null }, time_to_first_token_ms: { p50: 100, p95: null, p99: null },
    warm_time_to_first_token_ms: { p50: 100, p95: null, p99: null }, load_ms: { p50: 2_000, p95: null, p99: null }, ...of,
  },
} as unknown as Model);

test("the slowest model is the one whose answers take longest, with what takes the time", () => {
  const usual = model("usual", {});
  assert.equal(slowest([usual]), undefined, "one alone is not compared");
  const longest = { p50: 9_000, p95: null, p99: null };
  const rare = model("rare", { latency_ms: { ...longest, p50: 20_000 }, total_requests: 3 });
  const found = slowest([usual, model("slow", { latency_ms: longest }), rare]);
  assert.deepEqual([found?.model.name, found?.left.map((one) => one.model.name)], ["slow", ["rare"]], "too few requests are said to be too few");
  const why = (of: Partial<Model["performance"]>) => {
    const slow = model("slow", { latency_ms: longest, ...of });
    assert.equal(slowest([usual, slow])?.model, slow);
    return reason(slow, [usual]);
  };
  assert.match(why({ cold_starts: 60, load_ms: { p50: 6_000, p95: null, p99: null } }), /^60.% of its requests wait until it is loaded, half of them 6.s or more$/);
  assert.match(why({ cold_starts: 19, average_tokens_per_second: 12 }), /^it generates 12 tokens a second, .*; besides, 19.% of its requests wait until it is loaded, half of them 2.s or more$/);
  assert.doesNotMatch(why({ cold_starts: 3 }), /loaded/);
  assert.match(why({ warm_time_to_first_token_ms: { p50: 6_000, p95: null, p99: null }, prompt_tokens: 400_000 }), /first token takes 6.s, with prompts of 4,000 tokens/);
  assert.match(why({ average_tokens_per_second: 12 }), /it generates 12 tokens a second, where half of the others do 60 or more/);
  assert.match(why({ generated_tokens: 80_000 }), /its answers are long: 800 tokens/);
});

test("a token's energy is of the intervals in which both are known", () => {
  assert.equal(perToken([100, null, 300], [10, 50, null]), 10);
  assert.equal(perToken([100], [0]), null);
  assert.equal(perToken([], []), null);
});
