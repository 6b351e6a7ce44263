// Draws lines over time with uPlot. Its code is run once the figures are there.
import uPlot from "uplot";
import { SHORT } from "../lib/finished.ts";
import { mark } from "../lib/time.ts";
import { go } from "../lib/route.ts";
import { colours } from "./colours.ts";
import type { ChartProps } from "./chart.tsx";

type Shown = Pick<ChartProps, "at" | "interval" | "over" | "lines">;

/** Dashed, and dotted. */
const DASHES = [[], [5, 4], [1.5, 3]];

/** Letters of a mark: a clock of twelve hours has more. */
const WIDEST = mark(Date.UTC(2026, 0, 1, 13, 37) / 1000, 60).length;

/** Distances of marks of time: none is told apart by seconds. */
const TIMES = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 7200, 10_080, 20_160, 43_200].map((minutes) => minutes * 60);

/** Distances of marks of bytes: 1, 2, 4 and so on up to 2⁵⁰. */
const BINARY = Array.from({ length: 51 }, (_, at) => 2 ** at);

/** What is not over is no part of a line, which would seem to fall: of a longer interval it is a circle. */
function data({ at, interval, over, lines }: Shown): uPlot.AlignedData {
  const columns = lines.flatMap(({ values, before }) => {
    if (before) return [values, values.map(() => null)];
    const isOpen = (index: number) => index >= over && interval > SHORT;
    return [values.map((value, index) => (index < over ? value : null)), values.map((value, index) => (isOpen(index) ? value : null))];
  });
  return [at, ...columns] as uPlot.AlignedData;
}

function options(props: ChartProps, width: number, height: number): uPlot.Options {
  const colour = colours();
  const font = "11px system-ui, sans-serif";
  const axis = { stroke: colour("quiet"), font, grid: { stroke: colour("line"), width: 1 }, ticks: { show: false } };
  return {
    width,
    height,
    padding: [8, 18, 0, 0],
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
      { ...axis, space: WIDEST > 5 ? 76 : 52, incrs: TIMES, size: 24, values: (_, splits, __, ___, step) => splits.map((split) => mark(split, step)) },
      { ...axis, space: 28, size: axisSize, ...(props.binary ? { incrs: BINARY } : {}), values: (_, splits) => splits.map((split) => props.format(split)) },
    ],
    series: [
      {},
      ...props.lines.flatMap((line) => {
        const stroke = colour(line.colour);
        const one: uPlot.Series = {
          stroke, width: line.before ? 1 : 1.6, points: { show: dots, size: 4, fill: stroke }, alpha: line.before ? 0.65 : 1,
          ...(line.dash || line.before ? { dash: line.before ? [2, 3] : DASHES[line.dash as number] as number[] } : {}),
          ...(line.fill ? { fill: `${stroke}22` } : {}),
        };
        return [one, { stroke, paths: () => null, points: { show: true, size: 6, width: 1.5, fill: colour("panel") } }];
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

export interface Drawing {
  show: (what: Shown) => void;
  /** Shows the lines that are not in the set. */
  hide: (lines: ReadonlySet<number>) => void;
  /** Puts the cursor on an interval. */
  point: (second: number) => void;
  end: () => void;
}

/** Draws into an element, as wide as it is. `moved` hears the index that the cursor is on. */
export function draw(parent: HTMLElement, props: ChartProps, height: number, moved: (index: number | null) => void): Drawing {
  const plot = new uPlot(options(props, parent.clientWidth || 300, height), data(props), parent);
  plot.hooks.setCursor = [(self) => moved(self.cursor.idx ?? null)];
  let width = parent.clientWidth;
  const fit = () => {
    if (parent.clientWidth > 0 && parent.clientWidth !== width) plot.setSize({ width: (width = parent.clientWidth), height });
  };
  const observer = new ResizeObserver(fit);
  observer.observe(parent);
  // Paper has another width, and no time for observers.
  const paper = matchMedia("print");
  paper.addEventListener("change", fit);
  return {
    show: (what) => plot.setData(data(what)),
    hide: (lines) => props.lines.forEach((_, at) => {
      // Each line is two series: what is over, and what is not.
      for (const series of [2 * at + 1, 2 * at + 2]) plot.setSeries(series, { show: !lines.has(at) });
    }),
    point: (second) => plot.setCursor({ left: plot.valToPos(second, "x"), top: 0 }),
    end: () => {
      observer.disconnect();
      paper.removeEventListener("change", fit);
      plot.destroy();
    },
  };
}
