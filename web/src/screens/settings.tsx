// The settings in force with where each comes from, what is kept, who asks, and what this program is.
import { useState } from "preact/hooks";
import { useAsk } from "../lib/api.ts";
import * as as from "../lib/format.ts";
import { saved } from "../lib/kept.ts";
import { may, session, sessionFailure, signOut } from "../lib/session.ts";
import { full, time } from "../lib/time.ts";
import { pause } from "../lib/pauses.ts";
import type { Health } from "../lib/types.ts";
import { why, type Unknown } from "../lib/unknown.ts";
import { FactList } from "../parts/facts.tsx";
import { Empty, Loaded, NoHistory, Panel, Trouble } from "../parts/panel.tsx";
import { Table, type Column } from "../parts/table.tsx";
import { Chip, Dash, Value } from "../parts/value.tsx";
import { Address } from "./now/flight.tsx";

interface Config {
  settings: Record<string, string>;
  sources: Record<string, string>;
}

interface Row {
  name: string;
  value: string;
  source: string;
}

const COLUMNS: Column<Row>[] = [
  { name: "setting", class: "name", cell: (row) => <code>{row.name}</code> },
  { name: "value", class: "message", cell: (row) => <code>{row.value}</code> },
  { name: "from", cell: (row) => (row.source === "default" ? <span class="quiet">default</span> : <Chip tone="quiet">{row.source}</Chip>) },
];

export function Settings() {
  const health = useAsk<Health>("/health", 30);
  const machine = useAsk<Machine>("/dashboard/resources", 10);
  const config = useAsk<Config>(may("dashboard:read") || saved ? "/dashboard/config" : null, 600);
  return (
    <>
      <div class="row three">
        <Panel title="What is kept"><Loaded of={health}>{(answer) => <Storage health={answer} />}</Loaded></Panel>
        <Panel title="Connections"><Loaded of={health}>{(answer) => <Connections health={answer} />}</Loaded></Panel>
        <Panel title="About"><Loaded of={health}>{(answer) => <About health={answer} />}</Loaded></Panel>
      </div>
      <Panel title="Data sources" window="now" note="what this machine's figures are read from"><Loaded of={machine}>{(answer) => <Sources machine={answer} />}</Loaded></Panel>
      <Panel title="Settings in force" note="reading them is noted in the audit">
        {sessionFailure.value && !config.data ? <Trouble failure={sessionFailure.value} /> : <Loaded of={config}>{(answer) => <Values config={answer} />}</Loaded>}
      </Panel>
    </>
  );
}

function Values({ config }: { config: Config }) {
  const [text, setText] = useState("");
  const [changed, setChanged] = useState(false);
  const rows = Object.entries(config.settings)
    .map(([name, value]) => ({ name, value, source: config.sources[name] ?? "default" }))
    .filter((row) => (!changed || row.source !== "default") && `${row.name} ${row.value}`.includes(text));
  return (
    <>
      <div class="filters">
        <label>Find <input type="search" value={text} onInput={(event) => setText(event.currentTarget.value)} /></label>
        <label class="check"><input type="checkbox" checked={changed} onChange={(event) => setChanged(event.currentTarget.checked)} /> only what differs from the defaults</label>
      </div>
      <Table caption="Each setting" columns={COLUMNS} rows={rows} id={(row) => row.name} empty="No setting of this name." />
    </>
  );
}

function Storage({ health }: { health: Health }) {
  const { history } = health;
  const at = (seconds: number | null | undefined) => <Value of={seconds} as={(value) => full(value * 1000)} why="Nothing of the kind is kept yet." />;
  const isOff = history.status === "off";
  const says = isOff ? <NoHistory /> : history.reason !== null && pause(history.reason);
  return (
    <FactList facts={[
      { name: "history", value: <Chip tone={history.status === "writing" ? "good" : history.status === "off" ? "quiet" : "warn"}>{history.status}</Chip> },
      ...(says ? [{ name: "because", value: says }] : []),
      { name: "on disk", value: <Value of={history.bytes} as={as.bytes} why="Nothing is kept." /> },
      { name: "oldest exchange", value: at(history.kept?.oldest) },
      { name: "days of exchanges", value: <Value of={history.kept?.oldest == null ? null : history.kept.days} as={as.count} why="Nothing is kept." /> },
      { name: "sums of minutes since", value: at(history.kept?.minutes_from) },
      { name: "sums of hours since", value: at(history.kept?.hours_from) },
      { name: "exchanges lost", value: isOff ? "all, as none is kept" : history.lost > 0 ? <span class="bad">{as.count(history.lost)}</span> : "none" },
    ]} />
  );
}

