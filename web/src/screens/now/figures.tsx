// Six figures, each with the time that it is of, and their last hour.
import type { ComponentChildren } from "preact";
import { moment, useTopic } from "../../lib/live.ts";
import { type Asked } from "../../lib/api.ts";
import { finished } from "../../lib/finished.ts";
import * as as from "../../lib/format.ts";
import { clock } from "../../lib/kept.ts";
import { format, link, route } from "../../lib/route.ts";
import { lastAt, perToken, sum } from "../../lib/summary.ts";
import { time } from "../../lib/time.ts";
import { newestOf, whyNone } from "../../lib/tokens.ts";
import type { InFlight, Series, Stats } from "../../lib/types.ts";
import { sentence, why } from "../../lib/unknown.ts";
import type { Colour } from "../../parts/colours.ts";
import { Spark } from "../../parts/spark.tsx";
import { Dash, Value } from "../../parts/value.tsx";
import { power } from "./power.ts";

interface FigureProps {
  title: string;
  /** The time that the figure is of. */
  window: string;
  to: string;
  children: ComponentChildren;
  note: ComponentChildren;
  spark: readonly (number | null)[];
  colour: Colour;
}

function Figure({ title, window, to, children, note, spark, colour }: FigureProps) {
  return (
    <div class="figure" role="group" aria-label={title}>
      <h2><a href={to}>{title}</a> <small>{window}</small></h2>
      <p class="big">{children}</p>
      <p class="note">{note}</p>
      <Spark values={spark} colour={colour} label={`${title} over time`} />
    </div>
  );
}

type Of = (metric: string) => readonly (number | null)[];

const valuesOf = (series: Series | undefined, metric: string) => series?.series.find((one) => one.metric === metric)?.values ?? [];
const HOUR = "last hour";
/** What the share of failures counts, whatever range the charts have. */
const toFailed = (): string => format({ ...route.value, screen: "exchanges", range: { period: "1h" }, own: { failed: "true", inference: "true" } });
const WAITS = "The program has not answered yet.";

interface FiguresProps {
  /** Of the last hour, whatever the range of the charts is. */
  hour: Asked<Series>;
  /** The same, or the last minutes in shorter intervals where the program has just begun. */
  recent: Asked<Series>;
  /** Generations and embeddings of the last hour. */
  tasks: Asked<Series>;
}

export function Figures({ hour, recent, tasks }: FiguresProps) {
  const stats = useTopic<Stats>("stats");
  // The same number as the list below has.
  const running = useTopic<InFlight>("in_flight")?.count ?? stats?.inference.active_requests;
  const whole = (metric: string) => valuesOf(hour.data, metric);
  const over = recent.data ? finished(recent.data, clock()) : 0;
  // The minute that goes on has too few exchanges for figures that stand still.
  const of = (metric: string) => valuesOf(recent.data, metric).slice(0, over);
  const seconds = recent.data?.interval_seconds ?? 60;
  const newestWindow = seconds === 60 ? "last whole minute" : `last ${as.span(seconds)}`;
  const noHistory = hour.failure?.kind === "unavailable" ? "No history is kept that could tell." : sentence("no_samples");
  const requests = sum(whole("requests"));
  const ofTasks = (metric: string) => valuesOf(tasks.data, metric);
  const [ended, failed, cancelled] = [sum(ofTasks("requests")), sum(ofTasks("failed")), sum(ofTasks("cancelled"))];
  const part = (count: number | null) => (ended && count !== null ? count / ended : null);
  const newest = (metric: string) => newestOf(of(metric), over);
  const [generated, prompt] = [newest("generated_rate"), newest("prompt_tokens")];
  // Where not even requests are known, nothing was written of that time.
  const none = newest("requests") === null ? { why: noHistory, note: null } : whyNone(running);
  const first = lastAt(of("ttft_p50"));
  const at = recent.data?.timestamps[first] ?? 0;
  return (
    <div class="figures">
      <Figure
        title="Requests" window="last minute" to={link("exchanges")} spark={of("request_rate")} colour="requests"
        note={<>{running === undefined ? <Dash why={WAITS} /> : running} in flight{requests !== null && ` · ${as.count(requests)} in 1\u202fh`}</>}
      >
        <Value of={stats?.inference.requests_per_second} as={as.perSecond} why={stats ? why(stats, "/inference/requests_per_second") : undefined} />
      </Figure>
      <Figure
        title="Generated" window={newestWindow} to={link("models")} spark={of("generated_rate")} colour="generated"
        note={generated === null && prompt === null && none.note ? none.note : <>prompts <Value of={prompt} as={(value) => as.tokensPerSecond(value / seconds)} why={none.why} /></>}
      >
        <Value of={generated} as={as.tokensPerSecond} why={none.why} />
      </Figure>
      <Figure
        title="First token" window={first < 0 || first === over - 1 ? newestWindow : `at ${time(at)}`} to={link("models")} spark={of("ttft_p95")} colour="prompt"
        note={<>median · p95 <b><Value of={of("ttft_p95")[first]} as={as.duration} why={noHistory} /></b></>}
      >
        <Value of={of("ttft_p50")[first]} as={as.duration} why={noHistory} />
      </Figure>
      <Figure
        title="Failed" window={HOUR} to={toFailed()} spark={ofTasks("failed").slice(0, tasks.data ? finished(tasks.data, clock()) : 0)} colour="failed"
        note={<>{failed !== null && <span title="generations and embeddings that failed, of all of them">{as.count(failed)} / {as.count(ended ?? 0)} · </span>}<Value of={part(cancelled)} as={as.wholeShare} why={noHistory} /> cancelled</>}
      >
        <span class={part(failed) ? "bad" : ""}><Value of={part(failed)} as={as.share} why={noHistory} /></span>
      </Figure>
      <Hardware stats={stats} of={of} />
      <CostFigure hour={hour} of={of} whole={whole} />
    </div>
  );
}

