// What it cost, as far as that is known: money where there are prices, energy where power is measured.
import * as as from "../lib/format.ts";
import { useTopic } from "../lib/live.ts";
import { useAsk, url } from "../lib/api.ts";
import { parameters } from "../lib/ranges.ts";
import { link, route } from "../lib/route.ts";
import { last, sum } from "../lib/summary.ts";
import type { Exchange, Exchanges, Stats } from "../lib/types.ts";
import { Loaded, Panel } from "../parts/panel.tsx";
import { SeriesPanel, useSeries, type Shown } from "../parts/series.tsx";
import { Table, type Column } from "../parts/table.tsx";
import { Value } from "../parts/value.tsx";
import { Facts } from "./exchange.tsx";
import { usePower } from "./now/power.ts";

const COST: Shown[] = [{ metric: "cost", label: "cost", fill: true, colour: 4 }];
const TOKENS: Shown[] = [
  { metric: "generated_tokens", label: "generated", colour: 3, fill: true },
  { metric: "prompt_tokens", label: "prompt", colour: 6 },
  { metric: "wasted_tokens", label: "for clients that left", colour: 1, dash: true },
];

const LARGEST: Column<Exchange>[] = [
  { name: "model", class: "name", cell: (one) => <a href={link("exchange", one.id)}><Value of={one.model} why="Its model is not known." /></a> },
  { name: "client", cell: (one) => <Value of={one.tenant ?? one.client} why="It named no client." /> },
  { name: "in", number: true, cell: (one) => <Value of={one.tokens.prompt} as={as.count} why="Its backend did not report it." /> },
  { name: "out", number: true, cell: (one) => <Value of={one.tokens.generated} as={as.count} why="Its backend did not report it." /> },
  { name: "took", number: true, cell: (one) => <Value of={one.duration_ms} as={as.duration} /> },
  { name: "cost", number: true, cell: (one) => <Value of={one.cost} as={as.number} why="There are no prices." /> },
];

export function Cost() {
  const series = useSeries(["cost", "generated_tokens", "prompt_tokens", "wasted_tokens", "generated_rate", "requests"]);
  const of = (metric: string) => series.data?.series.find((one) => one.metric === metric)?.values ?? [];
  const cost = sum(of("cost"));
  const isPriced = cost !== null && cost > 0;
  const largest = useAsk<Exchanges>(url("/dashboard/exchanges", { ...parameters(route.value.range), ...route.value.filters, order: isPriced ? "dearest" : "largest", limit: 10 }), 30);
  return (
    <>
      <div class="row three">
        <Panel title="Money">
          {isPriced
            ? <p class="sentence">{as.number(cost)} in the prices' currency, {as.number((cost / (sum(of("requests")) || 1)))} a request.</p>
            : <p class="empty">No exchange has a price: this version computes none by itself, and shows those that the history has. What the machine takes is beside.</p>}
        </Panel>
        <Energy rate={last(of("generated_rate"))} />
        <Facts title="Tokens" facts={[
          { name: "generated", value: <Value of={sum(of("generated_tokens"))} as={as.count} why="Nothing was generated in this time." /> },
          { name: "prompt", value: <Value of={sum(of("prompt_tokens"))} as={as.count} why="No prompt was read in this time." /> },
          { name: "generated for clients that left", value: <Value of={sum(of("wasted_tokens"))} as={as.count} why="Nothing ended in this time." /> },
          { name: "requests", value: <Value of={sum(of("requests"))} as={as.count} why="Nothing ended in this time." /> },
        ]} />
      </div>
      <div class="row two">
        <SeriesPanel title="Tokens over time" of={series} lines={TOKENS} />
        {isPriced && <SeriesPanel title="Cost over time" of={series} lines={COST} />}
        <Panel title={isPriced ? "Dearest exchanges" : "Largest exchanges"} note="by tokens">
          <Loaded of={largest}>
            {(answer) => <Table caption="Exchanges that took most" columns={LARGEST} rows={answer.exchanges} id={(one) => one.id} to={(one) => link("exchange", one.id)} empty="No exchange ended in this time." />}
          </Loaded>
        </Panel>
      </div>
    </>
  );
}

/** Joules a token: the power of now by the tokens of the last minute. */
function Energy({ rate }: { rate: number | null }) {
  const { gpu, cpu } = usePower();
  const stats = useTopic<Stats>("stats");
  const total = gpu === null && cpu === null ? null : (gpu ?? 0) + (cpu ?? 0);
  const joules = total !== null && rate ? total / rate : null;
  const none = "Neither a GPU nor the helper reports power. Install inferometer-helper, which may read the processors' counters.";
  return (
    <Facts title="Energy" facts={[
      { name: "power now", value: <Value of={total} as={as.watts} why={none} /> },
      { name: "of GPUs", value: <Value of={gpu} as={as.watts} why={stats?.gpu.count ? "Its driver does not report power." : "No GPU is seen."} /> },
      { name: "a token, in the last minute", value: <Value of={joules} as={(value) => `${as.number(value)}\u202fJ`} why={total === null ? none : "Nothing was generated in the last minute."} /> },
      { name: "a million tokens", value: <Value of={joules} as={(value) => `${as.number(value / 3.6)}\u202fkWh`} why={total === null ? none : "Nothing was generated in the last minute."} /> },
    ]} />
  );
}
