// The generations and embeddings that ended last: not the lists that programs poll.
import { useEffect, useState } from "preact/hooks";
import { url, useAsk } from "../../lib/api.ts";
import { useEntries } from "../../lib/live.ts";
import * as as from "../../lib/format.ts";
import { link, route } from "../../lib/route.ts";
import { time } from "../../lib/time.ts";
import type { Exchange, Exchanges } from "../../lib/types.ts";
import { useAllDown } from "../../parts/backends.tsx";
import { Panel, Trouble, Waiting } from "../../parts/panel.tsx";
import { Outcome, Value } from "../../parts/value.tsx";
import { At } from "./at.tsx";
import { Address } from "./flight.tsx";

const SHOWN = 10;

function fits(exchange: Exchange): boolean {
  return exchange.inference && Object.entries(route.value.filters).every(([name, value]) => exchange[name as "model"] === value);
}

export function Ends() {
  const first = useAsk<Exchanges>(url("/dashboard/exchanges", { limit: SHOWN, inference: "true", ...route.value.filters }), 60);
  const areDown = useAllDown();
  const [ends, setEnds] = useState<Exchange[]>([]);
  const merge = (more: Exchange[]) =>
    setEnds((all) => {
      const known = new Map([...all, ...more].filter(fits).map((one) => [one.id, one]));
      return [...known.values()].sort((a, b) => (BigInt(b.id) > BigInt(a.id) ? 1 : -1)).slice(0, SHOWN);
    });
  useEffect(() => {
    if (first.data) merge(first.data.exchanges);
  }, [first.data]);
  useEntries<Exchange>("exchanges", (entry) => merge([entry]));
  return (
    <Panel title="Last finished" note={<><span title="Lists of models, pulls and the like are among all exchanges">generations, embeddings</span> · <a href={link("exchanges")}>all</a></>} class="ends">
      <Trouble failure={first.failure} />
      {!first.data && !first.failure && ends.length === 0 && <Waiting />}
      {first.data && ends.length === 0 && (
        <p class="empty">Nothing has ended yet.{!areDown && <> Try <code>curl</code> or any client with <Address />.</>}</p>
      )}
      <ul class="rows">
        {ends.map((one) => (
          <li key={one.id} data-row="" tabIndex={0} class="to" onClick={() => { location.hash = link("exchange", one.id); }} onKeyDown={(event) => { if (event.key === "Enter") location.hash = link("exchange", one.id); }}>
            <span class="when">{time(one.ended_at)}</span>
            <span class="name" title={one.model ?? ""}><a href={link("exchange", one.id)}><Value of={one.model} why="Its model is not known." /></a><At backend={one.backend} /></span>
            <Outcome of={one.outcome} error={one.error} status={one.status} />
            <span class="n">{one.tokens.generated !== null && <span title="generated tokens">{as.count(one.tokens.generated)} tok</span>}</span>
            <span class="n age"><Value of={one.duration_ms} as={as.duration} /></span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
