// Which model takes longest, and what it spends the time on.
import { count, duration, number, share } from "./format.ts";
import { FEWEST } from "./health.ts";
import type { Model } from "./types.ts";

/** Loads make the median what it is where most waited for one; they are said where so many did. */
const MOST = 0.5;
const MANY = 0.1;

interface Judged {
  model: Model;
  /** The median of a whole answer, in milliseconds. */
  whole: number;
}

interface Slowest extends Judged {
  /** Slower ones, with too few requests to tell. */
  left: Judged[];
}

/** The model whose answers take longest, of those that were used; `undefined` where fewer than two can be compared. */
export function slowest(models: readonly Model[]): Slowest | undefined {
  const known = models.flatMap((model) => {
    const { p50 } = model.performance.latency_ms;
    return p50 === null ? [] : [{ model, whole: p50 }];
  });
  const isEnough = ({ model }: Judged) => (model.performance.total_requests ?? 0) >= FEWEST;
  const judged = known.filter(isEnough);
  if (judged.length < 2) return undefined;
  const worst = judged.reduce((worst, one) => (one.whole > worst.whole ? one : worst));
  return { ...worst, left: known.filter((one) => !isEnough(one) && one.whole > worst.whole) };
}

const middle = (values: number[]): number | undefined => values.sort((a, b) => a - b)[values.length >> 1];

/** What takes most of its time, as a clause after "because". */
export function reason({ performance: of }: Model, others: readonly Model[]): string {
  const whole = of.latency_ms.p50 ?? 0;
  const total = of.total_requests ?? 0;
  const cold = total > 0 && of.cold_starts !== null ? of.cold_starts / total : 0;
  const load = of.load_ms.p50;
  const loads = `${share(cold)} of its requests wait until it is loaded${load === null ? "" : `, half of them ${duration(load)} or more`}`;
  // What takes most of the time comes first.
  const isLoad = cold > MOST && (load === null || load > whole / 2);
  return isLoad ? loads : warm(of, whole, total, others) + (cold >= MANY ? `; besides, ${loads}` : "");
}

/** What takes the time of requests that find the model in memory. */
function warm(of: Model["performance"], whole: number, total: number, others: readonly Model[]): string {
  const first = of.warm_time_to_first_token_ms.p50 ?? of.time_to_first_token_ms.p50;
  if (first !== null && first > whole / 2) {
    const prompt = total > 0 && of.prompt_tokens !== null ? of.prompt_tokens / total : undefined;
    return `its first token takes ${duration(first)}${prompt === undefined ? "" : `, with prompts of ${count(prompt)} tokens on average`}`;
  }
  const speed = of.average_tokens_per_second;
  const tokens = total > 0 && of.generated_tokens !== null ? of.generated_tokens / total : undefined;
  const usual = middle(others.flatMap((one) => (one.performance.average_tokens_per_second === null ? [] : [one.performance.average_tokens_per_second])));
  const length = tokens === undefined ? "" : `, and its answers have ${count(tokens)} tokens on average`;
  if (speed !== null && usual !== undefined && speed < usual * 0.8) return `it generates ${number(speed)} tokens a second, where half of the others do ${number(usual)} or more${length}`;
  if (tokens !== undefined) return `its answers are long: ${count(tokens)} tokens on average`;
  return "it generates for most of the time";
}
