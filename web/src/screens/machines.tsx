// This machine, its GPUs, and the backends.
import { useAsk } from "../lib/api.ts";
import { useTopic } from "../lib/live.ts";
import * as as from "../lib/format.ts";
import { time } from "../lib/time.ts";
import type { GpuDevice, Workers } from "../lib/types.ts";
import { why, type Unknown } from "../lib/unknown.ts";
import { Empty, Loaded, Panel } from "../parts/panel.tsx";
import { Table, type Column } from "../parts/table.tsx";
import { Chip, Value } from "../parts/value.tsx";
import { Meter } from "../parts/meter.tsx";
import { Facts } from "./exchange.tsx";

type Known<T> = T | null;

interface Resources {
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
  unknown?: Unknown;
}

export function Machines() {
  const found = useAsk<Resources>("/dashboard/resources", 5);
  return (
    <>
      <Backends />
      <Loaded of={found}>{(machine) => <Machine machine={machine} />}</Loaded>
    </>
  );
}

function Backends() {
  const answer = useTopic<Workers>("workers");
  type Worker = Workers["workers"][number];
  const place = new Map((answer?.workers ?? []).map((one, at) => [one.id, at]));
  const reason = (one: Worker, pointer: string) => why(answer, `/workers/${place.get(one.id)}/${pointer}`);
  const columns: Column<Worker>[] = [
    { name: "backend", class: "name", cell: (one) => one.id },
    { name: "state", cell: (one) => <Chip tone={one.status === "active" ? "good" : one.status === "down" ? "bad" : "quiet"}>{one.status === "active" ? "answers" : one.status}</Chip> },
    { name: "server", cell: (one) => <Value of={one.capabilities} as={(all) => all.join(", ")} why={reason(one, "capabilities")} /> },
    { name: "address", cell: (one) => <code>{one.address}</code> },
    { name: "heard", cell: (one) => <Value of={one.last_heartbeat} as={time} why={reason(one, "last_heartbeat")} /> },
    { name: "in flight", number: true, cell: (one) => String(one.current_load.active_requests) },
    { name: "queued", number: true, cell: (one) => <Value of={one.current_load.queue_length} as={as.count} why={reason(one, "current_load/queue_length")} /> },
    { name: "latency, 24 h", number: true, cell: (one) => <Value of={one.current_load.average_latency_ms} as={as.duration} why={reason(one, "current_load/average_latency_ms")} /> },
    { name: "in memory", cell: (one) => <Value of={one.models_loaded} as={(all) => all.join(", ") || "nothing"} why={reason(one, "models_loaded")} /> },
  ];
  return (
    <Panel title="Backends">
      {answer ? <Table caption="The backends" columns={columns} rows={answer.workers} id={(one) => one.id} empty="No backend is configured." /> : <Empty>…</Empty>}
    </Panel>
  );
}

function Machine({ machine }: { machine: Resources }) {
  const { cpu, memory, disk, gpu, network } = machine;
  const reason = (pointer: string) => why(machine, pointer);
  const fact = (name: string, value: Known<number>, pointer: string, write: (value: number) => string) =>
    ({ name, value: <Value of={value} as={write} why={reason(pointer)} /> });
  return (
    <>
      <Panel title="GPUs" note={machine.node}>
        {gpu.devices.length === 0
          ? <Empty>No GPU is seen. NVIDIA's are read through its driver, AMD's through the kernel; <code>inferometer doctor</code> says what is missing.</Empty>
          : <ul class="cards">{gpu.devices.map((device, at) => <Gpu key={device.id} device={device} reason={(field) => reason(`/gpu/devices/${at}/${field}`)} />)}</ul>}
      </Panel>
      <div class="row three">
        <Panel title="Processors" note={machine.node}>
          <Meter label="all" of={cpu.usage_percent} why={reason("/cpu/usage_percent")} />
          <ul class="cores" aria-label="Each processor">
            {(cpu.per_core_usage ?? []).map((use, at) => <li key={at}><Meter label={String(at)} of={use} /></li>)}
          </ul>
          <p class="note">load <Value of={cpu.load_average} as={(all) => all.map((one) => one.toFixed(2)).join("  ")} why={reason("/cpu/load_average")} /> · <Value of={cpu.frequency_mhz} as={(mhz) => `${as.number(mhz / 1000)}\u202fGHz`} why={reason("/cpu/frequency_mhz")} /></p>
        </Panel>
        <Facts title="Memory" facts={[
          { name: "used", value: <Meter label="" of={memory.usage_percent} why={reason("/memory/usage_percent")} /> },
          fact("used", memory.used_gb, "/memory/used_gb", as.gib),
          fact("of", memory.total_gb, "/memory/total_gb", as.gib),
          fact("available", memory.available_gb, "/memory/available_gb", as.gib),
          fact("cached", memory.cached_gb, "/memory/cached_gb", as.gib),
          fact("swap used", memory.swap_used_gb, "/memory/swap_used_gb", as.gib),
        ].map((one, at) => (at === 0 ? { ...one, name: "share" } : one))} />
        <Panel title="Disks">
          {(disk.filesystems ?? []).map((one) => (
            <div key={one.mount}><Meter label={one.mount} of={one.usage_percent} note={`${as.gib(one.available_gb)} free`} /></div>
          ))}
          {disk.filesystems === null && <Empty>{reason("/disk/filesystems")}</Empty>}
          <p class="note">reads <Value of={disk.io_stats?.read_mb_per_second} as={(value) => `${as.mib(value)}/s`} why={reason("/disk/io_stats/read_mb_per_second")} />, writes <Value of={disk.io_stats?.write_mb_per_second} as={(value) => `${as.mib(value)}/s`} why={reason("/disk/io_stats/write_mb_per_second")} /></p>
          <p class="note">
            {(network.interfaces ?? []).map((one) => <span key={one.name}>{one.name}: {as.bytes(one.bytes_received)} in, {as.bytes(one.bytes_sent)} out </span>)}
            · <Value of={network.connections?.active} as={as.count} why={reason("/network/connections/active")} /> connections
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
      <Meter label="use" of={device.utilization_percent} why={reason("utilization_percent")} />
      <Meter label="memory" of={part} why={reason("memory_used_mb")} note={device.memory_total_mb === null ? "" : `of ${as.mib(device.memory_total_mb)}`} />
      <dl>
        <div><dt>power</dt><dd><Value of={device.power_usage_watts} as={as.watts} why={reason("power_usage_watts")} /></dd></div>
        <div><dt>temperature</dt><dd><Value of={device.temperature_celsius} as={as.celsius} why={reason("temperature_celsius")} /></dd></div>
        <div><dt>fan</dt><dd><Value of={device.fan_speed_percent} as={as.percent} why={reason("fan_speed_percent")} /></dd></div>
      </dl>
    </li>
  );
}
