// The exchanges that go on, with the phase that each has reached.
import { useRef } from "preact/hooks";
import { moment, useLive, useTopic } from "../../lib/live.ts";
import * as as from "../../lib/format.ts";
import { heardAs } from "../../lib/names.ts";
import type { InFlight, Models, Running as One } from "../../lib/types.ts";
import { why } from "../../lib/unknown.ts";
import { Loaded, Panel } from "../../parts/panel.tsx";
import { Dash, Value } from "../../parts/value.tsx";
import { At } from "./at.tsx";
import { Stop } from "./stop.tsx";

const SHOWN = 40;

const PHASES = ["upload", "waiting", "prefill", "decode"];
const WORDS: Record<string, string> = {
  upload: "the request is being sent", waiting: "waits for the backend", prefill: "reads the prompt", decode: "generates", loading: "its model is loaded into memory",
};
const SHORT: Record<string, string> = { upload: "sending", prefill: "prompt", decode: "answer" };

/** Pieces a second since the exchange began to generate, by what the page saw. */
function useRates(exchanges: One[]): Map<string, number> {
  const seen = useRef(new Map<string, { pieces: number; at: number; rate: number | undefined }>());
  const rates = new Map<string, number>();
  const next = new Map<string, { pieces: number; at: number; rate: number | undefined }>();
  for (const one of exchanges) {
    const before = seen.current.get(one.id);
    let kept = before ?? { pieces: one.pieces, at: one.age_ms, rate: undefined };
    if (before && one.age_ms - before.at >= 900) {
      const fresh = ((one.pieces - before.pieces) / (one.age_ms - before.at)) * 1000;
      kept = { pieces: one.pieces, at: one.age_ms, rate: before.rate === undefined ? fresh : before.rate * 0.5 + fresh * 0.5 };
    }
    next.set(one.id, kept);
    if (kept.rate !== undefined && one.phase === "decode") rates.set(one.id, kept.rate);
  }
  seen.current = next;
  return rates;
}

export function Flight() {
  const found = useLive<InFlight>("in_flight");
  return (
    <Panel title="In flight" note={found.data ? String(found.data.count) : ""} window={moment()} class="flight">
      <Loaded of={found}>{(state) => <Running state={state} />}</Loaded>
    </Panel>
  );
}

function Running({ state }: { state: InFlight }) {
  const models = useTopic<Models>("models")?.models;
  const { count, exchanges } = state;
  const rates = useRates(exchanges);
  const names = heardAs(exchanges);
  const isLoading = (one: One) =>
    one.phase === "waiting" && models?.some((model) => model.name === one.model && model.backend === one.backend && model.status !== "loaded");
  const more = count - Math.min(SHOWN, exchanges.length);
  return (
    <>
      {exchanges.length === 0 && <Nothing />}
      <ul class="rows">
        {exchanges.slice(0, SHOWN).map((one, at) => {
          const phase = isLoading(one) ? "loading" : one.phase;
          return (
            <li key={one.id} data-row="" tabIndex={0}>
              <span class="name" title={one.model ?? ""}><Value of={one.model} why={why(state, `/exchanges/${at}/model`)} /><At backend={one.backend} /></span>
              <span class="who" title={one.client ?? ""}><Value of={one.client} why={why(state, `/exchanges/${at}/client`)} /></span>
              <span class="phases" role="img" aria-label={WORDS[phase] ?? phase} title={`${one.method} ${one.endpoint}: ${WORDS[phase] ?? phase}`}>
                {PHASES.map((name, place) => <i key={name} class={place < PHASES.indexOf(one.phase) ? "done" : name === one.phase ? `on ${phase}` : ""} />)}
                <em>{SHORT[phase] ?? phase}</em>
              </span>
              <span class="n">{one.phase === "decode" ? <Value of={rates.get(one.id)} as={(rate) => <span title="tokens a second">{as.number(rate)}{"\u202f/s"}</span>} why="Its pace is known a second after it began." /> : ""}</span>
              <span class="n">{one.pieces > 0 && <span title="tokens so far">{as.count(one.pieces)} tok</span>}</span>
              <span class="n age">{as.span(one.age_ms / 1000)}</span>
              <Stop id={one.id} called={names[at] ?? ""} />
            </li>
          );
        })}
      </ul>
      {more > 0 && <p class="note">and {more} more</p>}
    </>
  );
}

function Nothing() {
  return <p class="empty">Nothing in flight. Clients are served at <Address />.</p>;
}

export function Address() {
  const address = useTopic<{ coordinator: { address: string } }>("workers")?.coordinator.address;
  return address ? <code>OLLAMA_HOST=http://{address.replace(/^0\.0\.0\.0|^\[::\]/, location.hostname)}</code> : <Dash why="The program has not told its address yet." />;
}
