// The exchanges of one trace, the client's own where it sent a `traceparent`.
import { useAsk } from "../lib/api.ts";
import * as as from "../lib/format.ts";
import { link, route } from "../lib/route.ts";
import { full } from "../lib/time.ts";
import type { OneExchange } from "../lib/types.ts";
import { Empty, Loaded, Panel } from "../parts/panel.tsx";
import { Timeline } from "../parts/timeline.tsx";
import { Outcome, Value } from "../parts/value.tsx";

interface Answer {
  exchanges: OneExchange[];
}

export function Trace() {
  const { id = "" } = route.value;
  const isTrace = /^[0-9a-f]{32}$/.test(id);
  const found = useAsk<Answer>(isTrace ? `/dashboard/traces/${id}` : null, 30);
  return (
    <>
      <p class="crumbs"><a href={link("exchanges")}>Exchanges</a> › trace {id}</p>
      {!isTrace && <Empty>This is no trace's id: it has 32 hexadecimal digits.</Empty>}
      <Loaded of={found}>
        {({ exchanges }) => exchanges.map((one) => (
          <Panel key={one.id} title={full(one.started_at)} note={<Outcome of={one.outcome} error={one.error} status={one.status} />}>
            <p class="sentence">
              <a href={link("exchange", one.id)}><Value of={one.model} why="Its model is not known." /></a>, {as.words(one.operation)}: {one.where_the_time_went ?? "where its time went is not known."}
            </p>
            <Timeline steps={one.timeline} whole={one.duration_ms ?? 0} />
          </Panel>
        ))}
      </Loaded>
    </>
  );
}