const mean = (values: (number | null)[]): number | null => {
  const known = values.filter((value): value is number => value !== null);
  return known.length ? known.reduce((all, value) => all + value, 0) / known.length : null;
};

/** `3 of 24 GiB`; nothing where a part is unknown. */
const filled = (used: number | null | undefined, total: number | null | undefined): string =>
  used == null || total == null ? "" : `${as.number(used)} of ${as.gib(total)}`;

const GIB = 1024;
const gib = (mib: number | null): number | null => (mib === null ? null : mib / GIB);

function Hardware({ stats, of }: { stats: Stats | undefined; of: Of }) {
  const gpus = stats?.gpu.devices ?? [];
  const system = stats?.system;
  const gpuUse = mean(gpus.map((gpu) => gpu.utilization_percent));
  const hasGpu = gpus.length > 0;
  const use = hasGpu ? gpuUse : system?.cpu_usage_percent;
  const memory = hasGpu
    ? filled(gib(sum(gpus.map((gpu) => gpu.memory_used_mb))), gib(sum(gpus.map((gpu) => gpu.memory_total_mb))))
    : filled(system?.memory_used_gb, system?.memory_total_gb);
  // The power of some GPUs would look like that of all.
  const each = gpus.map((gpu) => gpu.power_usage_watts ?? null);
  const drawn = hasGpu ? (each.includes(null) ? null : sum(each)) : power(of).cpu;
  const note = [memory ? `${hasGpu ? "VRAM" : "RAM"} ${memory}` : "memory unknown", ...(drawn === null ? [] : [as.watts(drawn)])].join(" · ");
  return (
    <Figure
      title={hasGpu ? (gpus.length > 1 ? `${gpus.length} GPUs` : "GPU") : "Processors"} window={moment()} to={link("machines")} spark={of(hasGpu ? "gpu_percent" : "cpu_percent")} colour={hasGpu ? "gpu" : "host"}
      note={<span title={memory ? `memory in use: ${note}` : why(stats, hasGpu ? "/gpu/devices/0/memory_used_mb" : "/system/memory_used_gb")}>{stats ? note : <Dash why={WAITS} />}</span>}
    >
      <Value of={use} as={as.percent} why={stats ? why(stats, hasGpu ? "/gpu/devices/0/utilization_percent" : "/system/cpu_usage_percent") : undefined} />
    </Figure>
  );
}

function CostFigure({ hour, of, whole }: { hour: Asked<Series>; of: Of; whole: Of }) {
  const cost = sum(whole("cost"));
  const { all: total } = power(of);
  const joules = perToken(whole("energy"), whole("generated_tokens"));
  const tokens = sum(whole("generated_tokens"));
  if (cost !== null && cost > 0) {
    return (
      <Figure title="Cost" window={HOUR} to={link("cost")} spark={of("cost")} colour="cost" note={<>{tokens ? `${as.number((cost / tokens) * 1e6)} a million tokens` : "in the prices' currency"}</>}>
        {as.number(cost)}
      </Figure>
    );
  }
  const noPower = "Neither a GPU nor the helper reports power. Install inferometer-helper, or set prices.";
  const noTokens = hour.failure ? "No history is kept that could tell." : "Nothing was generated in the last hour while power was measured.";
  return (
    <Figure title="Energy" window={HOUR} to={link("cost")} spark={of("energy_per_token")} colour="cost" note="a generated token">
      <Value of={joules} as={as.joules} why={total === null ? noPower : noTokens} />
    </Figure>
  );
}
