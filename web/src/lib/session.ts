// Who asks. With a password that the browser knows, the page begins a session, which may ask more often.
import { signal } from "@preact/signals";
import { ask, change, needsSignIn, type Failure } from "./api.ts";
import { saved } from "./kept.ts";
import { refresh } from "./pace.ts";
import type { Session } from "./types.ts";

export const session = signal<Session | undefined>(undefined);

/** Why it is not known who asks. */
export const sessionFailure = signal<Failure | undefined>(undefined);

export async function beginSession(): Promise<void> {
  if (saved) return;
  const found = await ask<Session>("/dashboard/session");
  sessionFailure.value = "failure" in found ? found.failure : undefined;
  if (!("data" in found)) return;
  session.value = found.data;
  if (found.data.method === "password" && !found.data.session) {
    const begun = await change<Session>("/dashboard/session");
    if ("data" in begun) session.value = begun.data;
  }
}

/** Tells the other tabs of a sign-in: the session is theirs too. */
const tabs = typeof BroadcastChannel === "undefined" ? undefined : new BroadcastChannel("inferometer/session");

/** Asks who asks, again. */
async function takeUp(): Promise<void> {
  const found = await ask<Session>("/dashboard/session");
  if (!("data" in found)) return;
  session.value = found.data;
  needsSignIn.value = false;
  refresh();
}

/** Goes on once another tab has signed in, which this one learns at once or when it is looked at again. */
export function followSignIns(): void {
  if (saved) return;
  const look = () => { if (needsSignIn.value) void takeUp(); };
  tabs?.addEventListener("message", look);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
}

/** Says what is wrong, where something is. */
export async function signIn(given: { user: string; password: string } | { token: string }): Promise<string | undefined> {
  const begun = await change<Session>("/dashboard/session", given);
  if ("failure" in begun) {
    const { kind, wait, message } = begun.failure;
    if (kind === "limited") return `Too many attempts. Try again in ${wait ?? 60} s.`;
    return kind === "unauthenticated" ? "These credentials are not accepted." : message;
  }
  session.value = begun.data;
  needsSignIn.value = false;
  tabs?.postMessage("signed in");
  refresh();
  return undefined;
}

export async function signOut(): Promise<void> {
  await change("/dashboard/session/end");
  session.value = undefined;
  needsSignIn.value = true;
}

export const may = (permission: string): boolean => session.value?.permissions.includes(permission) ?? false;
