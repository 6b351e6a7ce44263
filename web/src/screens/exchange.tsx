// One exchange: where its time went, and all that is known of it.
import { useAsk } from "../lib/api.ts";
import * as as from "../lib/format.ts";
import { link, route } from "../lib/route.ts";
import { full } from "../lib/time.ts";
import type { OneExchange as Answer } from "../lib/types.ts";
import { sentence } from "../lib/unknown.ts";
import { Facts } from "../parts/facts.tsx";
import { Loaded, Panel } from "../parts/panel.tsx";
import { Timeline } from "../parts/timeline.tsx";
import { Outcome, Value } from "../parts/value.tsx";

export function OneExchange() {
  const { id = "" } = route.value;
  const isId = /^\d+$/.test(id);
  const found = useAsk<Answer>(isId ? `/dashboard/exchanges/${id}` : null, 3600);
  return (
    <>
      <p class="crumbs"><a href={link("exchanges")}>Exchanges</a> › {id}</p>
      {isId ? <Loaded of={found}>{(exchange) => <Detail exchange={exchange} />}</Loaded> : <p class="empty">This is no exchange's id.</p>}
    </>
  );
}

export function Detail({ exchange }: { exchange: Answer }) {
  const reason = (pointer: string) => sentence(exchange.unknown?.[pointer]);
  const facts = <T,>(name: string, value: T | null, pointer: string, write?: (value: T) => string) =>
    ({ name, value: <Value of={value} why={reason(pointer)} {...(write ? { as: write } : {})} /> });
  const { tokens } = exchange;
  const ofSource = (source: string | null) => (source && source !== "reported" ? ` (${as.words(source)})` : "");
  const counted = (value: number, source: string | null) => `${source === "chunks" ? "at least " : ""}${as.count(value)}${ofSource(source)}`;
  const speed = promptSpeed(exchange);
  return (
    <>
      <Panel title="Where the time went" class="time" note={<Outcome of={exchange.outcome} error={exchange.error} status={exchange.status} />}>
        <p class="sentence"><Value of={exchange.where_the_time_went} why={reason("/where_the_time_went")} /></p>
        <Timeline steps={exchange.timeline} whole={exchange.duration_ms ?? 0} />
      </Panel>
      <div class="row three">
        <Facts title="Request" facts={[
          facts("model", exchange.model, "/model"),
          facts("backend", exchange.backend, "/backend"),
          facts("client", exchange.client, "/client"),
          facts("tenant", exchange.tenant, "/tenant"),
          facts("request", exchange.endpoint, "/endpoint", (path) => `${exchange.method} ${path}`),
          { name: "kind", value: `${as.words(exchange.operation)}, ${exchange.dialect}${exchange.streamed ? ", streamed" : ""}` },
          facts("messages", exchange.messages, "/messages", as.count),
          { name: "began", value: full(exchange.started_at) },
          { name: "trace", value: <a href={link("trace", exchange.trace_id)}><code>{exchange.trace_id}</code></a> },
        ]} />
        <Facts title="Time" facts={[
          facts("whole", exchange.duration_ms, "/duration_ms", as.duration),
          facts("first token", exchange.time_to_first_token_ms, "/time_to_first_token_ms", as.duration),
          ...(speed === null ? [] : [{ name: "prompt speed", value: as.tokensPerSecond(speed) }]),
          facts("a token", exchange.time_per_output_token_ms, "/time_per_output_token_ms", as.duration),
          facts("decode speed", exchange.tokens_per_second, "/tokens_per_second", as.tokensPerSecond),
          facts("largest gap", exchange.largest_gap_ms, "/largest_gap_ms", as.duration),
          facts("stalls", exchange.stalls, "/stalls", as.count),
          facts("loaded because", exchange.cold_start, "/cold_start", as.loaded),
          { name: "backends tried", value: String(exchange.attempts) },
        ]} />
        <Facts title="Result" facts={[
          facts("prompt tokens", tokens.prompt, "/tokens/prompt", (value) => counted(value, tokens.prompt_source)),
          facts("of these cached", tokens.cached, "/tokens/cached", as.count),
          facts("generated tokens", tokens.generated, "/tokens/generated", (value) => counted(value, tokens.generated_source)),
          facts("of these reasoning", tokens.reasoning, "/tokens/reasoning", as.count),
          ...(tokens.drafted ? [{ name: "drafted, of these accepted", value: `${as.count(tokens.drafted)}${tokens.draft_accepted === null ? "" : `, ${as.share(tokens.draft_accepted / tokens.drafted)}`}` }] : []),
          facts("finished because", exchange.finish_reason, "/finish_reason", as.words),
          facts("error", exchange.error, "/error", as.words),
          { name: "bytes", value: `${as.bytes(exchange.request_bytes)} in, ${as.bytes(exchange.response_bytes)} out` },
          facts("cost", exchange.cost, "/cost", as.number),
          ...(exchange.prompt_truncated ? [{ name: "prompt", value: "probably cut to the context" }] : []),
          ...(exchange.weight > 1 ? [{ name: "stands for", value: `${exchange.weight} exchanges like it` }] : []),
        ]} />
      </div>
    </>
  );
}

/** Prompt tokens that were computed, by the time that its backend says that this took. */
function promptSpeed({ timeline, tokens }: Answer): number | null {
  const prefill = timeline.find((step) => step.step === "prefill");
  const took = prefill ? prefill.to_ms - prefill.from_ms : 0;
  if (!prefill?.placed_by_estimate || took <= 0 || tokens.prompt === null) return null;
  return ((tokens.prompt - (tokens.cached ?? 0)) / took) * 1000;
}
