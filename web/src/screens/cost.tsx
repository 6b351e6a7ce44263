// What it cost, as far as that is known: money where there are prices, energy where power is measured.
import * as as from "../lib/format.ts";
import { useAsk, url } from "../lib/api.ts";
import { parameters, windowOf } from "../lib/ranges.ts";
import { link, route } from "../lib/route.ts";
import { perToken, sum } from "../lib/summary.ts";
import type { Exchange, Exchanges } from "../lib/types.ts";
import { FactList } from "../parts/facts.tsx";
import { Empty, Loaded, Panel } from "../parts/panel.tsx";
import { SeriesPanel, useSeries, type Shown } from "../parts/series.tsx";
import { Table, type Column } from "../parts/table.tsx";
import { Value } from "../parts/value.tsx";
import { power } from "./now/power.ts";

const COST: Shown[] = [{ metric: "cost", label: "cost", fill: true, colour: "cost" }];
const JOULES: Shown[] = [{ metric: "energy_per_token", label: "a generated token", fill: true, colour: "cost" }];
const TOKENS: Shown[] = [
  { metric: "generated_tokens", label: "generated", colour: "generated", fill: true },
  { metric: "prompt_tokens", label: "prompt", colour: "prompt" },
  { metric: "wasted_tokens", label: "for clients that left", colour: "left", dash: 1 },
];

const LARGEST: Column<Exchange>[] = [
  { name: "model", class: "name", cell: (one) => <a href={link("exchange", one.id)}><Value of={one.model} why="Its model is not known." /></a> },
  { name: "client", cell: (one) => <Value of={one.tenant ?? one.client} why="It named no client." /> },
  { name: "tokens in", number: true, cell: (one) => <Value of={one.tokens.prompt} as={as.count} why="Its backend did not report it." /> },
  { name: "tokens out", number: true, cell: (one) => <Value of={one.tokens.generated} as={as.count} why="Its backend did not report it." /> },
  { name: "took", number: true, cell: (one) => <Value of={one.duration_ms} as={as.duration} /> },
];
const PRICE: Column<Exchange> = { name: "cost", number: true, cell: (one) => <Value of={one.cost} as={as.number} why="There was no price for it." /> };

export function Cost() {
  const series = useSeries(["cost", "generated_tokens", "prompt_tokens", "wasted_tokens", "generated_rate", "requests", "energy", "energy_per_token", "gpu_watts", "cpu_watts"]);
  const of = (metric: string) => series.whole.data?.series.find((one) => one.metric === metric)?.values ?? [];
  const cost = sum(of("cost"));
  const isPriced = cost !== null && cost > 0;
  const window = windowOf(route.value.range);
  const largest = useAsk<Exchanges>(url("/dashboard/exchanges", { ...parameters(route.value.range), ...route.value.filters, order: isPriced ? "dearest" : "largest", limit: 10 }), 30);
  return (
    <>
      <div class="row three">
        <Panel title="Money" window={window}>
          <Loaded of={series.whole}>
            {() => (isPriced
              ? <p class="sentence">{as.number(cost)} in the prices' currency, {as.number((cost / (sum(of("requests")) || 1)))} a request.</p>
              : <p class="empty">No exchange has a price: this version computes none by itself, and shows those that the history has.</p>)}
          </Loaded>
        </Panel>
        <Panel title="Energy" window={window}><Loaded of={series.whole}>{() => <Energy of={of} />}</Loaded></Panel>
        <Panel title="Tokens" window={window}><Loaded of={series.whole}>{() => <Tokens of={of} />}</Loaded></Panel>
      </div>
      <div class="row two">
        {sum(of("energy_per_token")) !== null && <SeriesPanel title="Energy of a token" note="of GPUs and processors, idle time included" of={series} lines={JOULES} />}
        <SeriesPanel title="Tokens over time" of={series} lines={TOKENS} />
        {isPriced && <SeriesPanel title="Cost over time" of={series} lines={COST} />}
        <Panel title={isPriced ? "Dearest exchanges" : "Largest exchanges"} note={isPriced ? "by cost" : "by tokens"} window={window}>
          <Loaded of={largest}>
            {(answer) => <Table caption="Exchanges that took most" columns={isPriced ? [...LARGEST, PRICE] : LARGEST} rows={answer.exchanges} id={(one) => one.id} to={(one) => link("exchange", one.id)} empty="No exchange ended in this time." />}
          </Loaded>
        </Panel>
      </div>
    </>
  );
}

interface Sums {
  of: (metric: string) => readonly (number | null)[];
}

function Tokens({ of }: Sums) {
  return (
    <FactList facts={[
      { name: "generated", value: <Value of={sum(of("generated_tokens"))} as={as.count} why="Nothing was generated in this time." /> },
      { name: "of these for clients that left", value: <Value of={sum(of("wasted_tokens"))} as={as.count} why="Nothing ended in this time." /> },
      { name: "in prompts", value: <Value of={sum(of("prompt_tokens"))} as={as.count} why="No prompt was read in this time." /> },
      { name: "requests", value: <Value of={sum(of("requests"))} as={as.count} why="Nothing ended in this time." /> },
    ]} />
  );
}

/** Joules a token over the range: the energy of the intervals in which both are known, by their tokens. */
function Energy({ of }: Sums) {
  const { gpu, cpu, all: total } = power(of);
  const energy = sum(of("energy"));
  const joules = perToken(of("energy"), of("generated_tokens"));
  const none = "Neither a GPU nor the helper reports power. Install inferometer-helper, which may read the processors' counters.";
  const noTokens = energy === null ? none : Object.keys(route.value.filters).length ? "The machine's energy is not divided among models or clients: take the filter away." : "Nothing was generated while power was measured.";
  if (total === null && energy === null) return <Empty>{none}</Empty>;
  return (
    <FactList facts={[
      { name: "a generated token", value: <b><Value of={joules} as={as.joules} why={noTokens} /></b> },
      { name: "a million tokens", value: <Value of={joules} as={(value) => as.joules(value * 1e6)} why={noTokens} /> },
      { name: "in this time", value: <Value of={energy} as={as.joules} why={none} /> },
      { name: "power of GPUs at its end", value: <Value of={gpu} as={as.watts} why="No GPU is seen that reports its power." /> },
      { name: "of processors", value: <Value of={cpu} as={as.watts} why="Only inferometer-helper may read it." /> },
    ]} />
  );
}
