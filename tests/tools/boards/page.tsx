// Draws one dashboard with Grafana's own panel components, from the answers that pictures.py got from Prometheus.
// Of this renderer's own are heatmaps, state timelines and the joining of a table's queries; it has no annotations, tooltips or
// links. PICTURE = { dashboard, panels, theme, width, from, to }, times in milliseconds.
import React from 'react';
import { createRoot } from 'react-dom/client';
import { MemoryRouter } from 'react-router-dom';
import {
  ThemeContext, createTheme, dateTime, FieldType, formattedValueToString, getDisplayProcessor, getFieldDisplayName,
  getValueFormat, reduceField, toDataFrame,
} from '@grafana/data';
import { BigValue, GlobalStyles, PanelChrome, TimeSeries } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';

const PICTURE = (window as any).PICTURE;
const CELL = 38, GAP = 8, HEAD = 46;
const theme = createTheme({ colors: { mode: PICTURE.theme } } as any);
const range: any = { from: dateTime(PICTURE.from), to: dateTime(PICTURE.to), raw: { from: 'now-15m', to: 'now' } };
const text = theme.colors.text.primary;
type Size = { panel: any; width: number; height: number };

/// The settings of a field: those of the panel, then those of each override that matches its name.
function settings(panel: any, name: string) {
  const config = structuredClone(panel.fieldConfig.defaults);
  config.custom ??= {};
  for (const { matcher, properties } of panel.fieldConfig.overrides) {
    const matches = matcher.id === 'byName' ? matcher.options === name : new RegExp(matcher.options.slice(1, -1)).test(name);
    for (const { id, value } of matches ? properties : []) {
      if (id.startsWith('custom.')) config.custom[id.slice(7)] = value;
      else config[id] = value;
    }
  }
  for (const step of config.thresholds.steps) step.value ??= -Infinity;
  delete config.links;
  return config;
}

function dressed(frame: any, panel: any, all: any[], number: { next: number }) {
  for (const field of frame.fields) {
    const name = getFieldDisplayName(field, frame, all);
    if (field.type !== FieldType.time) {
      field.config = { ...settings(panel, name), ...field.config };
      field.state = { displayName: name, seriesIndex: number.next++ };
      const values = field.values.filter((it: any) => Number.isFinite(it));
      const min = field.config.min ?? Math.min(...values), max = field.config.max ?? Math.max(...values);
      if (values.length && typeof values[0] === 'number') field.state.range = { min, max, delta: max - min };
    }
    field.display = getDisplayProcessor({ field, theme, timeZone: 'utc' });
    field.getLinks = () => [];
  }
  return frame;
}

function frames(panel: any) {
  const raw = panel.series.map(({ legend, labels, times, values, step }: any) => toDataFrame({ fields: [
    { name: 'Time', type: FieldType.time, values: times, config: { interval: step } },
    { name: 'Value', type: FieldType.number, values, labels, config: { displayNameFromDS: legend } },
  ] }));
  const number = { next: 0 };
  return raw.map((frame: any) => dressed(frame, panel, raw, number));
}

function Nothing({ panel }: { panel: any }) {
  const style: any = { display: 'flex', height: '100%', alignItems: 'center', justifyContent: 'center', color: theme.colors.text.secondary };
  return <div style={style}>{panel.fieldConfig.defaults.noValue ?? 'No data'}</div>;
}

function Stat({ panel, width, height }: Size) {
  const { colorMode, graphMode, justifyMode, textMode } = panel.options, look = { theme, height, colorMode, graphMode, justifyMode, textMode };
  const all = frames(panel);
  if (!all.length) return <BigValue {...look} width={width} value={{ text: panel.fieldConfig.defaults.noValue, numeric: NaN } as any} />;
  return <div style={{ display: 'flex' }}>{all.map((frame: any, at: number) => {
    const field = frame.fields[1], value = field.display(reduceField({ field, reducers: ['lastNotNull'] } as any).lastNotNull);
    value.title = textMode === 'value_and_name' || all.length > 1 ? field.state.displayName : undefined;
    return <BigValue key={at} {...look} width={width / all.length} value={value} wideLayout />;
  })}</div>;
}

function Lines({ panel, width, height }: Size) {
  const all = frames(panel), Chart: any = TimeSeries;
  if (!all.length) return <Nothing panel={panel} />;
  return <Chart frames={all} timeRange={range} timeZone="utc" width={width} height={height} legend={panel.options.legend} options={panel.options} structureRev={1} />;
}

