// What the backends keep: models in memory, and prompts that they have read before.
import { useAsk } from "../lib/api.ts";
import { useTopic } from "../lib/live.ts";
import * as as from "../lib/format.ts";
import { DAY } from "../lib/ranges.ts";
import type { Model, Models } from "../lib/types.ts";
import { why, type Unknown } from "../lib/unknown.ts";
import { Loaded, Panel } from "../parts/panel.tsx";
import { SeriesPanel, useSeries, type Shown } from "../parts/series.tsx";
import { Table, type Column } from "../parts/table.tsx";
import { Value } from "../parts/value.tsx";
import { Facts } from "./exchange.tsx";

type Known = number | null;

interface Answer {
  cache_types: {
    model: { enabled: boolean; hit_rate: Known; entries: Known; size_mb: Known; max_size_mb: Known };
    prompt: { enabled: boolean; hit_rate: Known; prompt_tokens: Known; cached_tokens: Known };
    response: { enabled: boolean; hit_rate: Known; entries: Known };
    metadata: { entries: Known };
  };
  performance: { cache_misses: Known; cache_evictions: Known };
  unknown?: Unknown;
}

const SHARE: Shown[] = [{ metric: "cached_percent", label: "of the prompt tokens", fill: true, colour: "cached" }];
const TOKENS: Shown[] = [
  { metric: "prompt_tokens", label: "prompt tokens", colour: "prompt" },
  { metric: "cached_tokens", label: "of these cached", colour: "cached", fill: true },
];
const COLD: Shown[] = [
  { metric: "cold_starts", label: "cold starts", colour: "load", fill: true },
  { metric: "requests", label: "requests", colour: "requests", dash: 1 },
];

export function Cache() {
  const found = useAsk<Answer>("/dashboard/cache", 10);
  const series = useSeries(["cached_percent", "prompt_tokens", "cached_tokens", "cold_starts", "requests"]);
  return (
    <>
      <Loaded of={found}>{(answer) => <Kinds answer={answer} />}</Loaded>
      <div class="row three">
        <SeriesPanel title="Prompt cache" note="share of tokens read from it" of={series} lines={SHARE} />
        <SeriesPanel title="Prompt tokens" of={series} lines={TOKENS} />
        <SeriesPanel title="Cold starts" note="requests that waited for a load" of={series} lines={COLD} />
      </div>
      <ByModel />
    </>
  );
}

/** Whether it is any good, in words. */
const good = (share: number): string => (share >= 0.5 ? "It pays:" : share >= 0.1 ? "It helps a little:" : "It does next to nothing:");

function Kinds({ answer }: { answer: Answer }) {
  const { model, prompt, response } = answer.cache_types;
  const fact = (name: string, value: Known, pointer: string, write: (value: number) => string) =>
    ({ name, value: <Value of={value} as={write} why={why(answer, pointer)} /> });
  const verdict = prompt.hit_rate === null
    ? prompt.prompt_tokens
      ? <>It cannot be told here: no backend reported which prompt tokens it read from its cache. Ollama does not; llama.cpp, vLLM and OpenAI's servers do.</>
      : <>Nothing was asked in the last 24 hours that could tell.</>
    : <>{good(prompt.hit_rate)} {as.share(prompt.hit_rate)} of the prompt tokens of the last 24 hours were read from a cache and not computed again.</>;
  return (
    <div class="row three">
      <Panel title="Prompts" window={DAY}>
        <p class="sentence">{verdict}</p>
        <dl class="facts">
          {[fact("prompt tokens", prompt.prompt_tokens, "/cache_types/prompt/prompt_tokens", as.count), fact("cached", prompt.cached_tokens, "/cache_types/prompt/cached_tokens", as.count)].map((one) => <div key={one.name}><dt>{one.name}</dt><dd>{one.value}</dd></div>)}
        </dl>
      </Panel>
      <Facts title="Models in memory" window={DAY} facts={[
        fact("requests that found theirs", model.hit_rate, "/cache_types/model/hit_rate", as.share),
        fact("that had to load it", answer.performance.cache_misses, "/performance/cache_misses", as.count),
        fact("unloaded for another", answer.performance.cache_evictions, "/performance/cache_evictions", as.count),
        fact("in memory", model.entries, "/cache_types/model/entries", as.count),
        fact("memory they take", model.size_mb, "/cache_types/model/size_mb", as.mib),
        fact("memory there is", model.max_size_mb, "/cache_types/model/max_size_mb", as.mib),
      ]} />
      <Panel title="Answers" window={DAY}>
        {response.enabled
          ? <p class="sentence"><Value of={response.hit_rate} as={as.share} why={why(answer, "/cache_types/response/hit_rate")} /> of the requests were answered from kept answers.</p>
          : <p class="empty">No answers are kept: each request is answered by a backend. That is how it should be for a transparent proxy, and there is no setting that changes it in this version.</p>}
      </Panel>
    </div>
  );
}

function ByModel() {
  const answer = useTopic<Models>("models");
  const models = answer?.models ?? [];
  const place = new Map(models.map((model, at) => [model, at]));
  const reason = (model: Model, pointer: string) => why(answer, `/models/${place.get(model)}/performance/${pointer}`);
  const columns: Column<Model>[] = [
    { name: "model", class: "name", cell: (model) => model.name },
    ...(new Set(models.map((model) => model.backend)).size > 1 ? [{ name: "backend", cell: (model: Model) => model.backend }] : []),
    { name: "prompt tokens", number: true, cell: (model) => <Value of={model.performance.prompt_tokens} as={as.count} why={reason(model, "prompt_tokens")} /> },
    { name: "of these cached", number: true, cell: (model) => <Value of={model.performance.cache_hit_rate} as={as.share} why={reason(model, "cache_hit_rate")} /> },
    { name: "cold starts", number: true, cell: (model) => <Value of={model.performance.cold_starts} as={as.count} why={reason(model, "cold_starts")} /> },
    { name: "requests", number: true, cell: (model) => <Value of={model.performance.total_requests} as={as.count} why={reason(model, "total_requests")} /> },
    { name: "load, median", number: true, cell: (model) => <Value of={model.performance.load_ms.p50} as={as.duration} why={reason(model, "load_ms/p50")} /> },
  ];
  return (
    <Panel title="By model" window={DAY}>
      <Table caption="Caches by model" columns={columns} rows={models} id={(model) => `${model.backend}/${model.name}`} empty="The backend lists no model." />
    </Panel>
  );
}
