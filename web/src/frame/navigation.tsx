// The screens, and the way to each.
import type { FunctionComponent } from "preact";
import { link } from "../lib/route.ts";
import { Alerts } from "../screens/alerts.tsx";
import { Cache } from "../screens/cache.tsx";
import { Cost } from "../screens/cost.tsx";
import { Exchanges } from "../screens/exchanges.tsx";
import { OneExchange } from "../screens/exchange.tsx";
import { Jobs } from "../screens/jobs.tsx";
import { Logs } from "../screens/logs.tsx";
import { Machines } from "../screens/machines.tsx";
import { Models } from "../screens/models.tsx";
import { Now } from "../screens/now.tsx";
import { Settings } from "../screens/settings.tsx";
import { Trace } from "../screens/trace.tsx";

interface Screen {
  name: string;
  title: string;
  show: FunctionComponent;
  /** Shown in the navigation as another one. */
  within?: string;
}

export const SCREENS: Screen[] = [
  { name: "now", title: "Now", show: Now },
  { name: "models", title: "Models", show: Models },
  { name: "exchanges", title: "Exchanges", show: Exchanges },
  { name: "cost", title: "Cost", show: Cost },
  { name: "cache", title: "Cache", show: Cache },
  { name: "machines", title: "Machines", show: Machines },
  { name: "jobs", title: "Jobs", show: Jobs },
  { name: "alerts", title: "Alerts", show: Alerts },
  { name: "logs", title: "Logs", show: Logs },
  { name: "settings", title: "Settings", show: Settings },
  { name: "exchange", title: "Exchange", show: OneExchange, within: "exchanges" },
  { name: "trace", title: "Trace", show: Trace, within: "exchanges" },
];

export function Navigation({ current }: { current: string }) {
  const shown = SCREENS.find((one) => one.name === current)?.within ?? current;
  return (
    <nav aria-label="Screens">
      {SCREENS.filter((one) => !one.within).map((one) => (
        <a href={link(one.name)} key={one.name} aria-current={one.name === shown ? "page" : undefined}>{one.title}</a>
      ))}
    </nav>
  );
}
