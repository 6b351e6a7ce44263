import assert from "node:assert/strict";
import { test } from "node:test";
import { bounds, parameters, shifted, since } from "../src/lib/ranges.ts";
import { seriesUrl } from "../src/parts/series.tsx";
import { METRICS, USUAL } from "../src/screens/now/metrics.ts";
import { format, parse } from "../src/lib/route.ts";

test("an address holds all state, and is written as it was read", () => {
  for (const hash of [
    "#/now", "#/models?range=24h&model=llama3.2%3A3b", "#/exchange/1883263197887070208", "#/exchanges?compare=week&refresh=30&outcome=truncated&page=2",
    "#/now?from=2026-11-29T10%3A00%3A00.000Z&to=2026-11-29T11%3A00%3A00.000Z",
  ]) assert.equal(format(parse(hash)), hash);
});

test("what is not understood has the usual value", () => {
  const route = parse("#/models?range=8h&refresh=1&compare=year&from=x");
  assert.deepEqual([route.range, route.refresh, route.compare], [{ period: "1h" }, 10, undefined]);
  assert.equal(parse("").screen, "now");
  assert.equal(parse("#/trace/%").id, "%");
});

test("a range moves by half its length and not into the future", () => {
  const now = 10_000_000;
  assert.deepEqual(shifted({ period: "5m" }, -1, now), { from: now - 450_000, to: now - 150_000 });
  assert.deepEqual(shifted({ period: "5m" }, 1, now), { period: "5m" });
  assert.deepEqual(shifted({ from: 0, to: 100 }, 1, now), { from: 50, to: 150 });
  assert.deepEqual(shifted({ from: now - 110, to: now - 10 }, 1, now), { from: now - 100, to: now });
  assert.deepEqual(bounds({ period: "1h" }, now), [now - 3_600_000, now]);
});

test("the API takes a period or two instants, and lists take whole minutes or hours", () => {
  assert.deepEqual(parameters({ period: "7d" }), { period: "7d" });
  assert.deepEqual(parameters({ from: 0, to: 1000 }), { from: "1970-01-01T00:00:00.000Z", to: "1970-01-01T00:00:01.000Z" });
  assert.equal(since({ period: "1h" }, 0), "60m");
  assert.equal(since({ period: "30d" }, 0), "720h");
});

test("the browser is told of the same question that the first screen asks", () => {
  assert.equal(seriesUrl(METRICS), USUAL);
});
