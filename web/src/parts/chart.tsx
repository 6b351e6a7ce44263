// Lines over time: drawn by uPlot, told in a sentence, and as a table.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { describe, last } from "../lib/summary.ts";
import { full, mark, time } from "../lib/time.ts";
import { go } from "../lib/route.ts";
import { colours } from "./colours.ts";

export interface ChartLine {
  label: string;
  values: (number | null)[];
  /** Place in the palette. */
  colour: number;
  dash?: boolean;
  /** Filled down to zero. */
  fill?: boolean;
  /** Of the day or week before. */
  before?: boolean;
}

interface ChartProps {
  title: string;
  /** Seconds since the epoch: where each interval begins. */
  at: number[];
  interval: number;
  lines: ChartLine[];
  format: (value: number) => string;
  height?: number;
  /** At least so high is the axis. */
  top?: number;
}

const DASH = [5, 4];

/** So that the first screen needs no scrolling, and a tall one is used. */
const usualHeight = (): number => (innerHeight >= 1000 ? 320 : innerHeight >= 900 ? 240 : 196);

/** The interval that goes on now is drawn dashed. */
function data(at: number[], interval: number, lines: ChartLine[]): uPlot.AlignedData {
  const partial = at.length > 1 && ((at.at(-1) as number) + interval) * 1000 > Date.now();
  const columns = lines.flatMap((line) => {
    if (!partial || line.before) return [line.values, line.values.map(() => null)];
    const solid = [...line.values.slice(0, -1), null];
    const rest = line.values.map((value, index) => (index >= line.values.length - 2 ? value : null));
    return [solid, rest];
  });
  return [at, ...columns] as uPlot.AlignedData;
}

function options(props: ChartProps, width: number, height: number): uPlot.Options {
  const { grid, text, lines: palette } = colours();
  const font = "11px system-ui, sans-serif";
  const axis = { stroke: text, font, grid: { stroke: grid, width: 1 }, ticks: { show: false } };
  return {
    width,
    height,
    padding: [8, 8, 0, 0],
    legend: { show: false },
    cursor: {
      sync: { key: "time", setSeries: false },
      drag: { x: true, y: false, setScale: false },
      points: { size: 6 },
    },
    scales: {
      x: { time: true },
      y: { range: (_, __, max) => [0, Math.max(max ?? 0, props.top ?? 0) * 1.08 || 1] },
    },
    axes: [
      { ...axis, space: 64, size: 24, values: (_, splits, __, ___, step) => splits.map((split) => mark(split, step)) },
      { ...axis, space: 28, size: axisSize, values: (_, splits) => splits.map((split) => props.format(split)) },
    ],
    series: [
      {},
      ...props.lines.flatMap((line) => {
        const stroke = palette[line.colour % palette.length] as string;
        const one: uPlot.Series = {
          stroke, width: line.before ? 1 : 1.6, points: { show: dots, size: 4, fill: stroke }, alpha: line.before ? 0.65 : 1,
          ...(line.dash || line.before ? { dash: line.before ? [2, 3] : DASH } : {}),
          ...(line.fill ? { fill: `${stroke}22` } : {}),
        };
        return [one, { ...one, dash: [3, 3], points: { show: false } }];
      }),
    ],
    hooks: {
      setSelect: [
        (plot) => {
          if (plot.select.width < 4) return;
          const [from, to] = [plot.posToVal(plot.select.left, "x"), plot.posToVal(plot.select.left + plot.select.width, "x")];
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          go({ range: { from: Math.floor(from / 60) * 60_000, to: Math.ceil(to / 60) * 60_000 } });
        },
      ],
    },
  };
}

/** As wide as the widest mark. */
function axisSize(plot: uPlot, values: string[] | null): number {
  const longest = (values ?? []).reduce((most, value) => Math.max(most, value.length), 0);
  return Math.max(34, plot.axes[1]?.side === 3 ? longest * 6.4 + 12 : 0);
}

/** Values between gaps are seen as dots; lines need none. */
function dots(plot: uPlot, series: number, from: number, to: number): boolean {
  const values = plot.data[series] as (number | null)[];
  for (let at = from; at <= to; at += 1) {
    if (values[at] != null && values[at - 1] == null && values[at + 1] == null) return true;
  }
  return false;
}

