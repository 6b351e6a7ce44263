import assert from "node:assert/strict";
import { test } from "node:test";
import { newestOf, whyNone } from "../src/lib/tokens.ts";

test("a minute in which no answer ended has no rate of tokens, as the API says", () => {
  assert.equal(newestOf([475, null], 2), null, "a long answer goes on: neither zero nor the rate of before");
  assert.equal(newestOf([475, 0], 2), 0, "an answer without tokens");
  assert.equal(newestOf([475, 12, 3], 2), 12, "the third is not over");
  assert.equal(newestOf([], 0), null);
});

test("that tokens count when their answer ends is said where answers go on", () => {
  assert.equal(whyNone(1).note, "counted when an answer ends");
  assert.match(whyNone(2).why, /counted when their answer ends.*2 in flight/);
  assert.doesNotMatch(whyNone(0).note, /counted/);
  assert.doesNotMatch(whyNone(undefined).why, /in flight/);
});
