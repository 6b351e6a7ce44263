// The models in memory: how much of it, and until when.
import { useTopic, clockAhead } from "../../lib/live.ts";
import { now } from "../../lib/pace.ts";
import * as as from "../../lib/format.ts";
import { link } from "../../lib/route.ts";
import { sum } from "../../lib/summary.ts";
import type { Model, Models, Stats, Workers } from "../../lib/types.ts";
import { Panel } from "../../parts/panel.tsx";
import { Dash } from "../../parts/value.tsx";
import { At } from "./at.tsx";

const held = (model: Model): number => (model.resource_usage.gpu_memory_usage_mb ?? 0) + (model.resource_usage.memory_usage_mb ?? 0);

export function Memory() {
  const answer = useTopic<Models>("models");
  const workers = useTopic<Workers>("workers")?.workers;
  const total = sum(useTopic<Stats>("stats")?.gpu.devices.map((gpu) => gpu.memory_total_mb) ?? []);
  const loaded = (answer?.models ?? []).map((model, at) => ({ model, at })).filter(({ model }) => model.status === "loaded");
  const all = loaded.reduce((most, { model }) => Math.max(most, held(model)), 0);
  const whole = total ?? all;
  const note = answer ? `${loaded.length} of ${answer.models.length}` : "";
  return (
    <Panel title="In memory" note={note} class="memory">
      {answer === undefined && <p class="empty" aria-busy="true">…</p>}
      {answer && loaded.length === 0 && (
        <p class="empty">{workers?.every((one) => one.status === "down") ? "The backend does not answer, so what it holds is not known." : answer.models.length ? `None of ${answer.models.length} models is in memory: the next request loads its own.` : "The backend lists no model. Try ollama pull llama3.2."}</p>
      )}
      <ul class="rows">
        {loaded.map(({ model, at }) => (
          <li key={`${model.backend}/${model.name}`}>
            <span class="name"><a href={link("models", undefined, {}, { model: model.name })}>{model.name}</a><At backend={model.backend} /></span>
            <span class="n">{held(model) > 0 ? as.mib(held(model)) : <Dash />}</span>
            <span class="n age"><Unload model={model} why={answer?.unknown?.[`/models/${at}/expires_at`]} /></span>
            <Bar gpu={model.resource_usage.gpu_memory_usage_mb ?? 0} main={model.resource_usage.memory_usage_mb ?? 0} whole={whole} known={total !== null} />
          </li>
        ))}
      </ul>
    </Panel>
  );
}

function Unload({ model, why }: { model: Model; why: string | undefined }) {
  if (model.expires_at === null) {
    return why === "not_applicable" ? <span title="It is kept until it is unloaded by hand.">kept</span> : <Dash why="Its backend does not report when it is unloaded." />;
  }
  const left = (Date.parse(model.expires_at) - clockAhead.value - now.value) / 1000;
  return left < 1 ? <span title="It is used at this moment.">in use</span> : <span title="until it is unloaded">{as.span(left)}</span>;
}

function Bar({ gpu, main, whole, known }: { gpu: number; main: number; whole: number; known: boolean }) {
  const width = (part: number) => `${whole > 0 ? Math.min(100, (part / whole) * 100) : 0}%`;
  const text = `${as.mib(gpu)} of GPU memory, ${as.mib(main)} of main memory${known ? `, of ${as.mib(whole)} of GPU memory in all` : ""}`;
  return (
    <span class="meter" role="img" aria-label={text} title={text}>
      <i class="gpu" style={{ width: width(gpu) }} />
      <i class="host" style={{ width: width(main) }} />
    </span>
  );
}
