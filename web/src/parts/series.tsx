// Panels of charts that share one question to the API.
import { url, useAsk, type Asked } from "../lib/api.ts";
import { finished } from "../lib/finished.ts";
import { ofUnit, span } from "../lib/format.ts";
import { clock } from "../lib/kept.ts";
import { lengthOf, parameters, windowOf } from "../lib/ranges.ts";
import { route } from "../lib/route.ts";
import { useMemo } from "preact/hooks";
import type { Series } from "../lib/types.ts";
import { Chart, type ChartLine } from "./chart.tsx";
import { WHICH, whichOf, type Colour } from "./colours.ts";
import { Panel, Loaded } from "./panel.tsx";

export interface Shown {
  metric: string;
  label: string;
  colour: Colour;
  dash?: 1 | 2;
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

/** Of a program that has just begun there are a few minutes: with shorter intervals until there are more. */
const FEW = 4;

/** Of a longer range the last minutes would be no part that is seen. */
const HOUR = 3_600_000;

const hasFew = (series: Series | undefined): boolean =>
  series !== undefined && !series.series.some((one) => one.values.filter((value) => value !== null).length >= FEW);

/** What is shown: of the range, or of the last minutes where there is little else. */
export interface Drawable extends Asked<Series> {
  /** The range's own, whatever is shown. */
  whole: Asked<Series>;
  /** The time that the shown one is of. */
  window: string;
}

export function useSeries(metrics: string[], own: Record<string, string | undefined> = {}, every = 10): Drawable {
  const { range, compare } = route.value;
  const isShort = "period" in range && range.period === "5m";
  const whole = useAsk<Series>(seriesUrl(metrics, isShort ? { ...own, interval: "10s" } : own), every);
  const isNew = !isShort && !compare && "period" in range && lengthOf(range) <= HOUR && hasFew(whole.data);
  const fine = useAsk<Series>(isNew ? seriesUrl(metrics, { ...own, period: "5m", interval: "10s" }) : null, every);
  const isFine = isNew && fine.data !== undefined;
  return { ...(isFine ? fine : whole), whole, window: windowOf(isFine ? { period: "5m" } : range) };
}

interface SeriesPanelProps {
  title: string;
  note?: string;
  of: Drawable;
  lines: Shown[];
  unit?: string;
  height?: number;
  own?: Record<string, string | undefined>;
  class?: string;
}

export function SeriesPanel({ title, note, of, lines, unit, height, own = {}, class: name }: SeriesPanelProps) {
  const csv = seriesUrl([...new Set(lines.map((line) => line.metric))], own, true);
  return (
    <Panel title={title} csv={csv} window={of.window} {...(note ? { note } : {})} {...(name ? { class: name } : {})}>
      <Loaded of={of}>{(data) => <Drawn title={title} data={data} lines={lines} unit={unit} height={height} />}</Loaded>
    </Panel>
  );
}

function Drawn({ title, data, lines, unit, height }: { title: string; data: Series; lines: Shown[]; unit: string | undefined; height: number | undefined }) {
  const at = useMemo(() => data.timestamps.map((text) => Date.parse(text) / 1000), [data]);
  const drawn = useMemo(() => lines.flatMap((line) => pair(data, line)), [data, lines]);
  const found = data.series.find((one) => one.metric === lines[0]?.metric);
  const format = ofUnit(unit ?? found?.unit ?? "count");
  const isAlone = data.compared !== undefined && !drawn.some((line) => line.before);
  return (
    <>
      <Chart title={title} at={at} interval={data.interval_seconds} over={finished(data, clock())} lines={drawn} format={format} per={per(unit ?? found?.unit ?? "", data.interval_seconds)} binary={found?.unit.startsWith("bytes") ?? false} {...(found?.unit === "percent" ? { top: 1 } : {})} {...(height ? { height } : {})} />
      {isAlone && <p class="note">of a {route.value.compare} earlier nothing is known</p>}
    </>
  );
}

/** Counts are of an interval, which charts of another range have longer. */
const per = (unit: string, seconds: number): string | undefined => (unit === "count" ? `in each ${span(seconds)}` : undefined);

const MOST_LINES = WHICH.length;


interface GroupsProps {
  title: string;
  note?: string;
  metric: string;
  by: "model" | "backend" | "tenant";
  map?: (value: number, seconds: number) => number;
  unit?: string;
}

/** One metric, a line for each model, backend or tenant: of those with the most exchanges. */
export function GroupsPanel({ title, note, metric, by, map, unit }: GroupsProps) {
  const own = { by };
  const of = useSeries([metric], own, 15);
  return (
    <Panel title={title} csv={seriesUrl([metric], own, true)} window={of.window} {...(note ? { note } : {})}>
      <Loaded of={of}>{(data) => <Groups title={title} data={data} by={by} map={map} unit={unit} />}</Loaded>
    </Panel>
  );
}

function Groups({ title, data, by, map, unit }: { title: string; data: Series; by: string; map: GroupsProps["map"]; unit: string | undefined }) {
  const at = useMemo(() => data.timestamps.map((text) => Date.parse(text) / 1000), [data]);
  const lines = useMemo(() => {
    const shown = data.series.slice(0, MOST_LINES);
    const colours = whichOf(shown.map((one) => one.group ?? ""));
    return shown.map((one): ChartLine => ({
      label: one.group ?? `no ${by}`,
      values: map ? one.values.map((value) => (value === null ? null : map(value, data.interval_seconds))) : one.values,
      colour: colours.get(one.group ?? "") as Colour,
    }));
  }, [data]);
  const others = data.series.length - lines.length + (data.groups_left_out ?? 0);
  const format = ofUnit(unit ?? data.series[0]?.unit ?? "count");
  if (lines.length === 0) return <p class="empty">Nothing ended in this time.</p>;
  return (
    <>
      <Chart title={title} at={at} interval={data.interval_seconds} over={finished(data, clock())} lines={lines} format={format} />
      {others > 0 && <p class="note">and {others} others with fewer exchanges; the CSV has {data.series.length} of them</p>}
    </>
  );
}

/** Leaves out lines of which nothing is known. */
export function known(data: Series, lines: Shown[]): Shown[] {
  return lines.filter((line) => data.series.some((one) => one.metric === line.metric && one.values.some((value) => value !== null)));
}

/** The line, and that of the day or week before. */
function pair(data: Series, line: Shown): ChartLine[] {
  const seconds = data.interval_seconds;
  const { colour } = line;
  const values = (all: Series["series"] | undefined) => {
    const found = all?.find((one) => one.metric === line.metric);
    const { map } = line;
    return found?.values.map((value) => (value === null || !map ? value : map(value, seconds)));
  };
  const now = values(data.series) ?? data.timestamps.map(() => null);
  const before = values(data.compared);
  const look = { colour, ...(line.dash ? { dash: line.dash } : {}) };
  const own: ChartLine = { label: line.label, values: now, ...look, ...(line.fill ? { fill: true } : {}) };
  return before?.some((value) => value !== null) ? [own, { label: `${line.label}, before`, values: before, before: true, colour }] : [own];
}
