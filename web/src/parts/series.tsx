// Panels of charts that share one question to the API.
import { url, useAsk, type Asked } from "../lib/api.ts";
import { ofUnit } from "../lib/format.ts";
import { parameters } from "../lib/ranges.ts";
import { route } from "../lib/route.ts";
import { useMemo } from "preact/hooks";
import type { Series } from "../lib/types.ts";
import { Chart, type ChartLine } from "./chart.tsx";
import { Panel, Loaded } from "./panel.tsx";

export interface Shown {
  metric: string;
  label: string;
  colour?: number;
  dash?: boolean;
  fill?: boolean;
  /** Makes another figure of it, as a rate of a count. */
  map?: (value: number, seconds: number) => number;
}

export function seriesUrl(metrics: string[], own: Record<string, string | undefined> = {}, csv = false): string {
  const { range, compare, filters } = route.value;
  return url("/dashboard/series", {
    metrics: metrics.join(","), ...parameters(range), compare, ...filters, ...own, format: csv ? "csv" : undefined,
  });
}

export function useSeries(metrics: string[], own: Record<string, string | undefined> = {}, every = 10): Asked<Series> {
  return useAsk<Series>(seriesUrl(metrics, own), every);
}

interface SeriesPanelProps {
  title: string;
  note?: string;
  of: Asked<Series>;
  lines: Shown[];
  unit?: string;
  height?: number;
  own?: Record<string, string | undefined>;
  class?: string;
}

export function SeriesPanel({ title, note, of, lines, unit, height, own = {}, class: name }: SeriesPanelProps) {
  const csv = seriesUrl([...new Set(lines.map((line) => line.metric))], own, true);
  return (
    <Panel title={title} csv={csv} {...(note ? { note } : {})} {...(name ? { class: name } : {})}>
      <Loaded of={of}>{(data) => <Drawn title={title} data={data} lines={lines} unit={unit} height={height} />}</Loaded>
    </Panel>
  );
}

function Drawn({ title, data, lines, unit, height }: { title: string; data: Series; lines: Shown[]; unit: string | undefined; height: number | undefined }) {
  const at = useMemo(() => data.timestamps.map((text) => Date.parse(text) / 1000), [data]);
  const drawn = useMemo(() => lines.flatMap((line, index) => pair(data, line, index)), [data, lines]);
  const found = data.series.find((one) => one.metric === lines[0]?.metric);
  const format = ofUnit(unit ?? found?.unit ?? "count");
  return <Chart title={title} at={at} interval={data.interval_seconds} lines={drawn} format={format} {...(height ? { height } : {})} />;
}

/** The line, and that of the day or week before. */
function pair(data: Series, line: Shown, index: number): ChartLine[] {
  const seconds = data.interval_seconds;
  const colour = line.colour ?? index;
  const values = (all: Series["series"] | undefined) => {
    const found = all?.find((one) => one.metric === line.metric);
    const { map } = line;
    return found?.values.map((value) => (value === null || !map ? value : map(value, seconds)));
  };
  const now = values(data.series) ?? data.timestamps.map(() => null);
  const before = values(data.compared);
  const look = { colour, ...(line.dash ? { dash: true } : {}) };
  const own: ChartLine = { label: line.label, values: now, ...look, ...(line.fill ? { fill: true } : {}) };
  return before ? [own, { label: `${line.label}, before`, values: before, before: true, colour }] : [own];
}
