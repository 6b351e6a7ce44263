// How the models are, beside each other, and one of them over time.
import { useAsk, url } from "../lib/api.ts";
import { useLive, useTopic } from "../lib/live.ts";
import * as as from "../lib/format.ts";
import { RULE, median, verdict, type Level, type Verdict } from "../lib/health.ts";
import { DAY, parameters, windowOf } from "../lib/ranges.ts";
import { go, link, route, setOwn } from "../lib/route.ts";
import { reason, slowest } from "../lib/slowest.ts";
import { full, time } from "../lib/time.ts";
import { backendAmong } from "../lib/names.ts";
import type { Model, Models as Answer, Series, Workers } from "../lib/types.ts";
import { whyKept } from "../lib/unknown.ts";
import { Loaded, Panel } from "../parts/panel.tsx";
import { GroupsPanel, SeriesPanel, useSeries, type Shown } from "../parts/series.tsx";
import { Table, type Column } from "../parts/table.tsx";
import { Chip, Value, type Tone } from "../parts/value.tsx";
import { NoModels, Others } from "../parts/backends.tsx";

const TONES: Record<Level, Tone> = { healthy: "good", degraded: "warn", unhealthy: "bad", unknown: "quiet" };

const METRICS = [
  "requests", "failed", "cancelled", "cold_starts", "ttft_p50", "ttft_p95", "ttft_p99", "duration_p50", "duration_p95", "duration_p99",
  "tps_p50", "generated_tokens", "prompt_tokens", "load_p50",
];
const REQUESTS: Shown[] = [
  { metric: "requests", label: "requests", fill: true, colour: "requests" },
  { metric: "failed", label: "failed", colour: "failed" },
  { metric: "cold_starts", label: "cold starts", colour: "load", dash: 1 },
];
const FIRST: Shown[] = [
  { metric: "ttft_p50", label: "p50", colour: "prompt" },
  { metric: "ttft_p95", label: "p95", colour: "prompt", dash: 1 },
  { metric: "ttft_p99", label: "p99", colour: "prompt", dash: 2 },
];
const WHOLE: Shown[] = [
  { metric: "duration_p50", label: "p50", colour: "whole" },
  { metric: "duration_p95", label: "p95", colour: "whole", dash: 1 },
  { metric: "duration_p99", label: "p99", colour: "whole", dash: 2 },
];
const SPEED: Shown[] = [{ metric: "tps_p50", label: "decode speed, median", colour: "generated" }];
const TOKENS: Shown[] = [
  { metric: "generated_tokens", label: "generated", colour: "generated", fill: true },
  { metric: "prompt_tokens", label: "prompt", colour: "prompt" },
];

export function Models() {
  const found = useLive<Answer>("models");
  const chosen = route.value.filters.model;
  return (
    <>
      <Panel title="Health" window={DAY}>
        <Loaded of={found}>{(answer) => <Health answer={answer} chosen={chosen} />}</Loaded>
      </Panel>
      <Comparison />
      <OverTime chosen={chosen} />
    </>
  );
}

function Health({ answer, chosen }: { answer: Answer; chosen: string | undefined }) {
  const workers = useTopic<Workers>("workers")?.workers;
  const up = (model: Model) => {
    const found = workers?.find((one) => one.id === model.backend);
    return found && found.status !== "unknown" ? found.status === "active" : undefined;
  };
  const usual = useUsual(chosen);
  const judged = answer.models.map((model, at) => ({
    model, at, verdict: verdict(model, up(model), model.name === chosen ? usual : undefined),
  }));
  const used = judged.filter(({ model }) => (model.performance.total_requests ?? 0) > 0 || model.status !== "available");
  const cards = (used.length ? used : judged).sort((a, b) => (b.model.performance.total_requests ?? 0) - (a.model.performance.total_requests ?? 0));
  return (
    <>
      {cards.length === 0 && <NoModels />}
      <ul class="cards">
        {cards.map(({ model, at, verdict }) => <Card key={`${model.backend}/${model.name}`} model={model} verdict={verdict} answer={answer} at={at} chosen={model.name === chosen} backend={backendAmong(model, answer.models)} />)}
      </ul>
      <Slowest models={answer.models} />
      <details class="rule"><summary>The rule</summary><p>{RULE}</p></details>
    </>
  );
}

