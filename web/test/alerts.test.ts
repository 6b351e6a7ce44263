import assert from "node:assert/strict";
import { test } from "node:test";
import { ended, type KeptAlert } from "../src/lib/alerts.ts";

const NOW = Date.parse("2026-01-02T00:00:00Z");
const DAY = 86_400_000;
const kept = (_id: string, resolved_at: string | null): KeptAlert => ({
  _id, status: resolved_at ? "resolved" : "firing", started_at: "2026-01-01T10:00:00Z", resolved_at, severity: "warning", title: _id,
});
const seen = (id: string, resolved_at: string) => ({ id, timestamp: null, resolved_at, level: "warning", title: id });

test("what ended before the program started is listed too, each once, the last first", () => {
  const all = ended([seen("b", "2026-01-01T12:00:00Z")], [kept("c", "2026-01-01T13:00:00Z"), kept("b", "2026-01-01T12:00:00Z"), kept("a", "2026-01-01T11:00:00Z")], NOW - DAY);
  assert.deepEqual(all.map((one) => one.id), ["c", "b", "a"]);
});

test("what fires still has not ended, and what ended before the day is not of it", () => {
  assert.deepEqual(ended([seen("old", "2025-12-31T23:59:59Z")], [kept("firing", null), kept("older", "2025-12-30T00:00:00Z")], NOW - DAY), []);
});
