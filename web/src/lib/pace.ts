// When the page asks and draws: at its pace, at once on demand, and not while it is paused or nobody looks.
import { computed, signal } from "@preact/signals";
import { clock } from "./kept.ts";

/** Counts demands to ask for everything again. */
export const refreshes = signal(0);

export const paused = signal(false);
export const hidden = signal(typeof document !== "undefined" && document.hidden);
export const frozen = computed(() => paused.value || hidden.value);

/** The time, in milliseconds, once a second. */
export const now = signal(clock());

export function refresh(): void {
  refreshes.value += 1;
}

export function keepTime(): void {
  setInterval(() => {
    if (!frozen.value) now.value = clock();
  }, 1000);
  document.addEventListener("visibilitychange", () => {
    hidden.value = document.hidden;
    if (!document.hidden) now.value = clock();
  });
}
