// Keys of the whole page. Fields keep theirs.
import { signal } from "@preact/signals";
import { clock } from "./kept.ts";
import { paused, refresh } from "./pace.ts";
import { PERIODS, bounds, lengthOf, shifted } from "./ranges.ts";
import { go, link, route } from "./route.ts";

export const helpShown = signal(false);

export const LETTERS: Record<string, string> = {
  n: "now", m: "models", e: "exchanges", c: "cost", h: "cache", k: "machines", j: "jobs", a: "alerts", l: "logs", s: "settings",
};

export const KEYS: [string, string][] = [
  ["g, then n m e c h k j a l s", "go to Now, Models, Exchanges, Cost, Cache, Machines, Jobs, Alerts, Logs, Settings"],
  ["[  ]", "move the range back and on"],
  ["t", "the next longer range"],
  ["z", "twice the range"],
  ["r", "ask for everything again"],
  ["Space", "pause, and go on"],
  ["/", "find an exchange"],
  ["j  k  Enter", "next and previous row, and open it"],
  ["←  →", "in a chart: move the cursor"],
  ["?", "this list, and what the colours mean"],
  ["Esc", "close it"],
];

let gone = false;

function rows(direction: number): void {
  const all = [...document.querySelectorAll<HTMLElement>("main [data-row]")];
  const at = all.indexOf(document.activeElement as HTMLElement);
  const next = all[Math.min(all.length - 1, Math.max(0, at + direction))];
  next?.focus();
}

function widened(): void {
  const { range } = route.value;
  const [from, to] = bounds(range, clock());
  const more = (to - from) / 2;
  const end = Math.min(clock(), to + more);
  go({ range: { from: Math.round(end - 2 * (to - from)), to: Math.round(end) } });
}

function longer(): void {
  const length = lengthOf(route.value.range);
  const next = PERIODS.find((period) => lengthOf({ period }) > length) ?? "5m";
  go({ range: { period: next } });
}

const ACTIONS: Record<string, () => void> = {
  "[": () => go({ range: shifted(route.value.range, -1, clock()) }),
  "]": () => go({ range: shifted(route.value.range, 1, clock()) }),
  t: longer,
  z: widened,
  r: refresh,
  " ": () => { paused.value = !paused.value; },
  j: () => rows(1),
  k: () => rows(-1),
  "?": () => { helpShown.value = !helpShown.value; },
  Escape: () => { helpShown.value = false; },
  "/": () => document.querySelector<HTMLElement>("#find")?.focus(),
};

export function listen(): void {
  addEventListener("keydown", (event) => {
    const target = event.target as HTMLElement;
    const types = target.closest("input, select, textarea, [contenteditable]");
    if (types) {
      if (event.key === "Escape") (types as HTMLElement).blur();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    // Buttons, links and folded parts are pressed with the space bar and the Enter key.
    if (event.key === " " && target.closest("button, a, summary, [role=button]")) return;
    if (gone) {
      gone = false;
      const screen = LETTERS[event.key];
      if (screen) {
        location.hash = link(screen);
        event.preventDefault();
      }
      return;
    }
    if (event.key === "g") {
      gone = true;
      setTimeout(() => { gone = false; }, 1500);
      return;
    }
    const action = ACTIONS[event.key];
    if (action) {
      action();
      event.preventDefault();
    }
  });
}
