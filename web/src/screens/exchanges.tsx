// Finished exchanges: found, filtered, page by page.
import { ask, url, useAsk } from "../lib/api.ts";
import { useTopic } from "../lib/live.ts";
import * as as from "../lib/format.ts";
import { parameters, windowOf } from "../lib/ranges.ts";
import { health } from "../lib/program.ts";
import { go, link, route, setOwn } from "../lib/route.ts";
import { full, time } from "../lib/time.ts";
import type { Exchange, Exchanges as Answer, Models, Workers } from "../lib/types.ts";
import { why } from "../lib/unknown.ts";
import { Loaded, Panel } from "../parts/panel.tsx";
import { Table, type Column } from "../parts/table.tsx";
import { Outcome, Value } from "../parts/value.tsx";
import { Failures } from "./failures.tsx";
import { useState } from "preact/hooks";

const LIMIT = 50;
const OUTCOMES = ["completed", "client_cancelled", "truncated", "stream_error", "backend_failed", "http_error", "rejected"];
const ORDERS = ["newest", "longest", "largest", "dearest"];
const SLOWER: [string, string][] = [["", "any duration"], ["1000", "over 1 s"], ["5000", "over 5 s"], ["30000", "over 30 s"], ["120000", "over 2 m"]];

export function Exchanges() {
  const { own, range, filters } = route.value;
  const page = Number(own["page"] ?? 1) || 1;
  const query = {
    ...parameters(range), ...filters, outcome: own["outcome"], failed: own["failed"], inference: own["inference"], error: own["error"], status: own["status"], min_ms: own["min"], order: own["order"],
    page: own["order"] && own["order"] !== "newest" ? undefined : page, limit: LIMIT,
  };
  const found = useAsk<Answer>(url("/dashboard/exchanges", query), 10);
  const csv = url("/dashboard/exchanges", { ...query, limit: 100, format: "csv" });
  return (
    <>
      <Find />
      {own["failed"] && !own["outcome"] && <Failures />}
      <Panel title="Exchanges" csv={csv} window={windowOf(range)} note={found.data ? <Total of={found.data} /> : ""}>
        <Loaded of={found}>
          {(answer) => (
            <>
              <Listed answer={answer} />
              <Pages page={page} more={answer.pagination.has_more} />
            </>
          )}
        </Loaded>
      </Panel>
    </>
  );
}

function Total({ of }: { of: Answer }) {
  const { total } = of.pagination;
  const oldest = health.value?.history.kept?.oldest;
  const since = oldest && oldest * 1000 > Date.parse(of.from) ? `, kept one by one since ${time(oldest * 1000)}` : "";
  return <>{total === null ? `${of.exchanges.length} shown` : `${as.count(total)} in all`}{since}</>;
}

function Pages({ page, more }: { page: number; more: boolean }) {
  if (page === 1 && !more) return null;
  return (
    <p class="pages">
      <button type="button" disabled={page <= 1} onClick={() => setOwn("page", page > 2 ? String(page - 1) : undefined, true)}>Newer</button>
      <span>page {page}</span>
      <button type="button" disabled={!more} onClick={() => setOwn("page", String(page + 1), true)}>Older</button>
    </p>
  );
}

/** What its answer says at a place is unknown has a reason there. */
function columns(answer: Answer): Column<Exchange>[] {
  const place = new Map(answer.exchanges.map((one, at) => [one.id, at]));
  const reason = (one: Exchange, pointer: string) => why(answer, `/exchanges/${place.get(one.id)}/${pointer}`);
  return [
    { name: "ended", cell: (one) => <a href={link("exchange", one.id)} title={full(one.ended_at)}>{time(one.ended_at)}</a>, class: "when" },
    { name: "model", cell: (one) => <Value of={one.model} why={reason(one, "model")} />, class: "name" },
    { name: "client", cell: (one) => <Value of={one.tenant ?? one.client} why={reason(one, "client")} /> },
    { name: "request", cell: (one) => <span title={`${one.method}, ${one.dialect}, ${as.words(one.operation)}`}><Value of={one.endpoint} why={reason(one, "endpoint")} /></span> },
    { name: "outcome", cell: (one) => <Outcome of={one.outcome} error={one.error} status={one.status} /> },
    { name: "took", number: true, cell: (one) => <Value of={one.duration_ms} as={as.duration} why={reason(one, "duration_ms")} /> },
    { name: "first token", number: true, cell: (one) => <Value of={one.time_to_first_token_ms} as={as.duration} why={reason(one, "time_to_first_token_ms")} /> },
    { name: "tokens in", number: true, cell: (one) => <Value of={one.tokens.prompt} as={as.count} why={reason(one, "tokens/prompt")} /> },
    ...(answer.exchanges.some((one) => one.tokens.cached !== null)
      ? [{ name: "cached", number: true, cell: (one: Exchange) => <Value of={one.tokens.cached} as={as.count} why={reason(one, "tokens/cached")} /> }] : []),
    { name: "tokens out", number: true, cell: (one) => <Value of={one.tokens.generated} as={as.count} why={reason(one, "tokens/generated")} /> },
    { name: "tok/s", number: true, cell: (one) => <Value of={one.tokens_per_second} as={as.number} why={reason(one, "tokens_per_second")} /> },
    ...(answer.exchanges.some((one) => one.cold_start !== null) ? [{ name: "loaded because", cell: (one: Exchange) => (one.cold_start ? <span title="Its model had to be loaded first">{as.loaded(one.cold_start)}</span> : "") }] : []),
    ...(new Set(answer.exchanges.map((one) => one.backend)).size > 1
      ? [{ name: "backend", cell: (one: Exchange) => <Value of={one.backend} why={reason(one, "backend")} /> }] : []),
  ];
}

