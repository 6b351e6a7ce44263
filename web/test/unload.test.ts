import assert from "node:assert/strict";
import { test } from "node:test";
import type { Running } from "../src/lib/types.ts";
import { unloadOf } from "../src/lib/unload.ts";

const NOW = Date.parse("2026-01-01T00:00:00Z");
const held = (expires_at: string | null) => ({ name: "llama3.2:3b", backend: "gpu1", expires_at });
const running = (model: string, backend: string): Running => ({
  id: "1", trace_id: "", started_at: "", age_ms: 0, phase: "decode", backend, model, client: null, endpoint: "/api/chat", method: "POST", operation: "chat", pieces: 0,
});

test("a model that answers is in use, on its own backend alone", () => {
  for (const expires_at of ["2026-01-01T00:04:00Z", "2025-12-31T23:59:00Z", null]) {
    assert.equal(unloadOf(held(expires_at), undefined, [running("llama3.2:3b", "gpu1")], NOW), "used");
  }
  assert.equal(unloadOf(held("2026-01-01T00:04:00Z"), undefined, [running("llama3.2:3b", "gpu2"), running("gemma3:27b", "gpu1")], NOW), 240);
});

test("a model whose time is over is about to be unloaded, not in use", () => {
  assert.equal(unloadOf(held("2025-12-31T23:59:58Z"), undefined, [], NOW), "over");
  assert.equal(unloadOf(held("2026-01-01T00:00:00.5Z"), undefined, [], NOW), "over");
});

test("without a time it is kept, or nobody knows", () => {
  assert.equal(unloadOf(held(null), "not_applicable", [], NOW), "kept");
  assert.equal(unloadOf(held(null), undefined, [], NOW), "unknown");
});