interface Source {
  name: string;
  success: boolean | null;
  last_success: string | null;
}

interface Machine {
  sources: Source[] | null;
  gpu: { devices: unknown[] };
  unknown?: Unknown;
}

/** What each is, and what it tells. */
const TELLS: Record<string, [string, string]> = {
  cpu: ["processors", "use, load and clock"], memory: ["memory", "main memory and swap"], disks: ["disks", "reads and writes"], filesystems: ["filesystems", "how full they are"],
  networks: ["networks", "bytes in and out"], sockets: ["connections", "of this machine"], temperatures: ["sensors", "temperatures of the processors"], pressure: ["pressure", "time spent waiting for processors, memory or disks"],
  processes: ["processes", "inference servers on this machine"], nvidia: ["NVIDIA's driver", "GPUs: use, memory, power, temperature"], amd: ["AMD's driver", "GPUs: use, memory, power, temperature"],
  helper: ["inferometer-helper", "power of the processors, and what only root may read"],
};

function Sources({ machine }: { machine: Machine }) {
  if (machine.sources === null) return <Empty>The machine is not read: [host] is off in the settings.</Empty>;
  const place = new Map(machine.sources.map((one, at) => [one.name, at]));
  const columns: Column<Source>[] = [
    { name: "source", class: "name", cell: (one) => TELLS[one.name]?.[0] ?? one.name },
    { name: "tells", cell: (one) => TELLS[one.name]?.[1] ?? "" },
    { name: "state", cell: (one) => <State of={one} hasGpu={machine.gpu.devices.length > 0} /> },
    { name: "last read", cell: (one) => <Value of={one.last_success} as={(at) => <span title={full(at)}>{time(at)}</span>} why={why(machine, `/sources/${place.get(one.name)}/last_success`)} /> },
  ];
  return (
    <>
      <Table caption="What the machine is read from" columns={columns} rows={machine.sources} id={(one) => one.name} empty="Nothing is read." />
      {!place.has("helper") && <p class="note">inferometer-helper is not set up: it is what may read the power of processors. Install it and set <code>helper_url</code>.</p>}
    </>
  );
}

/** Where there is nothing of the kind, reading it succeeds. */
function State({ of: { name, success }, hasGpu }: { of: Source; hasGpu: boolean }) {
  if (success === null) return <Chip tone="quiet">not read yet</Chip>;
  if (!success) return <Chip tone="bad" title="The log says why.">fails</Chip>;
  return (name === "nvidia" || name === "amd") && !hasGpu ? <Chip tone="quiet">no GPU found</Chip> : <Chip tone="good">no error</Chip>;
}

const NOBODY = "The program has not said it yet.";

function Connections({ health }: { health: Health }) {
  const who = session.value;
  return (
    <>
      <dl class="facts">
        {health.backends.map((one) => (
          <div key={one.name}><dt>{one.name}</dt><dd><code>{one.address}</code> <Value of={one.runtime} why="It was not recognised yet." /> <Value of={one.version} why="It does not report its version." /></dd></div>
        ))}
        <div><dt>clients</dt><dd><Address /></dd></div>
        <div><dt>metrics</dt><dd><a href="/metrics">/metrics</a>, for Prometheus</dd></div>
        <div><dt>API</dt><dd><a href="/openapi.json">/openapi.json</a> describes it</dd></div>
        <div><dt>you are</dt><dd>{who ? `${who.user ?? "anyone on this machine"}, by ${who.method === "none" ? "no credentials" : as.words(who.method)}` : <Dash why={NOBODY} />}</dd></div>
        <div><dt>permissions</dt><dd>{who?.permissions.join(", ") ?? <Dash why={NOBODY} />}</dd></div>
      </dl>
      {who?.session && <button type="button" onClick={() => void signOut()}>Sign out</button>}
    </>
  );
}

function About({ health }: { health: Health }) {
  return (
    <FactList facts={[
      { name: "inferometer", value: health.version },
      { name: "revision", value: <Value of={health.revision} why="The build knew none." /> },
      { name: "runs for", value: as.span(health.uptime_seconds) },
      { name: "state", value: health.status },
      { name: "without scripts", value: <a href="/plain">the plain page</a> },
      { name: "licences", value: <a href="/assets/licences.txt">of what this page is made from</a> },
      { name: "content", value: "No prompt and no answer is kept or shown." },
    ]} />
  );
}
