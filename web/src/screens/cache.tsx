// What the backends keep: models in memory, and prompts that they have read before.
import { url, useAsk } from "../lib/api.ts";
import * as as from "../lib/format.ts";
import { parameters, windowOf } from "../lib/ranges.ts";
import { route } from "../lib/route.ts";
import type { Model, Models } from "../lib/types.ts";
import { whyKept, type Unknown } from "../lib/unknown.ts";
import { FactList, Facts } from "../parts/facts.tsx";
import { Loaded, Panel } from "../parts/panel.tsx";
import { SeriesPanel, useSeries, type Shown } from "../parts/series.tsx";
import { Table, type Column } from "../parts/table.tsx";
import { Value } from "../parts/value.tsx";
import { NoModels, Others } from "../parts/backends.tsx";

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
  const found = useAsk<Answer>(url("/dashboard/cache", parameters(route.value.range)), 10);
  const series = useSeries(["cached_percent", "prompt_tokens", "cached_tokens", "cold_starts", "requests"]);
  return (
    <>
      {found.data ? <Kinds answer={found.data} /> : <Panel title="Caches" window={windowOf(route.value.range)}><Loaded of={found}>{() => null}</Loaded></Panel>}
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
  const window = windowOf(route.value.range);
  const { model, prompt, response } = answer.cache_types;
  const fact = (name: string, value: Known, pointer: string, write: (value: number) => string) =>
    ({ name, value: <Value of={value} as={write} why={whyKept(answer, pointer)} /> });
  const verdict = prompt.hit_rate !== null
    ? <>{good(prompt.hit_rate)} {as.share(prompt.hit_rate)} of the prompt tokens of this time were read from a cache and not computed again.</>
    : prompt.prompt_tokens
      ? <>It cannot be told here: no backend reported which prompt tokens it read from its cache. Ollama does not; llama.cpp, vLLM and OpenAI's servers do.</>
      : whyKept(answer, "/cache_types/prompt/prompt_tokens");
  return (
    <div class="row three">
      <Panel title="Prompts" window={window}>
        <p class="sentence">{verdict}</p>
        <FactList facts={[fact("prompt tokens", prompt.prompt_tokens, "/cache_types/prompt/prompt_tokens", as.count), fact("cached", prompt.cached_tokens, "/cache_types/prompt/cached_tokens", as.count)]} />
      </Panel>
      <Facts title="Models in memory" window={window} facts={[
        fact("requests that found theirs", model.hit_rate, "/cache_types/model/hit_rate", as.share),
        fact("that had to load it", answer.performance.cache_misses, "/performance/cache_misses", as.count),
        fact("unloaded for another", answer.performance.cache_evictions, "/performance/cache_evictions", as.count),
        fact("in memory now", model.entries, "/cache_types/model/entries", as.count),
        fact("memory they take now", model.size_mb, "/cache_types/model/size_mb", as.mib),
        fact("memory there is", model.max_size_mb, "/cache_types/model/max_size_mb", as.mib),
      ]} />
      <Panel title="Answers" window={window}>
        {response.enabled
          ? <p class="sentence"><Value of={response.hit_rate} as={as.share} why={whyKept(answer, "/cache_types/response/hit_rate")} /> of the requests were answered from kept answers.</p>
          : <p class="empty">No answers are kept: each request is answered by a backend. That is how it should be for a transparent proxy, and there is no setting that changes it in this version.</p>}
      </Panel>
    </div>
  );
}

function ByModel() {
  const { range } = route.value;
  const found = useAsk<Models>(url("/dashboard/models", parameters(range)), 10);
  return (
    <Panel title="By model" window={windowOf(range)}>
      <Loaded of={found}>{(answer) => <Compared answer={answer} />}</Loaded>
    </Panel>
  );
}

function Compared({ answer }: { answer: Models }) {
  const { models } = answer;
  const place = new Map(models.map((model, at) => [model, at]));
  const reason = (model: Model, pointer: string) => whyKept(answer, `/models/${place.get(model)}/performance/${pointer}`);
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
    <>
      <Table caption="Caches by model" columns={columns} rows={models} id={(model) => `${model.backend}/${model.name}`} empty={<NoModels />} />
      <Others of={answer} />
    </>
  );
}
