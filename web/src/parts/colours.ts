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

export type Colour = Meaning | (typeof WHICH)[number];

export const colourOf = (colour: Colour): string => `var(--${colour})`;

/** What the style sheet says, for the canvas. */
export function colours(): (name: Colour | "line" | "quiet" | "panel") => string {
  const style = getComputedStyle(document.documentElement);
  return (name) => style.getPropertyValue(`--${name}`).trim();
}
