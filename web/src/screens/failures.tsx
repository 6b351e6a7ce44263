// What did not complete, counted by how it ended; each kind leads to its exchanges.
import { url, useAsk } from "../lib/api.ts";
import * as as from "../lib/format.ts";
import { parameters, windowOf } from "../lib/ranges.ts";
import { link, route } from "../lib/route.ts";
import { full, time } from "../lib/time.ts";
import { why, type Unknown } from "../lib/unknown.ts";
import { Loaded, Panel } from "../parts/panel.tsx";
import { Table, type Column } from "../parts/table.tsx";
import { Outcome, Value } from "../parts/value.tsx";

interface Kind {
  outcome: string;
  error: string | null;
  message: string | null;
  status: number;
  backend: string | null;
  model: string | null;
  is_failure: boolean;
  count: number;
  newest_id: string;
  newest_at: string;
}

interface Answer {
  summary: { failed: number; refused: number; cancelled: number };
  failures: Kind[];
  kinds_left_out: number;
  unknown?: Unknown;
}

/** What it was, where its outcome alone does not say it. */
function cause({ outcome, message, status }: Kind): string {
  if (message !== null) return message;
  if (outcome === "client_cancelled") return "the client left before the end";
  return status === 404 ? "there is no such model or path: no failure" : "the client's own fault: no failure";
}

/** The exchanges of a kind. Those without a model or a backend cannot be asked for. */
export function exchangesOf({ outcome, error, status, model, backend }: Kind): string | undefined {
  if (model === null || backend === null) return undefined;
  const { inference } = route.value.own;
  const own = { failed: "true", outcome, status: String(status), ...(error === null ? {} : { error }), ...(inference ? { inference } : {}) };
  return link("exchanges", undefined, own, { ...route.value.filters, model, backend });
}

function countOf(kind: Kind) {
  const to = exchangesOf(kind);
  return to === undefined ? as.count(kind.count) : <a href={to}>{as.count(kind.count)}</a>;
}

export function Failures() {
  const { range, filters, own } = route.value;
  const path = "/dashboard/exchanges/failures";
  const query = { ...parameters(range), ...filters, inference: own["inference"] };
  const found = useAsk<Answer>(url(path, query), 10);
  return (
    <Panel title="What did not complete" window={windowOf(range)} csv={url(path, { ...query, format: "csv" })}>
      <Loaded of={found}>{(answer) => <Kinds answer={answer} />}</Loaded>
    </Panel>
  );
}

function Kinds({ answer }: { answer: Answer }) {
  const { summary, failures, kinds_left_out: others } = answer;
  const all = summary.failed + summary.refused + summary.cancelled;
  const place = new Map(failures.map((one, at) => [one, at]));
  const columns: Column<Kind>[] = [
    { name: "how it ended", cell: (one) => <Outcome of={one.outcome} error={one.error} status={one.status} /> },
    { name: "what it was", class: "message", cell: cause },
    { name: "model", class: "name", cell: (one) => <Value of={one.model} why={why(answer, `/failures/${place.get(one)}/model`)} /> },
    ...(new Set(failures.map((one) => one.backend)).size > 1
      ? [{ name: "backend", cell: (one: Kind) => <Value of={one.backend} why="No backend was asked." /> }] : []),
    { name: "exchanges", number: true, cell: countOf },
    { name: "of all these", number: true, cell: (one) => as.share(one.count / all) },
    { name: "newest", cell: (one) => <a href={link("exchange", one.newest_id)} title={full(one.newest_at)}>{time(one.newest_at)}</a> },
  ];
  return (
    <>
      {all > 0 && (
        <p class="sentence">
          {summary.failed > 0 ? `${as.count(summary.failed)} failed` : "Nothing failed"}
          {summary.cancelled > 0 && `; ${as.count(summary.cancelled)} were left by their clients`}
          {summary.refused > 0 && `; ${as.count(summary.refused)} were refused as the clients' own fault`}.
        </p>
      )}
      <Table
        caption="What did not complete, by kind" columns={columns} rows={failures} to={exchangesOf}
        id={(one) => [one.outcome, one.error, one.status, one.backend, one.model].join()} empty="Everything that ended in this time has completed."
      />
      {others > 0 && <p class="note">and {others} kinds with fewer exchanges</p>}
    </>
  );
}
