// This machine, its GPUs, and the backends.
import { url, useAsk } from "../lib/api.ts";
import { moment, useLive } from "../lib/live.ts";
import * as as from "../lib/format.ts";
import { time } from "../lib/time.ts";
import type { GpuDevice, Workers } from "../lib/types.ts";
import { why, type Unknown } from "../lib/unknown.ts";
import { Facts } from "../parts/facts.tsx";
import { Empty, Loaded, Panel } from "../parts/panel.tsx";
import { Table, type Column } from "../parts/table.tsx";
import { Chip, Value, type Tone } from "../parts/value.tsx";
import { Meter } from "../parts/meter.tsx";
import { SeriesPanel, known, useSeries, type Shown } from "../parts/series.tsx";
import { Groups, type Grouped } from "./groups.tsx";

type Known<T> = T | null;

interface Resources extends Grouped {
  node: string;
  cpu: { cores: number; frequency_mhz: Known<number>; load_average: Known<number[]>; per_core_usage: Known<number[]>; usage_percent: Known<number> };
  memory: Record<"available_gb" | "buffers_gb" | "cached_gb" | "swap_total_gb" | "swap_used_gb" | "total_gb" | "usage_percent" | "used_gb", Known<number>>;
  disk: {
    filesystems: Known<{ mount: string; total_gb: number; used_gb: number; available_gb: number; usage_percent: Known<number> }[]>;
    io_stats: Known<Record<"read_mb_per_second" | "write_mb_per_second" | "reads_per_second" | "writes_per_second", Known<number>>>;
  };
  gpu: { devices: GpuDevice[] };
  network: {
    connections: Known<Record<"active" | "listening" | "time_wait", Known<number>>>;
    interfaces: Known<{ name: string; bytes_received: number; bytes_sent: number; errors: Known<number> }[]>;
  };
}

export function Machines() {
  const found = useAsk<Resources>("/dashboard/resources", 5);
  return (
    <>
      <Backends />
      {found.data ? <Machine machine={found.data} /> : <Panel title="Machine" window="now"><Loaded of={found}>{() => null}</Loaded></Panel>}
      <OverTime />
      <Processes />
      <Groups of={found.data} />
    </>
  );
}

const METRICS = [
  "gpu_watts", "cpu_watts", "gpu_percent", "cpu_percent", "memory_pressure_percent", "gpu_memory_used", "memory_used", "gpu_celsius", "cpu_celsius",
  "network_received", "network_sent", "disk_read", "disk_written",
];
const POWER: Shown[] = [{ metric: "gpu_watts", label: "GPUs", colour: "gpu", fill: true }, { metric: "cpu_watts", label: "processors", colour: "host" }];
const USE: Shown[] = [
  { metric: "gpu_percent", label: "GPUs", colour: "gpu", fill: true },
  { metric: "cpu_percent", label: "processors", colour: "host" },
  { metric: "memory_pressure_percent", label: "waits for memory", colour: "waiting", dash: 1 },
];
const MEMORY: Shown[] = [{ metric: "gpu_memory_used", label: "GPUs", colour: "gpu", fill: true }, { metric: "memory_used", label: "main memory", colour: "host" }];
const HEAT: Shown[] = [{ metric: "gpu_celsius", label: "hottest GPU", colour: "gpu" }, { metric: "cpu_celsius", label: "processors", colour: "host" }];
const NETWORK: Shown[] = [{ metric: "network_received", label: "received", colour: "host" }, { metric: "network_sent", label: "sent", colour: "host", dash: 1 }];
const DISKS: Shown[] = [{ metric: "disk_read", label: "read", colour: "host" }, { metric: "disk_written", label: "written", colour: "host", dash: 1 }];

const SOURCES: [string, string, Shown[]][] = [
  ["Power", "", POWER], ["Use", "", USE], ["Memory in use", "", MEMORY], ["Temperature", "", HEAT], ["Networks", "a second", NETWORK], ["Disks", "a second", DISKS],
];

