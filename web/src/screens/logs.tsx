// The log, what failed, and who changed what.
import { useState } from "preact/hooks";
import { url, useAsk } from "../lib/api.ts";
import { useEntries } from "../lib/live.ts";
import * as as from "../lib/format.ts";
import { clock } from "../lib/kept.ts";
import { since, windowOf } from "../lib/ranges.ts";
import { go, link, route, setOwn } from "../lib/route.ts";
import { full, time } from "../lib/time.ts";
import { whyKept, type Unknown } from "../lib/unknown.ts";
import { Empty, Loaded, Panel } from "../parts/panel.tsx";
import { Table, type Column } from "../parts/table.tsx";
import { Chip, Value, type Tone } from "../parts/value.tsx";

type Details = Record<string, unknown>;

interface Line {
  timestamp: string;
  level: string;
  component: string;
  message: string;
  metadata: Details;
}

interface Failure {
  id: string;
  timestamp: string;
  type: string;
  severity: string;
  component: string;
  message: string;
  details: { model: string | null; backend: string | null; status: number | null; trace: string | null };
  resolution_status: string;
}

interface Entry {
  id: string;
  timestamp: string;
  user: string | null;
  action: string;
  resource: string | null;
  level: string;
  source_ip: string | null;
  details: Details;
  result: string;
}

const TABS: [string, string][] = [["log", "Log"], ["errors", "Errors"], ["audit", "Audit"]];
const LEVELS = ["trace", "debug", "info", "warn", "error"];
const TONES: Record<string, Tone> = {
  error: "bad", warn: "warn", warning: "warn", info: "quiet", critical: "bad", high: "bad", medium: "warn", low: "quiet", failure: "bad", refused: "warn", success: "good",
};

const fields = (of: Details) =>
  Object.entries(of).map(([name, value]) => `${name}=${typeof value === "object" ? JSON.stringify(value) : String(value)}`).join("  ");

export function Logs() {
  const tab = route.value.own["tab"] ?? "log";
  return (
    <>
      <div class="tabs" role="tablist" aria-label="What is shown">
        {TABS.map(([name, title]) => (
          <button type="button" role="tab" key={name} aria-selected={name === tab} onClick={() => go({ own: name === "log" ? {} : { tab: name } })}>{title}</button>
        ))}
      </div>
      {tab === "errors" ? <Errors /> : tab === "audit" ? <Audit /> : <Log />}
    </>
  );
}

function Level({ all, none }: { all: string[]; none: string }) {
  return (
    <label>at least{" "}
      <select aria-label="At least" value={route.value.own["level"] ?? ""} onChange={(event) => setOwn("level", event.currentTarget.value)}>
        <option value="">{none}</option>
        {all.map((level) => <option key={level} value={level}>{level}</option>)}
      </select>
    </label>
  );
}

const MOST = 200;

function Log() {
  const { own, range } = route.value;
  const query = { level: own["level"], component: own["component"], since: since(range, clock()) };
  // The instant is not a part of what is asked: the same question a minute later is the same.
  const found = useAsk<{ logs: Line[] | null; total_count: number | null; unknown?: Unknown }>(url("/dashboard/logs", { ...query, limit: MOST }), 10);
  const [fresh, setFresh] = useState<Line[]>([]);
  useEntries<Line>("logs", (line) => setFresh((all) => [line, ...all].slice(0, MOST)));
  const severity = LEVELS.indexOf(own["level"] ?? "trace");
  const fits = (line: Line) => LEVELS.indexOf(line.level) >= severity && (!own["component"] || line.component === own["component"]);
  const columns: Column<Line>[] = [
    { name: "at", class: "when", cell: (line) => <span title={full(line.timestamp)}>{time(line.timestamp)}</span> },
    { name: "level", cell: (line) => <Chip tone={TONES[line.level] ?? "quiet"}>{line.level}</Chip> },
    { name: "part", cell: (line) => <button type="button" class="plain" onClick={() => setOwn("component", own["component"] ? undefined : line.component)}>{line.component}</button> },
    { name: "message", class: "message", cell: (line) => <span>{line.message} <span class="fields">{fields(line.metadata)}</span></span> },
  ];
  return (
    <Panel title="Log" window={windowOf(range)} note={<Level all={LEVELS} none="every level" />} csv={url("/dashboard/logs", { ...query, limit: 1000, format: "csv" })}>
      <Loaded of={found}>
        {(answer) => {
          if (answer.logs === null) return <Empty>{whyKept(answer, "/logs")}</Empty>;
          const newest = answer.logs[0]?.timestamp ?? "";
          const lines = [...fresh.filter((line) => line.timestamp > newest && fits(line)), ...answer.logs].slice(0, MOST);
          return <Table caption="Lines of the log" columns={columns} rows={lines} id={(line) => `${line.timestamp}${line.message}${fields(line.metadata)}`} empty="No line of this kind in this time." />;
        }}
      </Loaded>
    </Panel>
  );
}

