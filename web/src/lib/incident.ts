// The page with its answers as one file, without addresses: to attach to a report. It opens without the program.
import { ask } from "./api.ts";
import { newest } from "./live.ts";
import { bounds, parameters, since } from "./ranges.ts";
import { route } from "./route.ts";

const ADDRESS = /\b[a-z][a-z0-9+.-]*:\/\/[^\s"',;()<>{}`]+|\b(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?\b|\[[0-9a-f:.%]+\](?::\d+)?/gi;
/** What is the name of a machine or a place to reach it, whatever it looks like. */
const NAMED = ["address", "node", "nodeId", "hostname"];

/** The same without addresses. */
export function redacted(value: unknown, name = ""): unknown {
  if (typeof value === "string") return NAMED.includes(name) ? "(address)" : value.replace(ADDRESS, "(address)");
  if (Array.isArray(value)) return value.map((one) => redacted(one, name));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, redacted(one, key)]));
}

/** What is saved: the same list that `inferometer snapshot` reads. */
function questions(): string[] {
  const list = document.querySelector<HTMLMetaElement>("meta[name=kept]")?.content ?? "";
  const { range } = route.value;
  const now = Date.now();
  const [from, to] = bounds(range, now);
  const words = new URLSearchParams("period" in range ? { period: range.period } : { from: new Date(from).toISOString(), to: new Date(to).toISOString() });
  return list.trim().split(/\s+/).map((path) => path.replace("{range}", words.toString()).replace("{since}", `since=${since(range, now)}`));
}

const pause = (seconds: number) => new Promise((done) => setTimeout(done, seconds * 1000));

/** The answers that are there; what is not kept or not permitted is left out. */
async function answers(): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = {};
  for (const path of questions()) {
    const live = newest(path);
    if (live !== undefined) {
      found[path] = live;
      continue;
    }
    for (let tries = 0; tries < 3; tries += 1) {
      const answer = await ask(path);
      if ("data" in answer) found[path] = answer.data;
      if (!("failure" in answer) || answer.failure.kind !== "limited") break;
      await pause(answer.failure.wait ?? 10);
    }
  }
  return found;
}

/** Says whether it was saved. */
export async function saveIncident(): Promise<boolean> {
  try {
    const script = document.querySelector<HTMLScriptElement>("script[src]");
    const style = document.querySelector<HTMLLinkElement>("link[rel=stylesheet]");
    if (!script || !style) return false;
    const at = new Date().toISOString();
    const kept = { at, range: parameters(route.value.range), answers: redacted(await answers()) };
    const [code, css] = await Promise.all([script.src, style.href].map(async (address) => (await fetch(address)).text()));
    const blob = new Blob([file(at, script.integrity, code ?? "", css ?? "", kept)], { type: "text/html" });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `inferometer-${at.slice(0, 19).replaceAll(":", "")}.html`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    return true;
  } catch {
    return false;
  }
}

/** As `inferometer snapshot` writes it. */
function file(at: string, digest: string, code: string, css: string, kept: unknown): string {
  const policy = `default-src 'none'; script-src '${digest}'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark"><title>inferometer, ${at}</title>
<style>${css}</style></head><body><div id="app"></div>
<script type="application/json" id="kept">${JSON.stringify(kept).replaceAll("<", "\\u003c")}</script>
<script>${code}</script></body></html>
`;
}