export function Chart(props: ChartProps) {
  const { title, at, interval, lines, format, height = usualHeight() } = props;
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const [cursor, setCursor] = useState<number | null>(null);
  const [theme, setTheme] = useState(0);
  const shape = `${title}|${lines.map((line) => `${line.label}${line.before ?? ""}${line.colour}`).join()}|${theme}|${height}`;
  const columns = useMemo(() => data(at, interval, lines), [at, interval, lines]);

  useEffect(() => {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const changed = () => setTheme((count) => count + 1);
    dark.addEventListener("change", changed);
    return () => dark.removeEventListener("change", changed);
  }, []);

  useEffect(() => {
    const parent = box.current as HTMLDivElement;
    const made = new uPlot(options(props, parent.clientWidth || 300, height), columns, parent);
    made.hooks.setCursor = [(self) => setCursor(self.cursor.idx ?? null)];
    plot.current = made;
    const observer = new ResizeObserver(() => {
      if (parent.clientWidth > 0) made.setSize({ width: parent.clientWidth, height });
    });
    observer.observe(parent);
    return () => {
      observer.disconnect();
      made.destroy();
    };
  }, [shape]);

  useEffect(() => plot.current?.setData(columns), [columns]);

  const isPartial = at.length > 1 && ((at.at(-1) as number) + interval) * 1000 > Date.now();
  // What has only begun says little.
  const newest = (values: (number | null)[]) => (isPartial ? last(values.slice(0, -1)) ?? last(values) : last(values));
  const when = (index: number) => time((at[index] ?? 0) * 1000);
  const sentence = describe(lines.map((line) => ({ ...line, format })), when);
  const step = (direction: number) => {
    const next = Math.min(at.length - 1, Math.max(0, (cursor ?? at.length - 1) + direction));
    const left = plot.current?.valToPos(at[next] ?? 0, "x") ?? 0;
    plot.current?.setCursor({ left, top: 0 });
    setCursor(next);
  };

  return (
    <figure class="chart">
      <div
        ref={box} class="plot" role="img" tabIndex={0} aria-label={`${title}. ${sentence}`}
        style={{ height: `${height}px` }}
        onKeyDown={(event) => {
          const direction = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
          if (direction) {
            step(direction);
            event.preventDefault();
          }
        }}
      >
        {lines.every((line) => line.values.every((value) => value === null)) && <span class="nothing">Nothing of the kind was measured in this time.</span>}
      </div>
      <figcaption>
        <ul class="legend">
          {lines.map((line) => {
            const value = cursor === null ? newest(line.values) : line.values[cursor] ?? null;
            return (
              <li key={line.label + (line.before ?? "")}>
                <i class={`key c${line.colour}${line.dash || line.before ? " dashed" : ""}`} />
                {line.label} <b>{value === null ? "–" : format(value)}</b>
              </li>
            );
          })}
          <li class="when" aria-hidden="true">{cursor !== null && at[cursor] !== undefined ? when(cursor) : ""}</li>
        </ul>
      </figcaption>
      <AsTable title={title} at={at} lines={lines} format={format} />
    </figure>
  );
}

/** The newest first, made only where it is looked at. */
function AsTable({ title, at, lines, format }: Pick<ChartProps, "title" | "at" | "lines" | "format">) {
  const [open, setOpen] = useState(false);
  return (
    <details class="as-table" onToggle={(event) => setOpen((event.currentTarget as HTMLDetailsElement).open)}>
      <summary aria-label={`${title} as a table`}>table</summary>
      {open && (
        <div class="wide" tabIndex={0} role="region" aria-label={`${title}, values`}>
          <table>
            <thead><tr><th scope="col">begins</th>{lines.map((line) => <th scope="col" class="n" key={line.label}>{line.label}</th>)}</tr></thead>
            <tbody>
              {at.map((_, back) => {
                const index = at.length - 1 - back;
                return (
                  <tr key={at[index]}>
                    <td data-label="begins">{full((at[index] ?? 0) * 1000)}</td>
                    {lines.map((line) => {
                      const value = line.values[index] ?? null;
                      return <td class="n" data-label={line.label} key={line.label}>{value === null ? "–" : format(value)}</td>;
                    })}
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
    </details>
  );
}
