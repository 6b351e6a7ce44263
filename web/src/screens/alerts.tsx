// What deserves attention now, what did, and the rules.
import { useState } from "preact/hooks";
import { change, url, useAsk } from "../lib/api.ts";
import { ended, pending, standing, type ActiveAlert, type Alerts as Answer, type KeptAlert, type ResolvedAlert, type Rule } from "../lib/alerts.ts";
import { may } from "../lib/session.ts";
import * as as from "../lib/format.ts";
import { clockAhead, useLive } from "../lib/live.ts";
import { now, refresh } from "../lib/pace.ts";
import { DAY, lengthOf } from "../lib/ranges.ts";
import { health } from "../lib/program.ts";
import { full, time } from "../lib/time.ts";
import { why } from "../lib/unknown.ts";
import { Empty, Loaded, Panel } from "../parts/panel.tsx";
import { Table, type Column } from "../parts/table.tsx";
import { Chip, Value, type Tone } from "../parts/value.tsx";

/** In milliseconds. */
const DAY_LONG = lengthOf({ period: "24h" });

const TONES: Record<string, Tone> = { critical: "bad", warning: "warn", info: "quiet" };
const tone = (level: string): Tone => TONES[level] ?? "warn";

const STATES: Record<string, string> = { quiet: "does not hold", not_yet: "too little has happened to tell", no_samples: "nothing happened that could tell", needs_prometheus: "needs Prometheus" };

/** `InferometerBackendDown` as people say it. */
const plain = (name: string): string =>
  name.replace(/^Inferometer/, "").replace(/([a-z])([A-Z])/g, (_, a: string, b: string) => `${a} ${b.toLowerCase()}`).replaceAll("_", " ").replace(/^Gpu/, "GPU");

const RESOLVED: Column<ResolvedAlert>[] = [
  { name: "level", cell: (one) => <Chip tone={tone(one.level)}>{one.level}</Chip> },
  { name: "alert", class: "name", cell: (one) => one.title },
  { name: "began", cell: (one) => <Value of={one.timestamp} as={(at) => <span title={full(at)}>{time(at)}</span>} why="When it began is not kept." /> },
  { name: "ended", cell: (one) => <span title={full(one.resolved_at)}>{time(one.resolved_at)}</span> },
];

/** Whether the condition holds now: for long enough, or not yet. */
const holds = (rule: Rule): boolean => rule.state === "firing" || rule.state === "pending";

const RULES: Column<Rule>[] = [
  { name: "severity", cell: (one) => <Chip tone={holds(one) ? tone(one.severity) : "quiet"}>{one.severity}</Chip> },
  { name: "rule", class: "name", cell: (one) => plain(one.name) },
  { name: "state", cell: (one) => <span title={one.reason ?? ""}>{STATES[one.state ?? ""] ?? as.words(one.state ?? (one.enabled ? "looked at" : "off"))}{one.reason && <span class="quiet">: {one.reason}</span>}</span>, class: "message" },
  { name: "must hold for", number: true, cell: (one) => (one.for_seconds ? as.span(one.for_seconds) : "") },
  { name: "condition", class: "message", cell: (one) => <details><summary>show</summary><code>{one.condition}</code></details> },
];

export function Alerts() {
  const found = useLive<Answer>("alerts");
  const rules = found.data?.alert_rules ?? [];
  const apart = rules.filter((rule) => !rule.enabled).length;
  return (
    <>
      <Panel title="Now" note={found.data ? standing(found.data) : ""}>
        <Loaded of={found}>{(answer) => <Standing answer={answer} />}</Loaded>
      </Panel>
      <Panel title="Ended" window={DAY}>
        <Loaded of={found}>
          {(answer) => (answer.resolved_alerts === null ? <Empty>{why(answer, "/resolved_alerts")}</Empty> : <Ended seen={answer.resolved_alerts} />)}
        </Loaded>
      </Panel>
      <Panel title="Rules" note={rules.length > 0 ? `${rules.length}${apart > 0 ? `, of which ${apart} cannot be looked at here` : ""}` : ""}>
        <Loaded of={found}>
          {(answer) => <Table caption="The rules" columns={RULES} rows={[...answer.alert_rules].sort((one, other) => Number(holds(other)) - Number(holds(one)))} id={(one) => one.name} empty="There is no rule." />}
        </Loaded>
      </Panel>
    </>
  );
}

