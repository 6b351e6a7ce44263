// A page that was saved has its answers inside. It asks nobody, and time stands still in it.

interface Saved {
  /** When it was saved. */
  at: string;
  /** Parameters of the API: the time that it is of. */
  range: Record<string, string>;
  answers: Record<string, unknown>;
}

const element = typeof document === "undefined" ? null : document.getElementById("kept");

/** `undefined` in a page that a program serves. */
export const saved: Saved | undefined = element ? (JSON.parse(element.textContent ?? "") as Saved) : undefined;

/** The time in milliseconds: that of saving, in a page that was saved. */
export const clock = (): number => (saved ? Date.parse(saved.at) : Date.now());

// Of time and length there is one choice in a saved page.
const LOOSE = ["period", "from", "to", "since", "interval", "compare", "limit", "page", "format", "metrics"];

interface Asked {
  path: string;
  parameters: URLSearchParams;
  /** What has to agree. */
  rest: string;
}

function asked(address: string): Asked {
  const [path = "", query = ""] = address.split("?");
  const parameters = new URLSearchParams(query);
  const rest = [...parameters].filter(([name, value]) => !LOOSE.includes(name) && value !== "newest").map((one) => one.join("=")).sort();
  return { path, parameters, rest: rest.join("&") };
}

const hasTime = (parameters: URLSearchParams): boolean => parameters.has("period") || parameters.has("from");

interface SeriesLike {
  series: { metric: string }[];
}

/** What was saved for this question; `undefined` where it was not. */
export function answerOf(address: string, answers: Record<string, unknown> = saved?.answers ?? {}): unknown {
  const wanted = asked(address);
  const same = Object.keys(answers).filter((known) => {
    const { path, rest } = asked(known);
    return path === wanted.path && rest === wanted.rest;
  });
  const metrics = wanted.parameters.get("metrics")?.split(",");
  if (!metrics) {
    // Some paths are saved twice: for the chosen range, and without one.
    const found = same.find((known) => hasTime(asked(known).parameters) === hasTime(wanted.parameters)) ?? same[0];
    return found === undefined ? undefined : answers[found];
  }
  // Several questions together have all metrics.
  const all = same.map((known) => answers[known] as SeriesLike);
  if (all.length === 0) return undefined;
  return { ...all[0], series: all.flatMap((one) => one.series).filter((one) => metrics.includes(one.metric)) };
}
