// What a colour means, the same on every screen. The style sheet has each by its name, in light and in dark; the list of keys shows them.

/** Of lines, bars and steps. States have three more: --good, --warn and --bad; what is chosen and what leads elsewhere has --link. */
export const MEANINGS = {
  requests: "exchanges, whatever became of them",
  failed: "what failed: the red of all that is bad",
  left: "neither good nor bad: left by its client, or only passed on",
  waiting: "waits for a place, an answer or memory",
  load: "a model is loaded, or had to be",
  prompt: "the prompt, and the time to the first token",
  cached: "read from a cache, and not computed",
  generated: "what models generate, and how fast",
  whole: "the whole answer, to its last token",
  gpu: "GPUs and their memory",
  host: "processors, main memory, disks and networks",
  cost: "money and energy",
} as const;

export type Meaning = keyof typeof MEANINGS;

/** Which of several models or backends: these colours mean nothing else. */
export const WHICH = ["which0", "which1", "which2", "which3", "which4", "which5"] as const;

/** Which colour a name has: its own, whatever its place in a list is, or the next one that is free among those beside it. */
export function whichOf(names: readonly string[]): Map<string, Which> {
  const given = new Map<string, Which>();
  const taken = new Set<number>();
  for (const name of [...new Set(names)].sort()) {
    let place = own(name);
    for (let tries = 0; taken.has(place) && tries < WHICH.length; tries += 1) place = (place + 1) % WHICH.length;
    taken.add(place);
    given.set(name, WHICH[place] as Which);
  }
  return given;
}

/** FNV-1a, so that it is the same in every browser. */
function own(name: string): number {
  let hash = 0x811c9dc5;
  for (const letter of name) hash = Math.imul(hash ^ (letter.codePointAt(0) as number), 0x01000193) >>> 0;
  return hash % WHICH.length;
}

type Which = (typeof WHICH)[number];

export type Colour = Meaning | Which;

export const colourOf = (colour: Colour): string => `var(--${colour})`;

/** What the style sheet says, for the canvas. */
export function colours(): (name: Colour | "line" | "quiet" | "panel") => string {
  const style = getComputedStyle(document.documentElement);
  return (name) => style.getPropertyValue(`--${name}`).trim();
}
