// Questions to the API: what came, and what kept it from coming.
import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { answerOf, clock, saved } from "./kept.ts";
import { frozen, refreshes } from "./pace.ts";
import { route } from "./route.ts";

export type FailureKind = "offline" | "unauthenticated" | "forbidden" | "limited" | "unavailable" | "missing" | "failed";

export interface Failure {
  kind: FailureKind;
  status: number;
  message: string;
  /** Seconds until it may be asked again, where the API said so. */
  wait?: number;
}

export type Answer<T> = { data: T } | { failure: Failure };

const KINDS: Record<number, FailureKind> = {
  401: "unauthenticated", 403: "forbidden", 404: "missing", 429: "limited", 503: "unavailable",
};

/** Becomes true when an answer said that credentials are needed; the sign-in makes it false. */
export const needsSignIn = signal(false);

/** Nothing is asked before this instant, as the API said that there were too many questions. */
const silentUntil = signal(0);
export const limitedUntil = silentUntil;

export async function ask<T>(path: string, init?: RequestInit): Promise<Answer<T>> {
  if (saved) {
    const data = init ? undefined : answerOf(path);
    if (data === undefined) return { failure: { kind: "missing", status: 404, message: "This was not saved in this file." } };
    return { data: data as T };
  }
  let response: Response;
  try {
    response = await fetch(path, { credentials: "same-origin", ...init });
  } catch {
    return { failure: { kind: "offline", status: 0, message: "Nothing answers at this address." } };
  }
  const body: unknown = await response.json().catch(() => null);
  if (response.ok) {
    if (body === null) return { failure: { kind: "failed", status: response.status, message: "The answer is no JSON." } };
    return { data: body as T };
  }
  const error = (body as { error?: { message?: string } } | null)?.error;
  const kind = KINDS[response.status] ?? "failed";
  const failure: Failure = { kind, status: response.status, message: error?.message ?? `status ${response.status}` };
  if (kind === "unauthenticated") needsSignIn.value = true;
  if (kind === "limited") {
    failure.wait = Math.max(1, Number(response.headers.get("retry-after")) || 10);
    silentUntil.value = Date.now() + failure.wait * 1000;
  }
  return { failure };
}

/** Milliseconds for which an answer that was asked for ahead is taken for a new one. */
const FRESH = 1_000;

/** What was asked before that which shows it was there. */
const ahead = new Map<string, Promise<Answer<unknown>>>();

/** Counts what came of it. */
const arrivals = signal(0);

/** Asks at once for what the first screen will ask for, which has it from the beginning if it comes in time. */
export async function askAhead(path: string): Promise<void> {
  if (saved) return;
  const asked = ask(path);
  ahead.set(path, asked);
  const answer = await asked;
  // For whoever is about to ask, and not for a later screen.
  setTimeout(() => ahead.get(path) === asked && ahead.delete(path), FRESH);
  if (!("data" in answer)) return;
  keep(path, answer.data);
  // Who shows it need not wait for its own turn, which comes after a frame.
  arrivals.value += 1;
}

/**
 * Takes what the browser was told to ask for while it read the script, unless `asked` is that and has taken it. The browser keeps it for whoever asks next,
 * however much later: a refusal from before a sign-in would be the answer to a question after it.
 */
export function takeUnasked(asked: string | undefined): void {
  const link = document.querySelector<HTMLLinkElement>('link[rel="preload"][as="fetch"]');
  if (saved || !link || (asked !== undefined && new URL(asked, document.baseURI).href === link.href)) return;
  fetch(link.href, { credentials: "same-origin" }).catch(() => undefined);
}

/** The answer that is on its way already, once. */
function asked<T>(path: string): Promise<Answer<T>> {
  const found = ahead.get(path) as Promise<Answer<T>> | undefined;
  ahead.delete(path);
  return found ?? ask<T>(path);
}

/** A change. */
export function change<T>(path: string, body: unknown = {}, fields: Record<string, string> = {}): Promise<Answer<T>> {
  const headers = { "Content-Type": "application/json", ...fields };
  return ask<T>(path, { method: "POST", headers, body: JSON.stringify(body) });
}

/** A path with its query; parameters without a value are left out. */
export function url(path: string, parameters: Record<string, string | number | boolean | undefined>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== "") query.set(name, String(value));
  }
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

export interface Asked<T> {
  /** The last that came, also after a failure. */
  data: T | undefined;
  failure: Failure | undefined;
  /** When `data` came; 0 before. */
  at: number;
}

interface Kept {
  data: unknown;
  at: number;
}

// What came last, by path: screens that ask for the same show it at once.
const kept = new Map<string, Kept>();
const MOST_KEPT = 40;

function keep(path: string, data: unknown): Kept {
  const entry = { data, at: clock() };
  kept.delete(path);
  kept.set(path, entry);
  if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value as string);
  return entry;
}

/** Asks for a path, and again at the page's pace; `null` asks for nothing. `every` is in seconds, at least. */
export function useAsk<T>(path: string | null, every = 0): Asked<T> {
  const [, redraw] = useState(0);
  const state = useRef<{ path: string | null; failure: Failure | undefined }>({ path: null, failure: undefined });
  const beat = refreshes.value;
  void arrivals.value;
  const pace = saved || route.value.refresh === 0 ? 0 : Math.max(route.value.refresh, every);
  useEffect(() => {
    if (path === null) return;
    let ended = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const turn = async (): Promise<void> => {
      const wait = silentUntil.value - Date.now();
      if (wait > 0) {
        state.current = { path, failure: { kind: "limited", status: 429, message: "Too many questions were asked." } };
        redraw((count) => count + 1);
        timer = setTimeout(turn, wait + Math.random() * 1000);
        return;
      }
      if (frozen.value && kept.has(path)) return;
      const answer = await asked<T>(path);
      if (ended) return;
      const failure = "failure" in answer ? answer.failure : undefined;
      if ("data" in answer) keep(path, answer.data);
      state.current = { path, failure };
      redraw((count) => count + 1);
      const again = saved ? 0 : failure ? failure.wait ?? Math.max(5, pace) : pace;
      if (again > 0) timer = setTimeout(turn, again * 1000);
    };
    void turn();
    return () => {
      ended = true;
      clearTimeout(timer);
    };
  }, [path, beat, pace, frozen.value]);
  const found = path === null ? undefined : kept.get(path);
  const failure = state.current.path === path ? state.current.failure : undefined;
  return { data: found?.data as T | undefined, failure, at: found?.at ?? 0 };
}
