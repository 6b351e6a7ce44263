// Six figures with their last hour.
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { useTopic } from "../../lib/live.ts";
import { type Asked } from "../../lib/api.ts";
import * as as from "../../lib/format.ts";
import { link } from "../../lib/route.ts";
import { last, perToken, sum } from "../../lib/summary.ts";
import type { InFlight, Series, Stats } from "../../lib/types.ts";
import { sentence, why } from "../../lib/unknown.ts";
import type { Colour } from "../../parts/colours.ts";
import { Spark } from "../../parts/spark.tsx";
import { Value } from "../../parts/value.tsx";
import { power } from "./power.ts";

interface FigureProps {
  title: string;
  to: string;
  children: ComponentChildren;
  note: ComponentChildren;
  spark: readonly (number | null)[];
  colour: Colour;
}

function Figure({ title, to, children, note, spark, colour }: FigureProps) {
  return (
    <div class="figure" role="group" aria-label={title}>
      <h2><a href={to}>{title}</a></h2>
      <p class="big">{children}</p>
      <p class="note">{note}</p>
      <Spark colour={colour} values={spark} label={`${title}, in the last hour`} />
    </div>
  );
}

type Of = (metric: string) => readonly (number | null)[];

const NONE: (number | null)[] = [];

export function Figures({ series }: { series: Asked<Series> }) {
  const stats = useTopic<Stats>("stats");
  // The same number as the list below has.
  const running = useTopic<InFlight>("in_flight")?.count ?? stats?.inference.active_requests;
  const of = (metric: string) => series.data?.series.find((one) => one.metric === metric)?.values ?? NONE;
  const seconds = series.data?.interval_seconds ?? 60;
  const noHistory = series.failure?.kind === "unavailable" ? "No history is kept that could tell." : sentence("no_samples");
  const requests = sum(of("requests"));
  const [failed, cancelled] = [sum(of("failed")), sum(of("cancelled"))];
  const part = (count: number | null) => (requests && count !== null ? count / requests : null);
  const rate = stats?.inference.requests_per_second;
  const within = (count: number | null) => (count === null ? "" : `${as.count(count)} in 1\u202fh`);
  // The minute that goes on has too few exchanges for percentiles that stand still.
  const recent = (metric: string) => last(of(metric).slice(0, -1)) ?? last(of(metric));
  const prompt = recent("prompt_tokens");
  return (
    <div class="figures">
      <Figure
        title="Requests" to={link("exchanges")} spark={of("request_rate")} colour="requests"
        note={<>{running === undefined ? "…" : `${running} in flight`} · {within(requests)}</>}
      >
        <Value of={rate} as={as.perSecond} why={stats ? why(stats, "/inference/requests_per_second") : undefined} />
      </Figure>
      <Figure
        title="Tokens" to={link("models")} spark={of("generated_rate")} colour="generated"
        note={<>out · <Value of={prompt} as={(value) => as.tokensPerSecond(value / seconds)} why={noHistory} /> in</>}
      >
        <Value of={recent("generated_rate")} as={as.tokensPerSecond} why={noHistory} />
      </Figure>
      <Figure
        title="First token" to={link("models")} spark={of("ttft_p95")} colour="prompt"
        note={<>p50 · p95 <b><Value of={recent("ttft_p95")} as={as.duration} why={noHistory} /></b></>}
      >
        <Value of={recent("ttft_p50")} as={as.duration} why={noHistory} />
      </Figure>
      <Figure
        title="Failed" to={link("exchanges", undefined, { failed: "true" })} spark={of("failed")} colour="failed"
        note={<>{within(failed)} · <Value of={part(cancelled)} as={as.share} why={noHistory} /> cancelled</>}
      >
        <span class={part(failed) ? "bad" : ""}><Value of={part(failed)} as={as.share} why={noHistory} /></span>
      </Figure>
      <Hardware stats={stats} of={of} />
      <CostFigure series={series} of={of} />
    </div>
  );
}

/** What the page has seen of a figure that nobody keeps: at most an hour of it. */
function useSeen(value: number | null | undefined, stamp: string | undefined): (number | null)[] {
  const seen = useRef<(number | null)[]>([]);
  useEffect(() => {
    if (stamp === undefined) return;
    seen.current.push(value ?? null);
    if (seen.current.length > 1800) seen.current.shift();
  }, [stamp]);
  return seen.current;
}

const mean = (values: (number | null)[]): number | null => {
  const known = values.filter((value): value is number => value !== null);
  return known.length ? known.reduce((all, value) => all + value, 0) / known.length : null;
};

function Hardware({ stats, of }: { stats: Stats | undefined; of: Of }) {
  const gpus = stats?.gpu.devices ?? [];
  const system = stats?.system;
  const gpuUse = mean(gpus.map((gpu) => gpu.utilization_percent));
  const used = sum(gpus.map((gpu) => gpu.memory_used_mb));
  const total = sum(gpus.map((gpu) => gpu.memory_total_mb));
  const watts = power(of);
  const hasGpu = gpus.length > 0;
  const use = hasGpu ? gpuUse : system?.cpu_usage_percent;
  const seen = useSeen(use, stats?.timestamp);
  const cpuWhy = why(stats, hasGpu ? "/gpu/devices/0/utilization_percent" : "/system/cpu_usage_percent");
  return (
    <Figure
      title={hasGpu ? (gpus.length > 1 ? `${gpus.length} GPUs` : "GPU") : "Processor"} to={link("machines")} spark={seen} colour={hasGpu ? "gpu" : "host"}
      note={hasGpu
        ? [total === null || used === null ? "" : `${as.mib(used)} of ${as.mib(total)}`, watts.gpu === null ? "" : as.watts(watts.gpu)].filter(Boolean).join(" · ") || "its memory is not reported"
        : <><Value of={system?.memory_used_gb} as={as.gib} why={why(stats, "/system/memory_used_gb")} /> of <Value of={system?.memory_total_gb} as={as.gib} />{watts.cpu !== null && <> · {as.watts(watts.cpu)}</>}</>}
    >
      <Value of={use} as={as.percent} why={stats ? cpuWhy : undefined} />
    </Figure>
  );
}

function CostFigure({ series, of }: { series: Asked<Series>; of: Of }) {
  const cost = sum(of("cost"));
  const { all: total } = power(of);
  const joules = perToken(of("energy"), of("generated_tokens"));
  const tokens = sum(of("generated_tokens"));
  if (cost !== null && cost > 0) {
    return (
      <Figure title="Cost" to={link("cost")} spark={of("cost")} colour="cost" note={<>{tokens ? `${as.number((cost / tokens) * 1e6)} a million tokens` : "in the prices' currency"}</>}>
        {as.number(cost)}
      </Figure>
    );
  }
  const noPower = "Neither a GPU nor the helper reports power. Install inferometer-helper, or set prices.";
  const noTokens = series.failure ? "No history is kept that could tell." : "Nothing was generated in the last hour while power was measured.";
  return (
    <Figure title="Energy" to={link("cost")} spark={of("energy_per_token")} colour="cost" note={<>a token in 1&#8239;h{total !== null && <> · {as.watts(total)}</>}</>}>
      <Value of={joules} as={as.joules} why={total === null ? noPower : noTokens} />
    </Figure>
  );
}

