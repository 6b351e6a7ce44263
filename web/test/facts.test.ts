import assert from "node:assert/strict";
import { test } from "node:test";
import { standing, type Alerts } from "../src/lib/alerts.ts";
import { finished } from "../src/lib/finished.ts";
import { median, verdict } from "../src/lib/health.ts";
import { describe, last, shownAt, sum } from "../src/lib/summary.ts";
import { machineOf } from "../src/lib/room.ts";
import type { Model, Stats, Workers } from "../src/lib/types.ts";
import { NO_HISTORY, sentence, why, whyKept } from "../src/lib/unknown.ts";

const model = (total: number | null, failures: number, warm: number | null = 100): Model => ({
  name: "m", backend: "b", status: "loaded",
  performance: {
    total_requests: total, cancelled_requests: total === null ? null : 0, server_failures: failures,
    warm_time_to_first_token_ms: { p50: null, p95: warm, p99: null },
  },
}) as unknown as Model;

test("the rule of health", () => {
  const level = (...of: Parameters<typeof verdict>) => verdict(...of).level;
  assert.equal(level(model(1000, 0), true), "healthy");
  assert.equal(level(model(1000, 10), true), "healthy");
  assert.equal(level(model(1000, 11), true), "degraded");
  assert.equal(level(model(1000, 50), true), "degraded");
  assert.equal(level(model(1000, 51), true), "unhealthy");
  assert.equal(level(model(19, 19), true), "unknown");
  assert.equal(level(model(1000, 0), false), "unhealthy");
  assert.equal(level(model(null, 0), undefined), "unknown");
  assert.equal(level(model(1000, 0, 201), true, 100), "degraded");
  assert.equal(level(model(1000, 0, 200), true, 100), "healthy");
  assert.equal(verdict(model(1000, 10), true).availability, 0.99);
});

test("of nothing there is no sum, no last value and no median", () => {
  assert.equal(sum([null, null]), null);
  assert.equal(sum([null, 0]), 0);
  assert.equal(last([1, null]), 1);
  assert.equal(last([]), null);
  assert.equal(median([null]), undefined);
  assert.equal(median([3, null, 1]), 2);
});

test("a chart is told in a sentence", () => {
  const lines = [{ label: "all", values: [1, 4, null, 2], format: String }, { label: "none", values: [null], format: String }];
  assert.equal(describe(lines, (at) => `at ${at}`), "all: 2 at the end, from 1 to 4 (at 1). none: no values.");
});

test("a legend shows no value of an earlier interval as if it were of now", () => {
  assert.equal(shownAt([1, 4, null, 2], 3, null), null, "the third is the newest that is over");
  assert.equal(shownAt([1, 4, null, 2], 4, null), 2);
  assert.equal(shownAt([1, 4, null, 2], 4, 1), 4, "the cursor's");
  assert.equal(shownAt([], 0, null), null);
  const told = (...values: (number | null)[]) => describe([{ label: "all", values, format: String }], (at) => `at ${at}`);
  assert.equal(told(1, 4, null), "all: none at the end, from 1 to 4 (at 1).");
  assert.equal(told(4, 4, null), "all: none at the end, 4 before (at 1).");
  assert.equal(told(4, 4), "all: 4 all the time.");
});

test("what is unknown has a reason", () => {
  assert.match(why({ unknown: { "/a/0": "not_local" } }, "/a/0"), /another machine/);
  assert.equal(why(undefined, "/a"), sentence(undefined));
});

test("an interval is over once its sums are written", () => {
  const series = (read: string) => ({ timestamps: ["2026-11-29T10:00:00.000Z", "2026-11-29T10:01:00.000Z", "2026-11-29T10:02:00.000Z"], interval_seconds: 60, timestamp: read });
  const over = (read: string) => finished(series(read), 0);
  assert.equal(over("2026-11-29T10:02:05.900Z"), 1, "the second has ended, and is not written");
  assert.equal(over("2026-11-29T10:02:06.000Z"), 2);
  assert.equal(over("2026-11-29T11:00:00.000Z"), 3);
  assert.equal(over("2026-11-29T10:00:30.000Z"), 0);
});

test("the memory of this machine is no measure of a model on another one", () => {
  const stats = { gpu: { devices: [{ memory_total_mb: 24_576 }, { memory_total_mb: 24_576 }] }, system: { memory_total_gb: 64 } } as unknown as Stats;
  const workers = { workers: [{ id: "here" }, { id: "there" }], unknown: { "/workers/1/resource_usage/cpu_percent": "not_local" } } as unknown as Workers;
  assert.deepEqual(machineOf("here", workers, stats), { gpu: 49_152, host: 65_536 });
  assert.deepEqual(machineOf("there", workers, stats), {});
  assert.deepEqual(machineOf("here", undefined, stats), {});
  assert.deepEqual(machineOf("here", workers, { ...stats, gpu: { devices: [] } } as unknown as Stats), { host: 65_536 });
});

test("what is about to be an alert counts beside those that are", () => {
  const says = (active: number, ...states: string[]) => standing({
    active_alerts: Array.from({ length: active }), alert_rules: states.map((state) => ({ state })),
  } as unknown as Alerts);
  assert.equal(says(0, "quiet", "not_yet"), "no alerts");
  assert.equal(says(0, "pending", "quiet"), "1 pending");
  assert.equal(says(1, "firing"), "1 alert");
  assert.equal(says(2, "firing", "pending", "pending"), "2 alerts, 2 pending");
});

test("without a history what only it knows says how to have one", () => {
  const answer = { unknown: { "/a": "not_configured", "/b": "no_samples" } };
  assert.equal(whyKept(answer, "/a"), NO_HISTORY);
  assert.equal(whyKept(answer, "/b"), sentence("no_samples"));
  assert.equal(why(answer, "/a"), sentence("not_configured"));
});
