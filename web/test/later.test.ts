import assert from "node:assert/strict";
import { test } from "node:test";
import { whenSeen } from "../src/parts/later.ts";

test("what is taken back while it waits is not drawn", async () => {
  const element = { isConnected: true } as Element;
  const drawn: string[] = [];
  const forget = whenSeen(element, () => drawn.push("before"));
  forget();
  await new Promise<void>((done) => whenSeen(element, () => { drawn.push("after"); done(); }));
  assert.deepEqual(drawn, ["after"]);
});