/** The first question that is asked of this screen. */
function Slowest({ models }: { models: readonly Model[] }) {
  const found = slowest(models);
  if (!found) return null;
  const others = models.filter((one) => one !== found.model && (one.performance.total_requests ?? 0) > 0);
  const called = (model: Model) => [model.name, backendAmong(model, models)].filter(Boolean).join(" on ");
  const few = found.left.map(({ model, whole }) => `${called(model)} takes longer still (half of its ${as.count(model.performance.total_requests ?? 0)} answers ${as.duration(whole)} or more)`);
  return (
    <p class="sentence">
      The slowest is <a href={link("models", undefined, {}, { model: found.model.name })}>{called(found.model)}</a>: half of its answers take {as.duration(found.whole)} or more, because {reason(found.model, others)}.
      {few.length > 0 && ` ${few.join(", ")}, but so few do not tell.`}
    </p>
  );
}

/** The median of the last days' warm p95 to the first token, of the model that is looked at. */
function useUsual(model: string | undefined): number | undefined {
  const path = model ? url("/dashboard/series", { metrics: "ttft_warm_p95", period: "7d", interval: "1d", model }) : null;
  const days = useAsk<Series>(path, 600).data?.series[0]?.values.slice(0, -1);
  return days ? median(days) : undefined;
}

function Card({ model, verdict, answer, at, chosen, backend }: { model: Model; verdict: Verdict; answer: Answer; at: number; chosen: boolean; backend: string | undefined }) {
  const { performance: done } = model;
  const reason = (pointer: string) => whyKept(answer, `/models/${at}/${pointer}`);
  const filters = { ...route.value.filters, model: chosen ? "" : model.name };
  return (
    <li class={`card${chosen ? " chosen" : ""}`}>
      <header>
        <button type="button" class="name" aria-pressed={chosen} title={chosen ? "Show all models" : "Show this one over time"} onClick={() => go({ filters })}>{model.name}{backend !== undefined && <small class="at"> on {backend}</small>}</button>
        <Chip tone={TONES[verdict.level]} title={verdict.because}>{verdict.level}</Chip>
      </header>
      <p class="note">{verdict.because}</p>
      <dl>
        <div><dt>availability</dt><dd><Value of={verdict.availability ?? null} as={(value) => as.percent(Math.floor(value * 10_000) / 100)} why={done.total_requests === null ? reason("performance/total_requests") : "Nothing ended in the last 24 hours that could tell."} /></dd></div>
        <div><dt>requests</dt><dd><Value of={done.total_requests} as={as.count} why={reason("performance/total_requests")} /></dd></div>
        <div><dt>first token p95</dt><dd><Value of={done.time_to_first_token_ms.p95} as={as.duration} why={reason("performance/time_to_first_token_ms/p95")} /></dd></div>
        <div><dt>decode speed</dt><dd><Value of={done.average_tokens_per_second} as={as.tokensPerSecond} why={reason("performance/average_tokens_per_second")} /></dd></div>
        <div><dt>cold starts</dt><dd><Value of={done.cold_starts} as={as.count} why={reason("performance/cold_starts")} /></dd></div>
        <div><dt>{STATES[model.status] ?? model.status}, last loaded</dt><dd><Value of={model.last_loaded_at} as={(at) => <span title={full(at)}>{time(at)}</span>} why={NEVER_LOADED} /></dd></div>
      </dl>
    </li>
  );
}

/** Whether it is in memory. */
const STATES: Record<string, string> = { loaded: "in memory", available: "not in memory", unavailable: "backend is down" };

const NEVER_LOADED = "It was not seen to be loaded since this program looks, or in the last 30 days.";

type Sort = "requests" | "first" | "whole" | "speed" | "failed" | "cold" | "tokens";

const KEYS: Record<Sort, (model: Model) => number | null> = {
  requests: ({ performance: of }) => of.total_requests,
  first: ({ performance: of }) => of.time_to_first_token_ms.p95,
  whole: ({ performance: of }) => of.latency_ms.p95,
  speed: ({ performance: of }) => of.average_tokens_per_second,
  failed: ({ performance: of }) => of.error_rate,
  cold: ({ performance: of }) => of.cold_starts,
  tokens: ({ performance: of }) => of.generated_tokens,
};

const SORTS: [Sort, string][] = [
  ["requests", "most requests"], ["first", "slowest first token"], ["whole", "slowest whole answer"], ["speed", "fastest decode"], ["failed", "most failures"],
  ["cold", "most cold starts"], ["tokens", "most tokens"],
];

function sorted(): Sort {
  const own = route.value.own["sort"] ?? "";
  return own in KEYS ? (own as Sort) : "requests";
}

const weights = ({ metadata: of }: Model) => [of.architecture, of.parameters, of.quantization].filter(Boolean).join(" ");