function Listed({ answer }: { answer: Answer }) {
  return (
    <Table
      caption="Finished exchanges" columns={columns(answer)} rows={answer.exchanges} id={(one) => one.id} to={(one) => link("exchange", one.id)}
      empty={isFiltered() ? "No exchange of this kind ended in this time. Take a longer range, or fewer filters." : "No exchange ended in this time."}
    />
  );
}

const isFiltered = (): boolean => Object.keys({ ...route.value.filters, ...route.value.own }).length > 0;

function Find() {
  const { own, filters } = route.value;
  const models = [...new Set((useTopic<Models>("models")?.models ?? []).map((model) => model.name))].sort();
  const backends = (useTopic<Workers>("workers")?.workers ?? []).map((worker) => worker.id);
  return (
    <div class="filters" role="search">
      <ById />
      <label>Model
        <select value={filters.model ?? ""} onChange={(event) => go({ filters: { ...filters, model: event.currentTarget.value } })}>
          <option value="">all models</option>
          {[...new Set([...models, ...(filters.model ? [filters.model] : [])])].map((name) => <option key={name} value={name}>{name}</option>)}
        </select>
      </label>
      {backends.length > 1 && (
        <label>Backend
          <select value={filters.backend ?? ""} onChange={(event) => go({ filters: { ...filters, backend: event.currentTarget.value } })}>
            <option value="">all backends</option>
            {backends.map((name) => <option key={name} value={name}>{name}</option>)}
          </select>
        </label>
      )}
      <label>Outcome
        <select value={own["outcome"] ?? (own["failed"] ? "failed" : "")} onChange={(event) => {
          const { outcome: _, failed: __, page: ___, error: ____, status: _____, ...rest } = own;
          const value = event.currentTarget.value;
          go({ own: value === "failed" ? { ...rest, failed: "true" } : value ? { ...rest, outcome: value } : rest });
        }}>
          <option value="">all outcomes</option>
          <option value="failed">not completed</option>
          {OUTCOMES.map((name) => <option key={name} value={name}>{as.words(name)}</option>)}
        </select>
      </label>
      {(own["error"] || own["status"]) && (
        <button type="button" title="Take this filter away" onClick={() => {
          const { error: _, status: __, page: ___, ...rest } = own;
          go({ own: rest }, true);
        }}>{[own["error"] && as.words(own["error"]), own["status"] && `status ${own["status"]}`].filter(Boolean).join(", ")} ×</button>
      )}
      {own["inference"] && <button type="button" title="Take this filter away" onClick={() => setOwn("inference", undefined, true)}>generations and embeddings ×</button>}
      <label>Duration
        <select value={own["min"] ?? ""} onChange={(event) => setOwn("min", event.currentTarget.value, true)}>
          {SLOWER.map(([value, text]) => <option key={value} value={value}>{text}</option>)}
        </select>
      </label>
      <label>Tenant <input value={filters.tenant ?? ""} size={10} onChange={(event) => go({ filters: { ...filters, tenant: event.currentTarget.value } })} /></label>
      <label>Order
        <select value={own["order"] ?? "newest"} onChange={(event) => setOwn("order", event.currentTarget.value === "newest" ? undefined : event.currentTarget.value, true)}>
          {ORDERS.map((name) => <option key={name} value={name}>{name}</option>)}
        </select>
      </label>
    </div>
  );
}

/** An id of an exchange or of a trace. */
function ById() {
  const [wrong, setWrong] = useState("");
  const find = async (event: SubmitEvent) => {
    event.preventDefault();
    const text = String(new FormData(event.currentTarget as HTMLFormElement).get("find") ?? "").trim();
    if (/^[0-9a-f]{32}$/i.test(text)) return go({ screen: "trace", id: text.toLowerCase(), own: {} });
    if (!/^\d{1,19}$/.test(text)) return setWrong("It is no id: those of exchanges are digits, those of traces 32 hexadecimal digits.");
    const answer = await ask(`/dashboard/exchanges/${text}`);
    if ("data" in answer) return go({ screen: "exchange", id: text, own: {} });
    setWrong(answer.failure.kind === "missing" ? "No exchange of this id is kept." : answer.failure.message);
  };
  return (
    <form onSubmit={(event) => void find(event)}>
      <label>Id <input id="find" name="find" type="search" placeholder="exchange or trace  /" size={20} autoComplete="off" onInput={() => setWrong("")} /></label>
      {wrong && <span class="trouble" role="alert">{wrong}</span>}
    </form>
  );
}