/** What would measure it. */
const MISSING: Record<string, string> = {
  Power: "Power: GPUs report theirs through their driver; that of processors needs inferometer-helper.",
  Temperature: "Temperature: neither a GPU nor a sensor of the processors has reported one.",
};
const UNREAD = "none yet. Settings says what is read.";

function OverTime() {
  // No filter of exchanges divides a machine.
  const series = useSeries(METRICS, { model: undefined, backend: undefined, tenant: undefined, client: undefined }, 15);
  const isKnown = (lines: Shown[]) => !series.data || known(series.data, lines).length > 0;
  const missing = SOURCES.filter(([, , lines]) => !isKnown(lines));
  return (
    <div class="row three">
      {SOURCES.filter(([, , lines]) => isKnown(lines)).map(([title, note, lines]) => (
        <SeriesPanel key={title} title={title} note={note} of={series} lines={series.data ? known(series.data, lines) : lines} />
      ))}
      {missing.length > 0 && (
        <Panel title="No values in this time">{missing.map(([title]) => <p class="empty" key={title}>{MISSING[title] ?? `${title}: ${UNREAD}`}</p>)}</Panel>
      )}
    </div>
  );
}

interface Process {
  _id: string;
  name: string;
  type: string;
  pids: number[];
  cpuUsage: Known<number>;
  ramUsage: Known<number>;
  vramUsage: Known<number>;
  cpuLimit?: Known<number>;
  ramLimit?: Known<number>;
}

const KINDS: Record<string, string> = { "app-container": "service", "inference-container": "container", process: "process", vm: "virtual machine" };

/** Inference servers of this machine, by the control group in which they run. */
function Processes() {
  const found = useAsk<{ resources: Process[] | null; unknown?: Unknown }>(url("/dashboard/infrastructure/resources", { limit: 100 }), 10);
  return (
    <Panel title="Containers and processes" window="now" note="that run models on this machine" csv="/dashboard/infrastructure/resources?limit=100&format=csv">
      <Loaded of={found}>
        {(answer) => {
          if (answer.resources === null) return <Empty>{why(answer, "/resources")}</Empty>;
          const place = new Map(answer.resources.map((one, at) => [one, at]));
          const cell = (name: keyof Process, write: (value: number) => string) => (one: Process) =>
            <Value of={one[name] as Known<number> | undefined} as={write} why={why(answer, `/resources/${place.get(one)}/${name}`)} />;
          const limited = answer.resources.some((one) => one.cpuLimit !== undefined);
          const columns: Column<Process>[] = [
            { name: "name", class: "name", cell: (one) => one.name },
            { name: "kind", cell: (one) => KINDS[one.type] ?? one.type },
            { name: "processes", class: "message", cell: (one) => <code>{one.pids.join(" ")}</code> },
            { name: "processor", number: true, cell: cell("cpuUsage", as.percent) },
            ...(limited ? [{ name: "cores at most", number: true, cell: cell("cpuLimit", as.number) }] : []),
            { name: "memory", number: true, cell: cell("ramUsage", as.gib) },
            ...(limited ? [{ name: "memory at most", number: true, cell: cell("ramLimit", as.gib) }] : []),
            { name: "GPU memory", number: true, cell: cell("vramUsage", as.gib) },
          ];
          return <Table caption="What runs models on this machine" columns={columns} rows={answer.resources} id={(one) => one._id} empty="No inference server is recognised among the processes of this machine. Those of other machines are seen there." />;
        }}
      </Loaded>
    </Panel>
  );
}

function Backends() {
  const found = useLive<Workers>("workers");
  return (
    <Panel title="Backends" window={moment()}>
      <Loaded of={found}>{(answer) => <Listed answer={answer} />}</Loaded>
    </Panel>
  );
}