/** Of the range that is chosen; health is of a day by its rule. */
function Comparison() {
  const { range } = route.value;
  const found = useAsk<Answer>(url("/dashboard/models", parameters(range)), 10);
  const sort = sorted();
  return (
    <Panel title="Models compared" window={windowOf(range)} note={<label>by <select aria-label="Order" value={sort} onChange={(event) => setOwn("sort", event.currentTarget.value === "requests" ? undefined : event.currentTarget.value)}>
      {SORTS.map(([name, text]) => <option key={name} value={name}>{text}</option>)}
    </select></label>}>
      <Loaded of={found}>{(answer) => <Compared answer={answer} sort={sort} />}</Loaded>
    </Panel>
  );
}

function Compared({ answer, sort }: { answer: Answer; sort: Sort }) {
  const key = KEYS[sort];
  const place = new Map(answer.models.map((model, at) => [model, at]));
  const rows = [...answer.models].sort((a, b) => (key(b) ?? -1) - (key(a) ?? -1));
  const three = (name: string, of: (model: Model) => Model["performance"]["latency_ms"], pointer: string): Column<Model> => ({
    name, number: true, class: "three",
    cell: (model) => {
      const { p50, p95, p99 } = of(model);
      if (p50 === null) return <Value of={null} why={whyKept(answer, `/models/${place.get(model)}/performance/${pointer}/p50`)} />;
      return <>{[p50, p95, p99].map((value, at) => <span key={at}>{value === null ? "–" : as.duration(value)}</span>)}</>;
    },
  });
  const figure = (name: string, of: (model: Model) => number | null, write: (value: number) => string, pointer: string): Column<Model> => ({
    name, number: true, cell: (model) => <Value of={of(model)} as={write} why={whyKept(answer, `/models/${place.get(model)}/${pointer}`)} />,
  });
  const columns: Column<Model>[] = [
    { name: "model", class: "name", cell: (model) => <a href={link("models", undefined, route.value.own, { model: model.name })} title={weights(model)}>{model.name}</a> },
    ...(new Set(answer.models.map((model) => model.backend)).size > 1 ? [{ name: "backend", class: "name", cell: (model: Model) => model.backend }] : []),
    figure("requests", (model) => model.performance.total_requests, as.count, "performance/total_requests"),
    three("first token p50 p95 p99", (model) => model.performance.time_to_first_token_ms, "time_to_first_token_ms"),
    { ...three("whole answer p50 p95 p99", (model) => model.performance.latency_ms, "latency_ms"), title: "Of generations, those that a client left before the end among them." },
    figure("tok/s", (model) => model.performance.average_tokens_per_second, as.number, "performance/average_tokens_per_second"),
    figure("failed", (model) => model.performance.error_rate, as.share, "performance/error_rate"),
    { ...figure("truncated", (model) => model.performance.truncated_requests, as.count, "performance/truncated_requests"), title: "They are among those that failed." },
    figure("cancelled", (model) => model.performance.cancelled_requests, as.count, "performance/cancelled_requests"),
    figure("cold starts", (model) => model.performance.cold_starts, as.count, "performance/cold_starts"),
    { name: "last loaded", cell: (model) => <Value of={model.last_loaded_at} as={(at) => <span title={full(at)}>{time(at)}</span>} why={NEVER_LOADED} />, class: "when" },
    figure("tokens out", (model) => model.performance.generated_tokens, as.count, "performance/generated_tokens"),
    ...(answer.models.some((model) => model.performance.cache_hit_rate !== null)
      ? [figure("prompt cached", (model) => model.performance.cache_hit_rate, as.share, "performance/cache_hit_rate")] : []),
    { name: "size", number: true, cell: (model) => <Value of={model.size_bytes} as={as.bytes} why="Its backend does not report it." /> },
  ];
  return (
    <>
      <Table caption="Models beside each other" columns={columns} rows={rows} id={(model) => `${model.backend}/${model.name}`} empty={<NoModels />} />
      <Others of={answer} />
    </>
  );
}

function OverTime({ chosen }: { chosen: string | undefined }) {
  const series = useSeries(METRICS, {}, 15);
  const of = chosen ?? "all models";
  return (
    <>
      {!chosen && (
        <div class="row two">
          <GroupsPanel title="Use by model" note="requests in flight, on average" metric="active" by="model" unit="number" />
          <GroupsPanel title="Tokens by model" note="generated a second" metric="generated_rate" by="model" />
        </div>
      )}
      <div class="row three">
        <SeriesPanel title="Requests" note={of} of={series} lines={REQUESTS} />
        <SeriesPanel title="First token" note={of} of={series} lines={FIRST} />
        <SeriesPanel title="Whole answer" note={of} of={series} lines={WHOLE} />
      </div>
      <div class="row two">
        <SeriesPanel title="Decode speed" note={of} of={series} lines={SPEED} />
        <SeriesPanel title="Tokens" note={of} of={series} lines={TOKENS} />
      </div>
    </>
  );
}
