// The models in memory: how much of it, and until when.
import { clockAhead, moment, useLive, useTopic } from "../../lib/live.ts";
import { now } from "../../lib/pace.ts";
import * as as from "../../lib/format.ts";
import { machineOf, type Room } from "../../lib/room.ts";
import { link } from "../../lib/route.ts";
import type { InFlight, Model, Models, Running, Stats, Workers } from "../../lib/types.ts";
import { unloadOf } from "../../lib/unload.ts";
import { Loaded, Panel } from "../../parts/panel.tsx";
import { Dash } from "../../parts/value.tsx";
import { NoModels } from "../../parts/backends.tsx";
import { At } from "./at.tsx";

const KINDS = ["gpu", "host"] as const;
type Kind = (typeof KINDS)[number];

const NAMES: Record<Kind, string> = { gpu: "GPU memory", host: "main memory" };

const held = (model: Model, kind: Kind): number =>
  (kind === "gpu" ? model.resource_usage.gpu_memory_usage_mb : model.resource_usage.memory_usage_mb) ?? 0;

const heldInAll = (model: Model): number => held(model, "gpu") + held(model, "host");

export function Memory() {
  const found = useLive<Models>("models");
  const count = found.data?.models.filter((model) => model.status === "loaded").length;
  // What a backend holds is unknown while it does not answer.
  const note = found.data && found.data.models.length > 0 ? `${count} of ${found.data.models.length} models` : "";
  return (
    <Panel title="In memory" note={note} window={moment()} class="memory">
      <Loaded of={found}>{(answer) => <Held answer={answer} />}</Loaded>
    </Panel>
  );
}

function Held({ answer }: { answer: Models }) {
  const workers = useTopic<Workers>("workers");
  const stats = useTopic<Stats>("stats");
  const flight = useTopic<InFlight>("in_flight")?.exchanges ?? [];
  const loaded = answer.models.map((model, at) => ({ model, at })).filter(({ model }) => model.status === "loaded");
  if (loaded.length === 0) {
    return answer.models.length === 0
      ? <NoModels />
      : <p class="empty">None of {answer.models.length} models is in memory: the next request loads its own.</p>;
  }
  const largest = loaded.reduce((most, { model }) => Math.max(most, ...KINDS.map((kind) => held(model, kind))), 0);
  const rooms = loaded.map(({ model }) => machineOf(model.backend, workers, stats));
  return (
    <>
      <ul class="rows">
        {loaded.map(({ model, at }, place) => (
          <li key={`${model.backend}/${model.name}`}>
            <span class="name" title={model.name}><a href={link("models", undefined, {}, { model: model.name })}>{model.name}</a><At backend={model.backend} /></span>
            <span class="n">{heldInAll(model) > 0 ? as.mib(heldInAll(model)) : <Dash why="Its backend does not report how much it takes." />}</span>
            <span class="n age"><Until model={model} why={answer.unknown?.[`/models/${at}/expires_at`]} flight={flight} /></span>
            {KINDS.filter((kind) => held(model, kind) > 0).map((kind) => <Bar key={kind} kind={kind} part={held(model, kind)} room={rooms[place]?.[kind]} largest={largest} />)}
          </li>
        ))}
      </ul>
      {largest > 0 && <Scale held={loaded.map(({ model }) => model)} rooms={rooms} largest={largest} />}
    </>
  );
}

function Until({ model, why, flight }: { model: Model; why: string | undefined; flight: Running[] }) {
  const unload = unloadOf(model, why, flight, now.value + clockAhead.value);
  switch (unload) {
    case "used": return <span title="It is used at this moment.">in use</span>;
    case "over": return <span title="Its time without a request is over: its backend unloads it.">unloading</span>;
    case "kept": return <span title="It is kept until it is unloaded by hand.">kept</span>;
    case "unknown": return <Dash why="Its backend does not report when it is unloaded." />;
    default: return <span title="It is unloaded after so long without a request.">{as.span(unload)}</span>;
  }
}

/** A share of the machine's memory; where that is not known, of the largest model's. */
function Bar({ kind, part, room, largest }: { kind: Kind; part: number; room: number | undefined; largest: number }) {
  const share = Math.min(1, part / (room ?? largest));
  const text = room === undefined ? `${as.mib(part)} of ${NAMES[kind]}; how much its machine has is not known` : `${as.mib(part)}, ${as.share(share)} of ${as.mib(room)} of ${NAMES[kind]}`;
  return (
    <span class={room === undefined ? "meter relative" : "meter"} role="img" aria-label={text} title={text}>
      <i class={kind} style={{ width: `${share * 100}%` }} />
    </span>
  );
}

/** What a full bar means. */
function Scale({ held: models, rooms, largest }: { held: Model[]; rooms: Room[]; largest: number }) {
  const used = KINDS.filter((kind) => models.some((model) => held(model, kind) > 0));
  const text = used.flatMap((kind) => {
    const room = rooms.find((one) => one[kind] !== undefined)?.[kind];
    return room === undefined ? [] : [`this machine's ${NAMES[kind]}, ${as.mib(room)}`];
  });
  const lost = used.filter((kind) => models.some((model, place) => held(model, kind) > 0 && rooms[place]?.[kind] === undefined));
  if (lost.length > 0) text.push(`${text.length > 0 ? "where that is not known, the" : "the"} largest model, ${as.mib(largest)}`);
  const why = lost.length > 0 && text.length === 1 ? ` How much ${lost.map((kind) => NAMES[kind]).join(" and ")} its machine has is not known.` : "";
  return <p class="note scale">A full bar is {text.join("; ")}.{why}</p>;
}