function Listed({ answer }: { answer: Workers }) {
  type Worker = Workers["workers"][number];
  const { workers } = answer;
  const place = new Map(workers.map((one, at) => [one.id, at]));
  const reason = (one: Worker, pointer: string) => why(answer, `/workers/${place.get(one.id)}/${pointer}`);
  const columns: Column<Worker>[] = [
    { name: "backend", class: "name", cell: (one) => one.id },
    { name: "state", cell: (one) => <State of={one} /> },
    ...(workers.some((one) => one.zone) ? [{ name: "zone", cell: (one: Worker) => <Value of={one.zone} why="None is configured for it." /> }] : []),
    ...(workers.some((one) => (one.tier ?? 0) > 0) ? [{ name: "tier", number: true, cell: (one: Worker) => String(one.tier ?? 0) }] : []),
    { name: "server", cell: (one) => <Value of={one.capabilities} as={(all) => all.join(", ")} why={reason(one, "capabilities")} /> },
    { name: "address", cell: (one) => <code>{one.address}</code> },
    { name: "last answer", cell: (one) => <Value of={one.last_heartbeat} as={time} why={reason(one, "last_heartbeat")} /> },
    { name: "in flight", number: true, cell: (one) => <>{one.current_load.active_requests}{one.slots ? <span class="quiet"> of {one.slots}</span> : ""}</> },
    ...(workers.length > 1 ? [{ name: "chosen because", class: "message", cell: (one: Worker) => <span class="quiet">{placed(one.placed)}</span> }] : []),
    { name: "waiting in it", number: true, cell: (one) => <Value of={one.current_load.queue_length} as={as.count} why={reason(one, "current_load/queue_length")} /> },
    { name: "latency, 24 h", number: true, cell: (one) => <Value of={one.current_load.average_latency_ms} as={as.duration} why={reason(one, "current_load/average_latency_ms")} /> },
    { name: "in memory", cell: (one) => <Value of={one.models_loaded} as={(all) => all.join(", ") || "nothing"} why={reason(one, "models_loaded")} /> },
  ];
  return <Table caption="The backends" columns={columns} rows={workers} id={(one) => one.id} empty="No backend is configured." />;
}

const STATES: Record<string, [Tone, string, string]> = {
  up: ["good", "answers", "It answers and is chosen."],
  slow: ["warn", "slow", "It answers, later than the others do."],
  loading: ["quiet", "loading", "It loads a model."],
  ejected: ["bad", "set aside", "Too much failed on it: it is given nothing for a while."],
  half_open: ["warn", "on trial", "It was set aside, and is given one exchange at a time until one succeeds."],
  draining: ["quiet", "draining", "It is given no further exchange, by configuration; those in flight go on."],
  down: ["bad", "down", "It does not answer."],
};

/** Most often first. */
function placed(of: Record<string, number> | undefined): string {
  const all = Object.entries(of ?? {}).filter(([, times]) => times > 0).sort((a, b) => b[1] - a[1]);
  return all.map(([why, times]) => `${as.words(why)} ${as.count(times)}`).join(", ");
}

/** Whether it answers and, of several, whether it is chosen and why not. */
function State({ of }: { of: Workers["workers"][number] }) {
  const plain: [Tone, string, string] = of.status === "active" ? ["good", "answers", "It answers."] : of.status === "down" ? ["bad", "down", "It does not answer."] : ["quiet", of.status, "It was not asked yet."];
  const [tone, word, text] = (of.status === "active" && of.state && STATES[of.state]) || plain;
  const slower = of.times_slower && of.times_slower > 1 ? `${as.number(of.times_slower)} times slower than usual` : "";
  const share = of.weight !== null && of.weight !== undefined && of.weight < 1 && of.status === "active" ? `${as.share(of.weight)} of its usual share` : "";
  const reason = [slower, share].filter(Boolean).join(", ");
  return <><Chip tone={tone} title={text}>{word}</Chip>{of.draining && word !== "draining" && <> <Chip tone="quiet" title={(STATES["draining"] as string[])[2] ?? ""}>draining</Chip></>}{reason && <span class="quiet"> {reason}</span>}</>;
}

