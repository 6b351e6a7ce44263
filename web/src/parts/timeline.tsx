// The steps of an exchange, one below the other, each as long as it took.
import * as as from "../lib/format.ts";
import type { Step } from "../lib/types.ts";

const WORDS: Record<string, string> = {
  queue: "waits for a place", connect: "connects", upload: "sends the request", wait: "waits for an answer", load: "loads the model",
  prefill: "reads the prompt", generate: "generates", answer: "answers",
};

export function Timeline({ steps, whole }: { steps: readonly Step[]; whole: number }) {
  const length = Math.max(whole, ...steps.map((step) => step.to_ms), 0.001);
  const at = (ms: number) => `${(ms / length) * 100}%`;
  const anyEstimate = steps.some((step) => step.placed_by_estimate);
  return (
    <>
      <ol class="timeline">
        {steps.map((step) => {
          const took = step.to_ms - step.from_ms;
          return (
            <li key={`${step.step}${step.from_ms}`}>
              <span class="step">{step.step}{step.placed_by_estimate ? " *" : ""}<small>{WORDS[step.step] ?? ""}</small></span>
              <span class="lane">
                <i class={`span ${step.step}`} style={{ left: at(step.from_ms), width: at(took) }} />
              </span>
              <span class="n">{as.duration(took)}</span>
              <span class="n share">{as.percent((took / length) * 100)}</span>
            </li>
          );
        })}
      </ol>
      {anyEstimate && <p class="note">* as long as the backend reported; where it stood is an estimate.</p>}
    </>
  );
}
