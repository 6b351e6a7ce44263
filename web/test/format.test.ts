import assert from "node:assert/strict";
import { test } from "node:test";
import * as as from "../src/lib/format.ts";

const plain = (text: string) => text.replaceAll("\u202f", " ");

test("numbers have three digits that say something", () => {
  for (const [value, text] of [[0, "0"], [0.0421, "0.0421"], [0.0025, "0.0025"], [0.000_012_345, "0.0000123"], [1e-9, "<0.000001"], [0.001, "0.001"], [1.5, "1.5"], [12.34, "12.3"], [123.4, "123"], [9999, "9999"], [12345, "12,345"]] as const) {
    assert.equal(as.number(value), text);
  }
});

test("counts stay short", () => {
  for (const [value, text] of [[0, "0"], [9999, "9,999"], [12_345, "12.3 k"], [999_900, "1 M"], [4_500_000, "4.5 M"], [2e9, "2 G"]] as const) {
    assert.equal(plain(as.count(value)), text);
  }
});

test("durations have the unit that people take", () => {
  const table = [[0.04, "0.04 ms"], [0.4, "0.4 ms"], [0.944, "0.9 ms"], [3.14, "3.1 ms"], [250, "250 ms"], [999.9, "1 s"], [1234, "1.23 s"], [12_340, "12.3 s"], [65_000, "1 m 05 s"], [7_260_000, "2 h 01 m"]] as const;
  for (const [value, text] of table) assert.equal(plain(as.duration(value)), text);
  assert.equal(plain(as.span(3 * 86_400 + 4 * 3600)), "3 d 4 h");
});

test("bytes are in binary units, and shares in percent", () => {
  for (const [value, text] of [[0, "0 B"], [1023, "1023 B"], [1024, "1 KiB"], [5 * 2 ** 30, "5 GiB"]] as const) assert.equal(plain(as.bytes(value)), text);
  assert.equal(plain(as.share(0.5)), "50 %");
  assert.equal(plain(as.percent(0.01)), "<0.1 %");
  assert.equal(plain(as.percent(0)), "0 %");
});

test("a rough share has no fraction, and energy the unit of its size", () => {
  for (const [value, text] of [[0, "0 %"], [0.004, "<1 %"], [0.0977, "10 %"], [1, "100 %"]] as const) assert.equal(plain(as.wholeShare(value)), text);
  for (const [value, text] of [[2.5, "2.5 J"], [3599, "3599 J"], [3600, "1 Wh"], [7.2e6, "2 kWh"]] as const) assert.equal(plain(as.joules(value)), text);
});
