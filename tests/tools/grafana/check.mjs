// Checks dashboards against the types that Grafana publishes (@grafana/schema), with the TypeScript compiler: of the
// dashboard, and for each kind of panel of its options and field settings. A key or value that Grafana does not know
// is an error, with the dashboard and the panel. Left out: queries (a Prometheus answers them in the tests), and what
// a panel leaves to Grafana's defaults.
//
// Usage: node check.mjs FOLDER-OF-DASHBOARDS   (in a folder where `npm install` was run)

import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

/// The published types of each kind of panel.
const KINDS = {
  timeseries: 'timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen',
  stat: 'stat/panelcfg/x/StatPanelCfg_types.gen',
  heatmap: 'heatmap/panelcfg/x/HeatmapPanelCfg_types.gen',
  table: 'table/panelcfg/x/TablePanelCfg_types.gen',
  'state-timeline': 'statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen',
};
const CHECKED = 'checked.ts';

/// In JSON an enumeration is its value, and what a panel leaves out is Grafana's default.
const HEAD = `
import type { Dashboard, Panel, RowPanel, FieldConfigSource } from '@grafana/schema';
${Object.values(KINDS)
  .map((path, at) => `import type * as kind${at} from '@grafana/schema/dist/esm/raw/composable/${path}';`)
  .join('\n')}
type Json<T> = T extends string ? \`\${T}\` : T extends number | boolean | null | undefined ? T
  : T extends (infer U)[] ? Json<U>[] : T extends object ? { [K in keyof T]: Json<T[K]> } : T;
type Some<T> = T extends (infer U)[] ? Some<U>[] : T extends object ? { [K in keyof T]?: Some<T[K]> } : T;
type Whole = Json<Omit<Dashboard, 'panels' | 'templating' | 'annotations'>>;
type Variable = Json<NonNullable<NonNullable<Dashboard['templating']>['list']>[number]>;
type Row = Json<Omit<RowPanel, 'id' | 'panels'>>;
// Grafana gives panels their ids, and a target is of its data source's type.
type Frame = Json<Omit<Panel, 'options' | 'fieldConfig' | 'targets' | 'transformations'>>;
type Fields = Json<Omit<FieldConfigSource['defaults'], 'custom' | 'links'>>;
`;
const of = (kind, part) => {
  const at = Object.keys(KINDS).indexOf(kind);
  const has = part === 'Options' || kind !== 'stat';
  return has ? `Some<Json<kind${at}.${part}>>` : 'Record<string, never>';
};

/// The text to be checked, and what stands in each of its lines.
const lines = HEAD.split('\n');
const places = lines.map(() => 'the types themselves');
const faults = [];
let count = 0;
const check = (place, type, value) => {
  lines.push(`export const value${count++}: ${type} = ${JSON.stringify(value)};`);
  places.push(place);
};

const folder = process.argv[2];
for (const file of readdirSync(folder).filter((name) => name.endsWith('.json')).sort()) {
  const { panels, templating, annotations, ...whole } = JSON.parse(readFileSync(join(folder, file), 'utf8'));
  check(file, 'Whole', whole);
  templating.list.forEach((variable) => {
    // What a variable of a query asks is a matter of its data source.
    const { definition, ...rest } = variable;
    check(`${file}, variable ${variable.name}`, 'Variable', rest);
  });
  // A collapsed row holds its panels.
  for (const panel of panels.flatMap((panel) => [panel, ...(panel.panels ?? [])])) {
    const place = `${file}, panel "${panel.title}"`;
    if (panel.type === 'row') {
      const { panels: inside, ...row } = panel;
      check(place, 'Row', row);
      continue;
    }
    if (!(panel.type in KINDS)) {
      faults.push(`${place}: no types are known of ${panel.type}`);
      continue;
    }
    const { options, fieldConfig, targets, transformations, ...frame } = panel;
    const { custom = {}, ...fields } = fieldConfig.defaults;
    check(place, 'Frame', frame);
    check(`${place}, options`, of(panel.type, 'Options'), options);
    check(`${place}, fields`, 'Fields', fields);
    check(`${place}, custom fields`, of(panel.type, 'FieldConfig'), custom);
  }
}

writeFileSync(CHECKED, lines.join('\n'));
const program = ts.createProgram([CHECKED], {
  noEmit: true,
  strict: true,
  skipLibCheck: true,
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  target: ts.ScriptTarget.ES2022,
  types: [],
});
for (const found of ts.getPreEmitDiagnostics(program)) {
  const line = found.file?.fileName.endsWith(CHECKED)
    ? found.file.getLineAndCharacterOfPosition(found.start).line
    : undefined;
  faults.push(`${places[line] ?? 'the types'}: ${ts.flattenDiagnosticMessageText(found.messageText, ' ')}`);
}
faults.forEach((fault) => console.error(fault));
console.log(`${count} parts of dashboards checked, ${faults.length} faults`);
process.exit(faults.length === 0 && count > 0 ? 0 : 1);