/** What became of an error. */
const SINCE: Record<string, string> = { auto_resolved: "has worked again", manual_intervention: "acknowledged" };

function Errors() {
  const { own, range, filters } = route.value;
  const query = { severity: own["level"], model: filters.model, backend: filters.backend, since: since(range, clock()) };
  const found = useAsk<{ recent_errors: Failure[] | null; error_summary: { top_error_types: { type: string; count: number }[] | null }; unknown?: Unknown }>(
    url("/dashboard/errors", { ...query, limit: 100 }), 10,
  );
  const columns: Column<Failure>[] = [
    { name: "at", class: "when", cell: (one) => <span title={full(one.timestamp)}>{time(one.timestamp)}</span> },
    { name: "severity", cell: (one) => <Chip tone={TONES[one.severity] ?? "quiet"}>{one.severity}</Chip> },
    { name: "what", cell: (one) => as.words(one.type) },
    { name: "message", class: "message", cell: (one) => one.message },
    { name: "model", class: "name", cell: (one) => <Value of={one.details.model} why="It has to do with no model." /> },
    { name: "backend", cell: (one) => <Value of={one.details.backend} why="No backend was asked." /> },
    { name: "since then", cell: (one) => SINCE[one.resolution_status] ?? "no success yet" },
    { name: "trace", cell: (one) => (one.details.trace ? <a href={link("trace", one.details.trace)}>{one.details.trace.slice(0, 8)}…</a> : "") },
  ];
  return (
    <Panel title="Errors" window={windowOf(range)} note={<Level all={["low", "medium", "high", "critical"]} none="every severity" />} csv={url("/dashboard/errors", { ...query, limit: 1000, format: "csv" })}>
      <Loaded of={found}>
        {(answer) => (answer.recent_errors === null
          ? <Empty>{whyKept(answer, "/recent_errors")}</Empty>
          : (
            <>
              {answer.error_summary.top_error_types && answer.error_summary.top_error_types.length > 0 && (
                <p class="note">Most often in the last 24 hours: {answer.error_summary.top_error_types.map((one) => `${as.words(one.type)} (${as.count(one.count)})`).join(", ")}</p>
              )}
              <Table caption="What failed" columns={columns} rows={answer.recent_errors} id={(one) => one.id} empty="Nothing failed in this time." />
            </>
          ))}
      </Loaded>
    </Panel>
  );
}

function Audit() {
  const { range } = route.value;
  const query = { since: since(range, clock()) };
  const found = useAsk<{ entries: Entry[] | null; unknown?: Unknown }>(url("/dashboard/audit", { ...query, limit: 100 }), 30);
  const columns: Column<Entry>[] = [
    { name: "at", class: "when", cell: (one) => <span title={full(one.timestamp)}>{time(one.timestamp)}</span> },
    { name: "who", cell: (one) => <Value of={one.user} why="Nobody had to say who they are." /> },
    { name: "what", cell: (one) => as.words(one.action) },
    { name: "of", class: "name", cell: (one) => <Value of={one.resource} why="It concerns nothing in particular." /> },
    { name: "result", cell: (one) => <Chip tone={TONES[one.result] ?? "quiet"}>{one.result}</Chip> },
    { name: "from", cell: (one) => <Value of={one.source_ip} why="No client's address is kept." /> },
    { name: "more", class: "message", cell: (one) => <span class="fields">{fields(one.details)}</span> },
  ];
  return (
    <Panel title="Audit" window={windowOf(range)} note="who changed what, and who signed in" csv={url("/dashboard/audit", { ...query, limit: 1000, format: "csv" })}>
      <Loaded of={found}>
        {(answer) => (answer.entries === null
          ? <Empty>{whyKept(answer, "/entries")}</Empty>
          : <Table caption="Entries of the audit" columns={columns} rows={answer.entries} id={(one) => one.id} empty="Nobody changed anything or signed in, in this time." />)}
      </Loaded>
    </Panel>
  );
}
