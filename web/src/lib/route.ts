// All state of the page is in its address, behind the `#`: `#/models?range=24h&model=llama3.2:3b`.
import { signal } from "@preact/signals";
import { saved } from "./kept.ts";
import { isPeriod, rangeOf, type Range } from "./ranges.ts";

export type Filters = { model?: string; backend?: string; tenant?: string; client?: string };

export interface Route {
  screen: string;
  /** Of what one thing is shown, as of an exchange. */
  id?: string;
  range: Range;
  compare?: "day" | "week";
  /** Seconds between two questions; 0 for none. */
  refresh: number;
  filters: Filters;
  /** Of the screen alone. */
  own: Record<string, string>;
}

export const REFRESH = [0, 5, 10, 30, 60];
const USUAL_REFRESH = 10;
const USUAL_RANGE: Range = rangeOf(saved?.range) ?? { period: "1h" };
const FILTERS = ["model", "backend", "tenant", "client"] as const;

export function parse(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#?\/?/, "").split(/\?(.*)/s);
  const [screen = "", ...rest] = path.split("/");
  const given = new URLSearchParams(query);
  const route: Route = { screen: screen || "now", range: USUAL_RANGE, refresh: USUAL_REFRESH, filters: {}, own: {} };
  if (rest.length > 0) route.id = decode(rest.join("/"));
  const [from, to] = [Date.parse(given.get("from") ?? ""), Date.parse(given.get("to") ?? "")];
  const period = given.get("range") ?? undefined;
  if (isPeriod(period)) route.range = { period };
  else if (from < to) route.range = { from, to };
  const compare = given.get("compare");
  if (compare === "day" || compare === "week") route.compare = compare;
  const refresh = given.get("refresh");
  if (refresh !== null && REFRESH.includes(Number(refresh))) route.refresh = Number(refresh);
  for (const [name, value] of given) {
    if (["range", "from", "to", "compare", "refresh"].includes(name) || value === "") continue;
    if ((FILTERS as readonly string[]).includes(name)) route.filters[name as keyof Filters] = value;
    else route.own[name] = value;
  }
  return route;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function format(route: Route): string {
  const query = new URLSearchParams();
  if (saved) {
    // It has the one that it was saved with.
  } else if ("from" in route.range) {
    query.set("from", new Date(route.range.from).toISOString());
    query.set("to", new Date(route.range.to).toISOString());
  } else if (route.range.period !== "1h") query.set("range", route.range.period);
  if (route.compare) query.set("compare", route.compare);
  if (route.refresh !== USUAL_REFRESH) query.set("refresh", String(route.refresh));
  for (const [name, value] of Object.entries({ ...route.filters, ...route.own })) if (value) query.set(name, value);
  const id = route.id === undefined ? "" : `/${encodeURIComponent(route.id)}`;
  const text = query.toString();
  return `#/${route.screen}${id}${text ? `?${text}` : ""}`;
}

export const route = signal<Route>(parse(typeof location === "undefined" ? "" : location.hash));

/** The address of another screen, with the range and filters of now. */
export function link(screen: string, id?: string, own: Record<string, string> = {}, filters?: Filters): string {
  const { id: _, ...now } = route.value;
  return format({ ...now, screen, own, filters: filters ?? now.filters, ...(id === undefined ? {} : { id }) });
}

/** Changes the address: as a step that `back` undoes, or without one. */
export function go(change: Partial<Route>, step = true): void {
  const hash = format({ ...route.value, ...change });
  if (hash === location.hash) return;
  if (step) location.hash = hash;
  else history.replaceState(null, "", hash);
  route.value = parse(hash);
}

/** Changes one parameter of the screen. */
export function setOwn(name: string, value: string | undefined, step = false): void {
  const own = { ...route.value.own };
  if (value) own[name] = value;
  else delete own[name];
  if (name !== "page") delete own["page"];
  go({ own }, step);
}

export function follow(): void {
  addEventListener("hashchange", () => {
    route.value = parse(location.hash);
  });
}