function Ended({ seen }: { seen: ResolvedAlert[] }) {
  const isKept = health.value?.history.status !== "off";
  const kept = useAsk<{ data: KeptAlert[] }>(isKept ? url("/dashboard/alerts/history", { period: "24h", limit: 100 }) : null, 30);
  const rows = ended(seen, kept.data?.data ?? [], now.value + clockAhead.value - DAY_LONG);
  const table = (empty: string) => <Table caption="Alerts that are over" columns={RESOLVED} rows={rows} id={(one) => one.id} empty={empty} />;
  if (!isKept) return table("No alert has ended since the program started; those before are not known, as no history is kept.");
  if (rows.length > 0) return table("");
  return <Loaded of={kept}>{() => table("No alert has ended.")}</Loaded>;
}

/** What is wrong, and what is about to be. */
function Standing({ answer }: { answer: Answer }) {
  const { active_alerts: active, alert_rules: rules } = answer;
  const coming = pending(rules);
  return (
    <>
      {active.length === 0 && coming.length === 0 && <Quiet rules={rules} />}
      {active.length + coming.length > 0 && (
        <ul class="alerts">
          {active.map((one) => <One key={one.id} alert={one} />)}
          {coming.map((rule) => (
            <li class={`alert ${tone(rule.severity)} pending`} key={rule.name}>
              <Chip tone={tone(rule.severity)}>{rule.severity}</Chip>
              <div>
                <h3>{plain(rule.name)}</h3>
                <p>Its condition holds{rule.pending_since && ` since ${time(rule.pending_since)}`}. It becomes an alert once that has lasted for {as.span(rule.for_seconds ?? 0)}.</p>
              </div>
              <span class="note">not an alert yet</span>
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

/** Which conditions do not hold, and which nobody can judge. */
function Quiet({ rules }: { rules: Rule[] }) {
  const untold = rules.filter((rule) => rule.state !== "quiet").length;
  return <Empty>Of {rules.length} rules {rules.length - untold} do not hold{untold > 0 && `, and ${untold} cannot be judged: too little has happened, or nothing of the kind, or they need Prometheus`}.</Empty>;
}

function One({ alert }: { alert: ActiveAlert }) {
  // Its message has the value with its unit, and the rule's condition the threshold.
  const { runbook, value: _, threshold: __, ...more } = alert.details ?? {};
  const details = Object.entries(more).filter(([, value]) => value !== null && typeof value !== "object");
  return (
    <li class={`alert ${tone(alert.level)}`} data-row="" tabIndex={0}>
      <Chip tone={tone(alert.level)}>{alert.level}</Chip>
      <div>
        <h3>{alert.title}</h3>
        <p>{alert.message}</p>
        {details.length > 0 && <p class="note">{details.map(([name, value]) => `${as.words(name)} ${typeof value === "number" ? as.number(value) : String(value)}`).join(" · ")}</p>}
        {alert.actions.length > 0 && <p class="note">What to do: {alert.actions.map(as.words).join(", ")}{typeof runbook === "string" && <> (see <code>{runbook}</code>)</>}.</p>}
      </div>
      <span class="note" title={full(alert.timestamp)}>since {time(alert.timestamp)}</span>
      <Acknowledge alert={alert} />
    </li>
  );
}

function Acknowledge({ alert }: { alert: ActiveAlert }) {
  const [state, setState] = useState<"" | "busy" | string>("");
  if (alert.acknowledged) return <Chip tone="quiet">acknowledged</Chip>;
  if (!may("dashboard:admin")) return null;
  const acknowledge = async () => {
    setState("busy");
    const done = await change(`/dashboard/alerts/${encodeURIComponent(alert.id)}/ack`);
    setState("failure" in done ? done.failure.message : "");
    if ("data" in done) refresh();
  };
  return (
    <span>
      <button type="button" disabled={state === "busy"} onClick={() => void acknowledge()}>Acknowledge</button>
      {state && state !== "busy" && <span class="trouble" role="alert">{state}</span>}
    </span>
  );
}