/// Rows of all queries, those joined that agree in every label they share.
function joined(panel: any) {
  const rows: any[] = [], names = new Set<string>();
  for (const { letter, answers } of panel.tables) for (const { labels, value } of answers) {
    const column = `Value #${letter}`, keys = Object.keys(labels);
    [...keys, column].forEach((it) => names.add(it));
    const fitting = rows.filter((row) => {
      const shared = keys.filter((key) => key in row);
      return !(column in row) && shared.length && shared.every((key) => row[key] === labels[key]);
    });
    if (fitting.length) fitting.forEach((row) => Object.assign(row, labels, { [column]: value }));
    else rows.push({ ...labels, [column]: value });
  }
  return { rows, names: [...names] };
}

function Rows({ panel, width, height }: Size) {
  const { rows, names } = joined(panel), { indexByName, renameByName } = panel.transformations[1].options, Table: any = TableNG;
  if (!rows.length) return <Nothing panel={panel} />;
  names.sort((a, b) => (indexByName[a] ?? 99) - (indexByName[b] ?? 99));
  const sort = panel.options.sortBy[0], column = names.find((it) => (renameByName[it] ?? it) === sort.displayName)!;
  rows.sort((a, b) => (sort.desc ? -1 : 1) * ((a[column] ?? -1) > (b[column] ?? -1) ? 1 : -1));
  const fields = names.map((name) => ({
    name: renameByName[name] ?? name, type: name.startsWith('Value #') ? FieldType.number : FieldType.string,
    values: rows.map((row) => row[name] ?? null), config: {},
  }));
  const frame: any = toDataFrame({ fields });
  dressed(frame, panel, [frame], { next: 0 });
  frame.fields = frame.fields.filter((field: any) => !field.config.custom.hidden);
  return <Table data={frame} width={width} height={height} cellHeight={panel.options.cellHeight} noHeader={false} fieldConfig={panel.fieldConfig}
    theme={theme} timeRange={range} getActions={() => []} structureRev={1} transparent={false} frozenColumns={0} showTypeIcons={false} />;
}

const LEFT = 64, BELOW = 20;
const across = (width: number) => (time: number) => LEFT + ((time - PICTURE.from) / (PICTURE.to - PICTURE.from)) * (width - LEFT - 6);
const clock = (time: number) => new Date(time).toISOString().slice(11, 16);
const STOPS = [[48, 18, 59], [70, 134, 251], [26, 228, 182], [164, 252, 60], [251, 185, 56], [227, 68, 10], [122, 4, 3]];
function scheme(share: number) {
  const place = Math.min(share, 0.9999) * (STOPS.length - 1), at = Math.floor(place);
  return `rgb(${STOPS[at].map((from, i) => Math.round(from + (STOPS[at + 1][i] - from) * (place - at))).join()})`;
}
function Times({ width, height }: { width: number; height: number }) {
  const marks = [0.15, 0.4, 0.65, 0.9].map((share) => PICTURE.from + share * (PICTURE.to - PICTURE.from)), x = across(width);
  return <>{marks.map((time) => <text key={time} x={x(time)} y={height - 5} fill={text} fontSize="11" textAnchor="middle">{clock(time)}</text>)}</>;
}

function Heat({ panel, width, height }: Size) {
  const bound = (it: any) => (it.labels.le === '+Inf' ? Infinity : Number(it.labels.le));
  const rows = [...panel.series].sort((a: any, b: any) => bound(a) - bound(b));
  if (!rows.length) return <Nothing panel={panel} />;
  const format = getValueFormat(panel.options.yAxis.unit), below = rows.map((row: any) => new Map(row.times.map((time: number, i: number) => [time, row.values[i]])));
  const cells = rows.flatMap((row: any, at: number) => row.times.map((time: number, i: number) => ({ at, time, count: row.values[i] - ((at ? below[at - 1].get(time) : 0) as number) })));
  const step = rows[0].step, most = Math.max(1, ...cells.map((it: any) => it.count)), x = across(width), tall = (height - BELOW - 24) / rows.length;
  return <svg width={width} height={height}>
    {cells.filter((it: any) => it.count > 0 && it.time - step >= PICTURE.from).map(({ at, time, count }: any) => <rect key={`${at} ${time}`} x={x(time - step)} y={(rows.length - 1 - at) * tall}
      width={Math.max(1, x(time) - x(time - step) - 1)} height={Math.max(1, tall - 1)} fill={scheme(Math.sqrt(count / most))} />)}
    {rows.map((row: any, at: number) => at % Math.ceil(15 / tall) === 0 && <text key={at} x={LEFT - 6} y={(rows.length - 1 - at) * tall + 9} fill={text} fontSize="11" textAnchor="end">
      {bound(row) === Infinity ? '+Inf' : formattedValueToString(format(bound(row)))}</text>)}
    <Times width={width} height={height - 24} />
    {[...Array(40)].map((_, i) => <rect key={i} x={LEFT + i * 5} y={height - 14} width={5} height={8} fill={scheme(i / 40)} />)}
    <text x={LEFT + 208} y={height - 6} fill={text} fontSize="11">0 to {most}</text>
  </svg>;
}

