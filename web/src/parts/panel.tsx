// A part of a screen with a heading, and what it shows while its figures do not come.
import type { ComponentChildren } from "preact";
import { needsSignIn, type Asked, type Failure } from "../lib/api.ts";
import { saved } from "../lib/kept.ts";
import { time } from "../lib/time.ts";

interface PanelProps {
  title: string;
  note?: ComponentChildren;
  /** The time that its figures are of. */
  window?: string | undefined;
  /** Where the same is as a table. */
  csv?: string | undefined;
  class?: string;
  id?: string;
  children: ComponentChildren;
}

export function Panel({ title, note, window, csv, class: name = "", id, children }: PanelProps) {
  return (
    <section class={`panel ${name}`} id={id} aria-label={title}>
      <header>
        <h2>{title}</h2>
        {note && <span class="note">{note}</span>}
        {window && <span class="window">{window}</span>}
        {csv && !saved && <a class="csv" href={csv} download={`${title.toLowerCase().replaceAll(" ", "-")}.csv`}>CSV</a>}
      </header>
      <div class="body">{children}</div>
    </section>
  );
}

export function explain(failure: Failure): ComponentChildren {
  switch (failure.kind) {
    case "offline": return "Nothing answers at this address. The program may have ended, or the network to it.";
    case "unauthenticated": return "The session has ended: sign in again.";
    case "forbidden": return `These credentials do not permit it: ${failure.message}.`;
    case "limited": return "Not asked for yet, as the program takes no more questions for now.";
    case "unavailable": return history(failure.message);
    case "missing": return failure.message;
    default: return `The program could not answer (status ${failure.status}): ${failure.message}.`;
  }
}

/** What to do to have one. */
export function NoHistory() {
  return <>No history is kept that could tell. Start the program with <code class="one-line">--history sqlite</code> to have one.</>;
}

function history(message: string): ComponentChildren {
  const isOff = /not kept|off|no history/i.test(message);
  return isOff ? <NoHistory /> : `The history does not answer: ${message}.`;
}

/** What stands where figures would: why they are not there, or how old those are that are. */
export function Trouble({ failure, at }: { failure: Failure | undefined; at?: number }) {
  if (!failure || needsSignIn.value) return null;
  const old = at ? ` Shown is what came at ${time(at)}.` : "";
  return <p class={`trouble ${failure.kind}`} role="status">{explain(failure)}{old}</p>;
}

/** The figures once they are there; before, why not. */
export function Loaded<T>({ of, children }: { of: Asked<T>; children: (data: T) => ComponentChildren }) {
  return (
    <>
      <Trouble failure={of.failure} at={of.at} />
      {of.data !== undefined ? children(of.data) : !of.failure && <Waiting />}
    </>
  );
}

/** Before the first answer. */
export function Waiting() {
  return <p class="empty" aria-busy="true">Waiting for the program's answer…</p>;
}

export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="empty">{children}</p>;
}
