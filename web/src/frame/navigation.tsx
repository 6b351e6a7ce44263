// The screens, and the way to each.
import { signal } from "@preact/signals";
import type { FunctionComponent } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { link } from "../lib/route.ts";
import { Now } from "../screens/now.tsx";

interface Screen {
  name: string;
  title: string;
  /** Code is run when it is first needed. */
  load: () => Promise<FunctionComponent>;
  /** Shown in the navigation as another one. */
  within?: string;
}

export const SCREENS: Screen[] = [
  { name: "now", title: "Now", load: async () => Now },
  { name: "models", title: "Models", load: async () => (await import("../screens/models.tsx")).Models },
  { name: "exchanges", title: "Exchanges", load: async () => (await import("../screens/exchanges.tsx")).Exchanges },
  { name: "cost", title: "Cost", load: async () => (await import("../screens/cost.tsx")).Cost },
  { name: "cache", title: "Cache", load: async () => (await import("../screens/cache.tsx")).Cache },
  { name: "machines", title: "Machines", load: async () => (await import("../screens/machines.tsx")).Machines },
  { name: "jobs", title: "Jobs", load: async () => (await import("../screens/jobs.tsx")).Jobs },
  { name: "alerts", title: "Alerts", load: async () => (await import("../screens/alerts.tsx")).Alerts },
  { name: "logs", title: "Logs", load: async () => (await import("../screens/logs.tsx")).Logs },
  { name: "settings", title: "Settings", load: async () => (await import("../screens/settings.tsx")).Settings },
  { name: "exchange", title: "Exchange", load: async () => (await import("../screens/exchange.tsx")).OneExchange, within: "exchanges" },
  { name: "trace", title: "Trace", load: async () => (await import("../screens/trace.tsx")).Trace, within: "exchanges" },
];

/** The screens that were looked at. */
const come = signal<Record<string, FunctionComponent>>({ now: Now });

export function Shown({ screen }: { screen: Screen }) {
  const Here = come.value[screen.name];
  useEffect(() => {
    if (!Here) void screen.load().then((shown) => { come.value = { ...come.value, [screen.name]: shown }; });
  }, [screen]);
  return Here ? <Here /> : <p class="empty" aria-busy="true">…</p>;
}

export function Navigation({ current }: { current: string }) {
  const shown = SCREENS.find((one) => one.name === current)?.within ?? current;
  const ways = useRef<HTMLElement>(null);
  // A phone shows only some of them at a time.
  useEffect(() => ways.current?.querySelector("[aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" }), [shown]);
  return (
    <nav aria-label="Screens" ref={ways}>
      {SCREENS.filter((one) => !one.within).map((one) => (
        <a href={link(one.name)} key={one.name} aria-current={one.name === shown ? "page" : undefined}>{one.title}</a>
      ))}
    </nav>
  );
}
