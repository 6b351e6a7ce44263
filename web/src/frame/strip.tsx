// One line: does it serve, do the backends answer, is something wrong, how old are the figures.
import { useEffect } from "preact/hooks";
import { needsSignIn, useAsk } from "../lib/api.ts";
import { isCut, lastHeard, linkState, useTopic } from "../lib/live.ts";
import { health } from "../lib/program.ts";
import { saved } from "../lib/kept.ts";
import { now, paused } from "../lib/pace.ts";
import { link } from "../lib/route.ts";
import { span } from "../lib/format.ts";
import type { Health, Workers } from "../lib/types.ts";
import { pending, standing, type Alerts } from "../lib/alerts.ts";

function Pill({ tone, to, children }: { tone: string; to?: string; children: string }) {
  const inner = <><i class={`dot ${tone}`} aria-hidden="true" />{children}</>;
  return to ? <a class="pill" href={to}>{inner}</a> : <span class="pill">{inner}</span>;
}

export function Strip() {
  const asked = useAsk<Health>("/health", 30);
  useEffect(() => { health.value = asked.data; }, [asked.data]);
  const workers = useTopic<Workers>("workers")?.workers;
  const alerts = useTopic<Alerts>("alerts");
  // Whether the program serves is unknown while it does not answer.
  const isReached = !isCut() && !asked.failure;
  const serving = isReached ? asked.data?.status : undefined;
  const history = asked.data?.history.status;
  return (
    <div class="strip" role="group" aria-label="State">
      {serving && <Pill tone={serving === "serving" ? "good" : "warn"}>{serving}</Pill>}
      {workers && <Backends workers={workers} />}
      {alerts && <Alerting of={alerts} />}
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
  return <Pill tone={isCut() ? "quiet" : up === all ? "good" : up === 0 ? "bad" : "warn"} to={link("machines")}>{text}</Pill>;
}

/** What is about to be an alert is said as well. */
function Alerting({ of }: { of: Alerts }) {
  const isCritical = of.active_alerts.some((one) => one.level === "critical");
  const isQuiet = of.active_alerts.length + pending(of.alert_rules).length === 0;
  return <Pill tone={isCut() ? "quiet" : isCritical ? "bad" : isQuiet ? "good" : "warn"} to={link("alerts")}>{standing(of)}</Pill>;
}

function Age() {
  if (saved) return <Pill tone="quiet">saved</Pill>;
  if (paused.value) return <Pill tone="quiet">paused</Pill>;
  if (needsSignIn.value) return <Pill tone="quiet">signed out</Pill>;
  if (lastHeard.value === 0) return isCut() ? <Pill tone="bad">{linkState.value === "lost" ? "not connected" : "no answers"}</Pill> : <Pill tone="quiet">connecting</Pill>;
  const age = Math.max(0, Math.round((now.value - lastHeard.value) / 1000));
  if (linkState.value === "open" && age < 8) return <Pill tone="good">live</Pill>;
  return <Pill tone="warn">{`figures ${span(age)} old`}</Pill>;
}
