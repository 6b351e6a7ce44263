// Lines over time: drawn by uPlot, told in a sentence, and as a table.
import { useEffect, useRef, useState } from "preact/hooks";
import { SHORT } from "../lib/finished.ts";
import { describe, shownAt } from "../lib/summary.ts";
import { full, time } from "../lib/time.ts";
import { colourOf, type Colour } from "./colours.ts";
import { whenSeen } from "./later.ts";
import type { Drawing } from "./plot.ts";

export interface ChartLine {
  label: string;
  values: (number | null)[];
  colour: Colour;
  /** 1: dashed, 2: dotted. */
  dash?: 1 | 2;
  /** Filled down to zero. */
  fill?: boolean;
  /** Of the day or week before. */
  before?: boolean;
}

export interface ChartProps {
  title: string;
  /** Seconds since the epoch: where each interval begins. */
  at: number[];
  interval: number;
  /** How many of these intervals are over. */
  over: number;
  lines: ChartLine[];
  format: (value: number) => string;
  height?: number;
  /** Of what each value is, where it is a count. */
  per?: string | undefined;
  /** Its marks are powers of two. */
  binary?: boolean;
  /** At least so high is the axis. */
  top?: number;
}

/** So that the first screen needs no scrolling, and a tall one is used. */
const usualHeight = (): number => Math.min(360, Math.max(196, innerHeight - 660));

/** A phone shows one below the other: nothing takes little place. */
const EMPTY_HEIGHT = 72;
const isNarrow = (): boolean => matchMedia("(max-width: 700px)").matches;

export function Chart(props: ChartProps) {
  const { title, at, interval, over, lines, format, per } = props;
  const box = useRef<HTMLDivElement>(null);
  const drawing = useRef<Drawing | undefined>(undefined);
  const newestProps = useRef(props);
  newestProps.current = props;
  const [cursor, setCursor] = useState<number | null>(null);
  const [hidden, setHidden] = useState<ReadonlySet<number>>(new Set());
  const [theme, setTheme] = useState(0);
  // What is too new to be drawn is not drawn yet.
  const drawn = ({ before, values }: ChartLine) => (before || interval > SHORT ? values : values.slice(0, over));
  const isEmpty = lines.every((line) => drawn(line).every((value) => value === null));
  const isNew = isEmpty && lines.some((line) => line.values.some((value) => value !== null));
  const height = isEmpty && isNarrow() ? EMPTY_HEIGHT : props.height ?? usualHeight();
  const shape = `${title}|${lines.map((line) => `${line.label}${line.before ?? ""}${line.colour}`).join()}|${theme}|${height}|${isEmpty}`;

  useEffect(() => {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const changed = () => setTheme((count) => count + 1);
    dark.addEventListener("change", changed);
    return () => dark.removeEventListener("change", changed);
  }, []);

  useEffect(() => {
    if (isEmpty) return;
    const parent = box.current as HTMLDivElement;
    const forget = whenSeen(parent, (plot) => {
      drawing.current = plot.draw(parent, newestProps.current, height, setCursor);
      if (hidden.size > 0) drawing.current.hide(hidden);
    });
    return () => {
      forget();
      drawing.current?.end();
      drawing.current = undefined;
    };
  }, [shape]);

  useEffect(() => drawing.current?.show(props), [at, interval, over, lines]);
  useEffect(() => drawing.current?.hide(hidden), [hidden]);
  const toggle = (line: number) => setHidden((all) => new Set(all.has(line) ? [...all].filter((one) => one !== line) : [...all, line]));

  // What has only begun says little.
  const when = (index: number) => time((at[index] ?? 0) * 1000);
  const sentence = describe(lines.map((line) => ({ ...line, values: line.values.slice(0, over), format })), when);
  const step = (direction: number) => {
    const next = Math.min(at.length - 1, Math.max(0, (cursor ?? over - 1) + direction));
    drawing.current?.point(at[next] ?? 0);
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
        {isEmpty && <span class="nothing">{isNew ? "The first values come in some seconds." : "Nothing of the kind was measured in this time."}</span>}
      </div>
      <figcaption>
        <ul class="legend">
          {lines.map((line, index) => {
            const value = shownAt(line.values, over, cursor);
            return (
              <li key={line.label + (line.before ?? "")}>
                <button type="button" class="plain" aria-pressed={!hidden.has(index)} title={hidden.has(index) ? "Show this line" : "Hide this line"} disabled={lines.length < 2} onClick={() => toggle(index)}>
                  <i class={`key ${line.before || line.dash === 2 ? "dotted" : line.dash ? "dashed" : ""}`} style={{ borderColor: colourOf(line.colour) }} />
                  {line.label} <b {...(value === null ? { title: "Nothing of the kind was measured in the newest interval" } : {})}>{value === null ? "–" : format(value)}</b>
                </button>
              </li>
            );
          })}
          <li class="when" aria-hidden="true">{cursor !== null && at[cursor] !== undefined ? `${when(cursor)}${cursor >= over ? ", not over" : ""}` : per ?? ""}</li>
        </ul>
      </figcaption>
      <AsTable title={title} at={at} over={over} lines={lines} format={format} />
    </figure>
  );
}

/** The newest first, made only where it is looked at. */
function AsTable({ title, at, over, lines, format }: Pick<ChartProps, "title" | "at" | "over" | "lines" | "format">) {
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
                    <td data-label="begins">{full((at[index] ?? 0) * 1000)}{index >= over && " (not over)"}</td>
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