function Machine({ machine }: { machine: Resources }) {
  const { cpu, memory, disk, gpu, network } = machine;
  const reason = (pointer: string) => why(machine, pointer);
  const fact = (name: string, value: Known<number>, pointer: string, write: (value: number) => string) =>
    ({ name, value: <Value of={value} as={write} why={reason(pointer)} /> });
  return (
    <>
      <Panel title="GPUs" note={machine.node} window="now">
        {gpu.devices.length === 0
          ? <Empty>No GPU is seen. NVIDIA's are read through its driver, AMD's through the kernel; <code>inferometer doctor</code> says what is missing.</Empty>
          : <ul class="cards">{gpu.devices.map((device, at) => <Gpu key={device.id} device={device} reason={(field) => reason(`/gpu/devices/${at}/${field}`)} />)}</ul>}
      </Panel>
      <div class="row three">
        <Panel title="Processors" note={machine.node} window="now">
          <Meter label="all" of={cpu.usage_percent} why={reason("/cpu/usage_percent")} />
          <ul class="cores" aria-label="Each processor">
            {(cpu.per_core_usage ?? []).map((use, at) => <li key={at}><Meter label={String(at)} of={use} /></li>)}
          </ul>
          <p class="note">load average <Value of={cpu.load_average} as={(all) => all.map((one) => one.toFixed(2)).join("  ")} why={reason("/cpu/load_average")} /> · <Value of={cpu.frequency_mhz} as={(mhz) => `${as.number(mhz / 1000)}\u202fGHz`} why={reason("/cpu/frequency_mhz")} /></p>
        </Panel>
        <Facts title="Memory" window="now" facts={[
          { name: "share", value: <Meter scarce label="" of={memory.usage_percent} why={reason("/memory/usage_percent")} /> },
          fact("in use", memory.used_gb, "/memory/used_gb", as.gib),
          fact("in all", memory.total_gb, "/memory/total_gb", as.gib),
          fact("free to use", memory.available_gb, "/memory/available_gb", as.gib),
          fact("files cached", memory.cached_gb, "/memory/cached_gb", as.gib),
          fact("swap in use", memory.swap_used_gb, "/memory/swap_used_gb", as.gib),
        ]} />
        <Panel title="Disks and networks" window="now">
          {(disk.filesystems ?? []).map((one) => (
            <div key={one.mount}><Meter scarce label={one.mount} of={one.usage_percent} note={`${as.gib(one.available_gb)} free`} /></div>
          ))}
          {disk.filesystems === null && <Empty>{reason("/disk/filesystems")}</Empty>}
          <p class="note">reads <Value of={disk.io_stats?.read_mb_per_second} as={(value) => `${as.mib(value)}/s`} why={reason("/disk/io_stats/read_mb_per_second")} />, writes <Value of={disk.io_stats?.write_mb_per_second} as={(value) => `${as.mib(value)}/s`} why={reason("/disk/io_stats/write_mb_per_second")} /></p>
          <p class="note">
            {(network.interfaces ?? []).map((one) => <span key={one.name}>{one.name}: {as.bytes(one.bytes_received)} in, {as.bytes(one.bytes_sent)} out · </span>)}
            <Value of={network.connections?.active} as={as.count} why={reason("/network/connections/active")} /> connections
          </p>
        </Panel>
      </div>
    </>
  );
}

function Gpu({ device, reason }: { device: GpuDevice; reason: (field: string) => string }) {
  const part = device.memory_used_mb !== null && device.memory_total_mb ? (device.memory_used_mb / device.memory_total_mb) * 100 : null;
  return (
    <li class="card">
      <header><b>{device.id}</b> <Value of={device.name} why={reason("name")} /></header>
      <Meter kind="gpu" label="use" of={device.utilization_percent} why={reason("utilization_percent")} />
      <Meter kind="gpu" scarce label="memory" of={part} why={reason("memory_used_mb")} note={device.memory_total_mb === null ? "" : `of ${as.mib(device.memory_total_mb)}`} />
      <dl>
        <div><dt>power</dt><dd><Value of={device.power_usage_watts} as={as.watts} why={reason("power_usage_watts")} /></dd></div>
        <div><dt>temperature</dt><dd><Value of={device.temperature_celsius} as={as.celsius} why={reason("temperature_celsius")} /></dd></div>
        <div><dt>fan</dt><dd><Value of={device.fan_speed_percent} as={as.percent} why={reason("fan_speed_percent")} /></dd></div>
      </dl>
    </li>
  );
}
