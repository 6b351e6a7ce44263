// What is said where no backend answers, none lists a model, or something was of no model that is listed.
import { useTopic } from "../lib/live.ts";
import * as as from "../lib/format.ts";
import type { Models, Workers } from "../lib/types.ts";

/** Whether none of the backends answers; `undefined` while that is not known. */
export function useAllDown(): boolean | undefined {
  const workers = useTopic<Workers>("workers")?.workers;
  return workers === undefined || workers.length === 0 ? undefined : workers.every((one) => one.status === "down");
}

export function NoModels() {
  const areDown = useAllDown();
  if (areDown === undefined) return <p class="empty">No model is known: the backend was not asked yet.</p>;
  if (areDown) return <p class="empty">Which models there are is not known: no backend answers.</p>;
  return <p class="empty">The backend lists no model. Get one, such as by <code>ollama pull llama3.2</code>.</p>;
}

/** The exchanges of a time that count for none of the models in a list. */
export function Others({ of: { others } }: { of: Models }) {
  const { total_requests: requests, prompt_tokens: prompt, cold_starts: loads, models } = others;
  if (!requests) return null;
  const parts = [`${as.count(requests)} requests`, ...(prompt ? [`${as.count(prompt)} prompt tokens`] : []), ...(loads ? [`${as.count(loads)} cold starts`] : [])];
  const names = models?.length ? `models that no backend lists now (${models.join(", ")})` : "no model of this list";
  return <p class="note">Besides, {parts.join(", ")} of {names}{models?.length ? ", or of none" : ""}, such as a list of models.</p>;
}
