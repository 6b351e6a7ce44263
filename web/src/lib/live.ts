// The one WebSocket: topics that the screens listen to, and how the connection is.
import { batch, effect, signal, type Signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ask, needsSignIn, useAsk, type Asked } from "./api.ts";
import { answerOf, saved } from "./kept.ts";
import { frozen } from "./pace.ts";
import { time } from "./time.ts";

/** `failing`: the program answers, with errors. */
export type LinkState = "connecting" | "open" | "lost" | "failing" | "refused" | "saved";

export const linkState = signal<LinkState>("connecting");
/** When something last came, in milliseconds. */
export const lastHeard = signal(0);
/** When the next try is, in milliseconds. */
export const nextTry = signal(0);
/** The clock of the program less that of this machine, in milliseconds. */
export const clockAhead = signal(0);

interface Message {
  type?: string;
  topic?: string;
  timestamp?: string;
  data?: unknown;
  missed?: number;
}

const figures = new Map<string, Signal<unknown>>();
const listeners = new Map<string, Set<(entry: unknown, missed?: number) => void>>();
const wanted = new Map<string, number>();

let socket: WebSocket | undefined;
let failures = 0;
let timer: ReturnType<typeof setTimeout> | undefined;

function figure(topic: string): Signal<unknown> {
  let found = figures.get(topic);
  if (!found) figures.set(topic, (found = signal<unknown>(undefined)));
  return found;
}

function send(action: "subscribe" | "unsubscribe", topics: string[]): void {
  if (socket?.readyState === WebSocket.OPEN && topics.length > 0) {
    socket.send(JSON.stringify({ action, topics, interval_ms: 500 }));
  }
}

function want(topic: string): () => void {
  const count = wanted.get(topic) ?? 0;
  wanted.set(topic, count + 1);
  if (count === 0 && !frozen.value) send("subscribe", [topic]);
  return () => {
    const left = (wanted.get(topic) ?? 1) - 1;
    if (left > 0) wanted.set(topic, left);
    else {
      wanted.delete(topic);
      send("unsubscribe", [topic]);
    }
  };
}

/** Where the same is asked for while the WebSocket is refused. */
const PATHS: Record<string, string> = { in_flight: "/dashboard/exchanges/in-flight" };

const TOPICS = ["stats", "metrics", "alerts", "models", "workers", "jobs", "in_flight"];

const pathOf = (topic: string): string => PATHS[topic] ?? `/dashboard/${topic}`;

/** What came last of the topic that has the same as this path. */
export function newest(path: string): unknown {
  const topic = TOPICS.find((one) => pathOf(one) === path);
  return topic === undefined ? undefined : figures.get(topic)?.peek();
}

/** Whether nothing new comes, though it should. */
export const isCut = (): boolean => linkState.value === "lost" || linkState.value === "failing";

/** The moment that live figures are of. */
export const moment = (): string => (isCut() && lastHeard.value > 0 ? `at ${time(lastHeard.value)}` : "now");

/** A topic as the answer of a question: its newest state, and what keeps it from coming. */
export function useLive<T>(topic: string): Asked<T> {
  useEffect(() => want(topic), [topic]);
  const link = linkState.value;
  const pushed = figure(topic).value as T | undefined;
  // Without a WebSocket the topic is asked for.
  const isAsked = link === "refused" || (pushed === undefined && (isCut() || link === "saved"));
  const asked = useAsk<T>(isAsked ? pathOf(topic) : null, 10);
  return isAsked && (asked.data !== undefined || pushed === undefined) ? asked : { data: pushed, failure: asked.failure, at: lastHeard.peek() };
}

/** The newest state of a topic; `undefined` before the first. */
export const useTopic = <T,>(topic: string): T | undefined => useLive<T>(topic).data;

/** Each new entry of a list. */
export function useEntries<T>(topic: string, take: (entry: T) => void): void {
  useEffect(() => {
    const all = listeners.get(topic) ?? new Set();
    listeners.set(topic, all);
    const taken = take as (entry: unknown) => void;
    all.add(taken);
    const leave = want(topic);
    return () => {
      all.delete(taken);
      leave();
    };
  }, [topic]);
}

function take(message: Message): void {
  lastHeard.value = Date.now();
  if (!message.topic || message.type === "lagged") return;
  if (message.timestamp) clockAhead.value = Date.parse(message.timestamp) - Date.now();
  const hearers = listeners.get(message.topic);
  if (hearers && hearers.size > 0) hearers.forEach((hear) => hear(message.data));
  else figure(message.topic).value = message.data;
}

function open(): void {
  clearTimeout(timer);
  if (needsSignIn.value) return;
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const opened = new WebSocket(`${scheme}://${location.host}/dashboard/ws`);
  socket = opened;
  opened.onopen = () => {
    failures = 0;
    linkState.value = "open";
    // Asked for nothing, it would send what it thinks is usual.
    const topics = frozen.value ? [] : [...wanted.keys()];
    opened.send(JSON.stringify({ action: "subscribe", topics, interval_ms: 500 }));
  };
  opened.onmessage = (event) => {
    if (frozen.value) return;
    batch(() => take(JSON.parse(String(event.data)) as Message));
  };
  opened.onclose = () => {
    if (socket === opened) void lost();
  };
}

/** Tries again, the later the more often it failed. */
async function lost(): Promise<void> {
  socket = undefined;
  failures += 1;
  if (linkState.value !== "refused" && linkState.value !== "failing") linkState.value = "lost";
  const wait = Math.min(15_000, 500 * 2 ** Math.min(failures, 5)) * (0.75 + Math.random() / 2);
  nextTry.value = Date.now() + wait;
  clearTimeout(timer);
  timer = setTimeout(open, wait);
  // A browser does not say why a WebSocket was refused; another question does.
  if (failures === 1) return;
  const answer = await ask("/dashboard/session");
  if ("failure" in answer) linkState.value = answer.failure.kind === "offline" ? "lost" : "failing";
  else if (failures > 2) linkState.value = "refused";
}

export function connect(): void {
  if (saved) {
    for (const topic of TOPICS) figure(topic).value = answerOf(pathOf(topic));
    linkState.value = "saved";
    return;
  }
  effect(() => {
    if (!needsSignIn.value && !socket) open();
  });
  effect(() => {
    if (frozen.value) send("unsubscribe", [...wanted.keys()]);
    else send("subscribe", [...wanted.keys()]);
  });
}
