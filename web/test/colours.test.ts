import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { MEANINGS, WHICH, whichOf } from "../src/parts/colours.ts";

/** The values of a theme by their names, of which the dark one has those that differ. */
function themes(): Record<string, Record<string, string>> {
  const [light = "", dark = ""] = [...readFileSync("src/styles/base.css", "utf8").matchAll(/:root \{([^}]*--page[^}]*)\}/g)].map((found) => found[1] ?? "");
  const read = (text: string) => Object.fromEntries([...text.matchAll(/--([a-z0-9-]+): ([^;]+);/g)].map((found) => [found[1] as string, found[2] as string]));
  return { light: read(light), dark: { ...read(light), ...read(dark) } };
}

/** How far two colours are apart in lightness, as WCAG has it: 1 to 21. */
function contrast(one: string, other: string): number {
  const [brighter, darker] = [one, other].map((hex) => {
    const digits = hex.length === 4 ? [...hex.slice(1)].map((digit) => digit + digit) : hex.slice(1).match(/../g) as string[];
    const [r, g, b] = digits.map((two) => Number.parseInt(two, 16) / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)) as [number, number, number];
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  }).sort((a, b) => b - a) as [number, number];
  return (brighter + 0.05) / (darker + 0.05);
}

test("each meaning has one colour, of its own, that is seen on its ground", () => {
  for (const [theme, colours] of Object.entries(themes())) {
    const value = (name: string): string => {
      const found = colours[name] ?? assert.fail(`${theme} has no --${name}`);
      return found.startsWith("var(") ? value(found.slice(6, -1)) : found;
    };
    const all = [...Object.keys(MEANINGS), ...WHICH];
    assert.equal(new Set(all.map(value)).size, all.length, `${theme}: two mean the same`);
    for (const name of all) assert.ok(contrast(value(name), value("panel")) >= 3, `${theme}: --${name} has ${contrast(value(name), value("panel")).toFixed(2)}`);
  }
});

test("the style sheet has each colour by a name", () => {
  const styles = ["base", "frame", "parts", "now", "screens", "narrow"].map((name) => readFileSync(`src/styles/${name}.css`, "utf8")).join("");
  assert.doesNotMatch(styles.replace(readFileSync("src/styles/base.css", "utf8"), ""), /#[0-9a-f]{6}\b/i, "a colour without a name");
  for (const name of styles.matchAll(/var\(--([a-z0-9-]+)\)/g)) assert.match(styles, new RegExp(`--${name[1]}:`), `--${name[1]} is not there`);
});

test("a name keeps its colour, and no two beside each other have the same", () => {
  const names = ["gemma3:27b", "llama3.2:3b", "qwen3:8b", "nomic-embed-text", "mistral:7b", "phi4:14b"];
  const given = whichOf(names);
  assert.equal(new Set(given.values()).size, WHICH.length);
  assert.deepEqual(Object.fromEntries(whichOf([...names].reverse())), Object.fromEntries(given));
  for (const name of names) assert.ok(WHICH.includes(whichOf([name]).get(name) as (typeof WHICH)[number]), name);
  assert.equal(whichOf([...names, "a", "b"]).size, names.length + 2);
});
