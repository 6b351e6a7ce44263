// One line: does it serve, do the backends answer, is something wrong, how old are the figures.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { useAsk } from "../lib/api.ts";
import { lastHeard, linkState, useTopic } from "../lib/live.ts";
import { saved } from "../lib/kept.ts";
import { now, paused } from "../lib/pace.ts";
import { link } from "../lib/route.ts";
import { span } from "../lib/format.ts";
import type { Health, Workers } from "../lib/types.ts";
import type { AlertsAnswer } from "../screens/alerts.tsx";

function Pill({ tone, to, children }: { tone: string; to?: string; children: string }) {
  const inner = <><i class={`dot ${tone}`} aria-hidden="true" />{children}</>;
  return to ? <a class="pill" href={to}>{inner}</a> : <span class="pill">{inner}</span>;
}

/** How the history does, for the banner. */
export const kept = signal<Health["history"] | undefined>(undefined);

export function Strip() {
  const health = useAsk<Health>("/health", 30);
  useEffect(() => { kept.value = health.data?.history; }, [health.data]);
  const workers = useTopic<Workers>("workers")?.workers;
  const alerts = useTopic<AlertsAnswer>("alerts")?.active_alerts;
  const serving = health.failure ? undefined : health.data?.status;
  const history = health.data?.history.status;
  return (
    <div class="strip" role="group" aria-label="State">
      {serving && <Pill tone={serving === "serving" ? "good" : "warn"}>{serving}</Pill>}
      {workers && <Backends workers={workers} />}
      {alerts && (
        <Pill tone={alerts.some((one) => one.level === "critical") ? "bad" : alerts.length ? "warn" : "good"} to={link("alerts")}>
          {alerts.length === 0 ? "no alerts" : alerts.length === 1 ? "1 alert" : `${alerts.length} alerts`}
        </Pill>
      )}
      {history && history !== "writing" && <Pill tone="warn" to={link("settings")}>{`history ${history}`}</Pill>}
      <Age />
    </div>
  );
}

function Backends({ workers }: { workers: Workers["workers"] }) {
  const up = workers.filter((one) => one.status === "active").length;
  const all = workers.length;
  const apart = workers.filter((one) => one.state && ["ejected", "half_open", "slow", "draining"].includes(one.state)).map((one) => `${one.id} ${one.state === "ejected" ? "set aside" : one.state === "half_open" ? "on trial" : one.state}`);
  if (up === all && apart.length > 0) return <Pill tone="warn" to={link("machines")}>{apart.length > 2 ? `${apart.length} of ${all} backends slow or set aside` : apart.join(", ")}</Pill>;
  const text = all === 1 ? (up ? "backend answers" : "backend is down") : `${up} of ${all} backends answer`;
  return <Pill tone={up === all ? "good" : up === 0 ? "bad" : "warn"} to={link("machines")}>{text}</Pill>;
}

function Age() {
  if (saved) return <Pill tone="quiet">saved</Pill>;
  if (paused.value) return <Pill tone="quiet">paused</Pill>;
  if (lastHeard.value === 0) return <Pill tone="quiet">connecting</Pill>;
  const age = Math.max(0, Math.round((now.value - lastHeard.value) / 1000));
  if (linkState.value === "open" && age < 8) return <Pill tone="good">live</Pill>;
  return <Pill tone="warn">{`figures ${span(age)} old`}</Pill>;
}
