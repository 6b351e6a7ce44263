// The control groups in which models run, with their limits.
import * as as from "../lib/format.ts";
import { why, type Unknown } from "../lib/unknown.ts";
import { Panel } from "../parts/panel.tsx";
import { Table, type Column } from "../parts/table.tsx";
import { Value } from "../parts/value.tsx";

type Known<T> = T | null;

interface Group {
  name: string;
  runtime: Known<string>;
  pod: Known<string>;
  path: string;
  pids: number[];
  cpu_limit_cores: Known<number>;
  cpu_usage_percent: Known<number>;
  memory_limit_gb: Known<number>;
  memory_used_gb: Known<number>;
  tasks_limit: Known<number>;
  tasks: Known<number>;
}

export interface Grouped {
  control_groups: Known<Group[]>;
  unknown?: Unknown;
}

type Figure = "cpu_limit_cores" | "cpu_usage_percent" | "memory_limit_gb" | "memory_used_gb" | "tasks_limit" | "tasks";

/** Nothing where there are none: the table of processes says so. */
export function Groups({ of }: { of: Grouped | null | undefined }) {
  const groups = of?.control_groups ?? [];
  if (groups.length === 0) return null;
  const place = new Map(groups.map((one, at) => [one, at]));
  const pointer = (one: Group, name: keyof Group) => `/control_groups/${place.get(one)}/${name}`;
  const figure = (name: Figure, write: (value: number) => string) => (one: Group) =>
    <Value of={one[name]} as={write} why={why(of, pointer(one, name))} />;
  // That there is no limit is known.
  const limit = (name: Figure, write: (value: number) => string) => (one: Group) =>
    of?.unknown?.[pointer(one, name)] === "not_applicable" ? <span class="quiet">no limit</span> : figure(name, write)(one);
  const columns: Column<Group>[] = [
    { name: "group", class: "name", cell: (one) => <span title={one.path}>{one.name}</span> },
    { name: "run by", cell: (one) => <Value of={one.runtime} why={why(of, pointer(one, "runtime"))} /> },
    ...(groups.some((one) => one.pod) ? [{ name: "pod", class: "message", cell: (one: Group) => one.pod && <code>{one.pod}</code> }] : []),
    { name: "processes", class: "message", cell: (one) => <code>{one.pids.join(" ")}</code> },
    { name: "processor", number: true, cell: figure("cpu_usage_percent", as.percent) },
    { name: "cores at most", number: true, cell: limit("cpu_limit_cores", as.number) },
    { name: "memory", number: true, cell: figure("memory_used_gb", as.gib) },
    { name: "memory at most", number: true, cell: limit("memory_limit_gb", as.gib) },
    { name: "tasks", number: true, cell: figure("tasks", as.count) },
    { name: "tasks at most", number: true, cell: limit("tasks_limit", as.count) },
  ];
  return (
    <Panel title="Control groups" window="now" note="in which they run; memory includes files that the kernel keeps for them">
      <Table caption="Control groups with their limits" columns={columns} rows={groups} id={(one) => one.path} empty="" />
    </Panel>
  );
}
