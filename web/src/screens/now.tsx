// The first screen: what the models do at this moment, and in the last hour.
import { METRICS } from "./now/metrics.ts";
import { Figures } from "./now/figures.tsx";
import { Ends } from "./now/ends.tsx";
import { Flight } from "./now/flight.tsx";
import { Memory } from "./now/memory.tsx";
import { url, useAsk } from "../lib/api.ts";
import { route } from "../lib/route.ts";
import type { Series } from "../lib/types.ts";
import { useSteps } from "../parts/later.ts";
import { SeriesPanel, useSeries, type Shown } from "../parts/series.tsx";

const RATE: Shown[] = [
  { metric: "request_rate", label: "all", fill: true, colour: "requests" },
  { metric: "failed", label: "failed", colour: "failed", map: (value, seconds) => value / seconds },
  { metric: "cancelled", label: "cancelled", colour: "left", dash: 1, map: (value, seconds) => value / seconds },
];
const LATENCY: Shown[] = [
  { metric: "ttft_p50", label: "first token p50", colour: "prompt" },
  { metric: "ttft_p95", label: "p95", colour: "prompt", dash: 1 },
  { metric: "duration_p50", label: "whole answer p50", colour: "whole" },
  { metric: "duration_p95", label: "p95 ", colour: "whole", dash: 1 },
];
const TOKENS: Shown[] = [
  { metric: "generated_rate", label: "generated", fill: true, colour: "generated" },
  { metric: "prompt_tokens", label: "prompt", colour: "prompt", map: (value, seconds) => value / seconds },
];

export function Now() {
  const series = useSeries(METRICS);
  // The figures are those of the last hour, whatever range the charts have.
  const { range, compare, filters } = route.value;
  const isHour = "period" in range && range.period === "1h" && !compare;
  const hour = useAsk<Series>(isHour ? null : url("/dashboard/series", { metrics: METRICS.join(","), period: "1h", ...filters }), 10);
  // Lists that programs poll dilute no share of what failed.
  const tasks = useAsk<Series>(url("/dashboard/series", { metrics: "requests,failed,cancelled", period: "1h", inference: "true", ...filters }), 10);
  // The figures come first.
  const step = useSteps(2);
  return (
    <>
      <Figures hour={isHour ? series.whole : hour} recent={isHour ? series : hour} tasks={tasks} />
      {step > 0 && (
        <div class="row live">
          <Flight />
          <Memory />
          <Ends />
        </div>
      )}
      {step > 1 && <div class="row three">
        <SeriesPanel title="Requests" note="a second" of={series} lines={RATE} unit="count/s" />
        <SeriesPanel title="Latency" note="to the first token, and to the last" of={series} lines={LATENCY} />
        <SeriesPanel title="Tokens" note="a second" of={series} lines={TOKENS} unit="tokens/s" />
      </div>}
    </>
  );
}
