import assert from "node:assert/strict";
import { test } from "node:test";
import { backendAmong, heardAs } from "../src/lib/names.ts";

test("a model is called by its backend too where another backend has it", () => {
  const all = [{ name: "a:1b", backend: "left" }, { name: "b:7b", backend: "left" }, { name: "a:1b", backend: "right" }];
  assert.deepEqual(all.map((model) => backendAmong(model, all)), ["left", undefined, "right"]);
});

test("no two exchanges in flight are called the same", () => {
  const one = { model: "a:1b", backend: "left", client: "curl", started_at: "2026-12-01T04:00:00.100Z" };
  const all = [one, { ...one, backend: "right" }, { ...one, client: null }, { ...one, started_at: "2026-12-01T04:00:07.100Z" }, { ...one, started_at: "2026-12-01T04:00:00.200Z" }, { ...one, model: null, backend: null }];
  const names = heardAs(all);
  assert.equal(new Set(names).size, all.length, names.join("; "));
  assert.match(names[0] as string, /^a:1b on left of curl, since /);
  assert.match(names[5] as string, /^an unknown model of curl, since /);
  assert.equal(heardAs([one, one])[0], names[0], "one that comes later does not rename it");
});
