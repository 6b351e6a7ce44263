// The time that is looked at, and the pace.
import { PERIODS, bounds, shifted, type Period } from "../lib/ranges.ts";
import { paused, refresh } from "../lib/pace.ts";
import { REFRESH, format, go, route } from "../lib/route.ts";
import { clock } from "../lib/kept.ts";
import { helpShown } from "../lib/keys.ts";
import { time } from "../lib/time.ts";
import { saveIncident } from "../lib/incident.ts";
import { useState } from "preact/hooks";

export function Toolbar() {
  const { range, compare, refresh: pace } = route.value;
  const chosen = "period" in range ? range.period : "own";
  return (
    <div class="tools" role="group" aria-label="Time">
      <button type="button" class="narrow" title="Back  [" aria-label="Move the range back" onClick={() => move(-1)}>‹</button>
      <label>
        <span class="hidden">Range</span>
        <select value={chosen} onChange={(event) => choose(event.currentTarget.value)}>
          {PERIODS.map((period) => <option value={period} key={period}>last {period}</option>)}
          <option value="own">{"from" in range ? `${time(range.from)} – ${time(range.to)}` : "from … to"}</option>
        </select>
      </label>
      <button type="button" class="narrow" title="On  ]" aria-label="Move the range on" disabled={"period" in range} onClick={() => move(1)}>›</button>
      {"from" in range && <Instants from={range.from} to={range.to} />}
      <label>
        <span class="hidden">Compare with</span>
        <select value={compare ?? ""} onChange={(event) => {
          const value = event.currentTarget.value;
          const { compare: _, ...rest } = route.value;
          go(value === "day" || value === "week" ? { compare: value } : { ...rest, compare: undefined as never });
        }}>
          <option value="">compare</option>
          <option value="day">day before</option>
          <option value="week">week before</option>
        </select>
      </label>
      <label>
        <span class="hidden">Refresh</span>
        <select value={String(pace)} onChange={(event) => go({ refresh: Number(event.currentTarget.value) }, false)}>
          {REFRESH.map((seconds) => <option value={String(seconds)} key={seconds}>{seconds === 0 ? "no refresh" : `every ${seconds} s`}</option>)}
        </select>
      </label>
      <button type="button" class="icon" aria-pressed={paused.value} title={paused.value ? "Go on  (Space)" : "Pause  (Space)"} onClick={() => { paused.value = !paused.value; }}>
        {paused.value ? "Go on" : "Pause"}
      </button>
      <button type="button" class="icon" title="Ask for everything again  (r)" aria-label="Refresh" onClick={refresh}>↻</button>
      <Share />
      <Save />
      <button type="button" class="icon" title="Keys and colours  (?)" aria-label="Keys and colours" onClick={() => { helpShown.value = true; }}>?</button>
    </div>
  );
}

/** The address with the instants of now, for others to see the same. */
function Share() {
  const [said, setSaid] = useState("");
  const share = async () => {
    const [from, to] = bounds(route.value.range, clock());
    const whole = { from: Math.floor(from / 60_000) * 60_000, to: Math.ceil(to / 60_000) * 60_000 };
    const address = `${location.origin}/${format({ ...route.value, range: whole })}`;
    // Beyond this machine browsers want TLS for it; the address is in the bar then.
    const done = await navigator.clipboard?.writeText(address).then(() => true, () => false);
    if (!done) go({ range: whole });
    setSaid(done ? "copied" : "in the address");
    setTimeout(() => setSaid(""), 2000);
  };
  return <button type="button" class="icon" title="Copy the address of what is shown, with its instants" onClick={() => void share()}>{said || "Link"}</button>;
}

/** The page with its figures as one file. */
function Save() {
  const [state, setState] = useState<"" | "busy" | "failed">("");
  const save = async () => {
    setState("busy");
    setState((await saveIncident()) ? "" : "failed");
  };
  return (
    <button type="button" class="icon" disabled={state === "busy"} title="Save this page with its figures as one file, without secrets, to attach to a report" onClick={() => void save()}>
      {state === "busy" ? "…" : state === "failed" ? "not saved" : "Save"}
    </button>
  );
}

function Instants({ from, to }: { from: number; to: number }) {
  const local = (at: number) => new Date(at - new Date(at).getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
  const change = (text: string, which: "from" | "to") => {
    const at = Date.parse(text);
    const range = { from, to, [which]: at };
    if (range.from < range.to) go({ range });
  };
  return (
    <span class="instants">
      <input type="datetime-local" aria-label="From" value={local(from)} onChange={(event) => change(event.currentTarget.value, "from")} />
      <input type="datetime-local" aria-label="To" value={local(to)} onChange={(event) => change(event.currentTarget.value, "to")} />
    </span>
  );
}

function choose(value: string): void {
  if (value !== "own") return go({ range: { period: value as Period } });
  const [from, to] = bounds(route.value.range, clock());
  go({ range: { from: Math.floor(from / 60_000) * 60_000, to: Math.floor(to / 60_000) * 60_000 } });
}

function move(direction: number): void {
  go({ range: shifted(route.value.range, direction, clock()) });
}