function Bands({ panel, width, height }: Size) {
  const all = frames(panel);
  if (!all.length) return <Nothing panel={panel} />;
  const left = 150, x = (time: number) => left + ((time - PICTURE.from) / (PICTURE.to - PICTURE.from)) * (width - left - 6), tall = (height - BELOW) / all.length;
  return <svg width={width} height={height}>{all.map((frame: any, at: number) => {
    const [times, field] = frame.fields, bands: any[] = [], step = times.config.interval * 1.5;
    times.values.forEach((time: number, i: number) => {
      const last = bands.at(-1), value = field.values[i];
      if (last && time - last.to <= step) last.to = time;
      if (!last || last.value !== value || last.to !== time) bands.push({ value, from: time, to: time });
    });
    return <g key={at}><text x={left - 8} y={at * tall + tall / 2 + 4} fill={text} fontSize="11" textAnchor="end">{field.state.displayName.slice(0, 24)}</text>
      {bands.map((band, i) => { const shown = field.display(band.value), wide = x(band.to) - x(band.from);
        return <g key={i}><rect x={x(band.from)} y={at * tall + tall * 0.1} width={Math.max(1, wide)} height={tall * 0.8} fill={shown.color} opacity={0.8} />
          {wide > 40 && <text x={x(band.from) + 6} y={at * tall + tall / 2 + 4} fill="#fff" fontSize="11">{shown.text}</text>}</g>; })}</g>;
  })}</svg>;
}

class Guard extends React.Component<any, any> {
  state = { error: null as any };
  static getDerivedStateFromError(error: any) { return { error }; }
  render() { return this.state.error ? <pre style={{ color: 'red' }}>{String(this.state.error.stack).slice(0, 500)}</pre> : this.props.children; }
}

const KINDS: any = { stat: Stat, timeseries: Lines, table: Rows, heatmap: Heat, 'state-timeline': Bands };
function Board() {
  const { dashboard, panels, width } = PICTURE, column = (width - GAP) / 24;
  const shown = dashboard.templating.list.filter((it: any) => !it.hide).map((it: any) => <span key={it.name} style={{ border: `1px solid ${theme.colors.border.medium}`, padding: '4px 8px', marginLeft: 8, fontSize: 12 }}>{it.label}: {it.type === 'datasource' ? 'Prometheus' : 'All'}</span>);
  return <div style={{ position: 'relative', color: text }}>
    <div style={{ position: 'absolute', left: GAP, top: 14, fontSize: 15 }}>{dashboard.title} {shown}</div>
    {panels.map((panel: any, at: number) => {
      const { x, y, w, h } = panel.gridPos, wide = w * column - GAP, tall = h * CELL - GAP;
      const style: any = { position: 'absolute', left: GAP + x * column, top: HEAD + y * CELL, width: wide, height: tall };
      if (panel.type === 'row') return <div key={at} style={{ ...style, fontSize: 16, fontWeight: 500, paddingTop: 4 }}>{panel.collapsed ? '›' : '⌄'} {panel.title}</div>;
      const Kind = KINDS[panel.type];
      return <div key={at} style={style}><PanelChrome title={panel.title} description={panel.description} width={wide} height={tall}>
        {(width, height) => <Guard><Kind panel={panel} width={width} height={height} /></Guard>}
      </PanelChrome></div>;
    })}
  </div>;
}

document.body.style.background = theme.colors.background.canvas;
createRoot(document.getElementById('root')!).render(
  <ThemeContext.Provider value={theme}><MemoryRouter><GlobalStyles /><Board /></MemoryRouter></ThemeContext.Provider>,
);
