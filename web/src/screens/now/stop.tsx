// Ends one exchange that goes on, once that has been confirmed.
import { useEffect, useState } from "preact/hooks";
import { change } from "../../lib/api.ts";
import { isCut } from "../../lib/live.ts";
import { may } from "../../lib/session.ts";

/** How long the question stands, in milliseconds. */
const ASKED = 4000;

type State = "" | "asked" | "busy" | "failed";

/** `called` is what the exchange is called where the button is only heard. */
export function Stop({ id, called }: { id: string; called: string }) {
  const [state, setState] = useState<State>("");
  useEffect(() => {
    if (state !== "asked") return;
    const timer = setTimeout(() => setState(""), ASKED);
    return () => clearTimeout(timer);
  }, [state]);
  if (!may("dashboard:admin")) return <span />;
  const press = async () => {
    if (state !== "asked") return setState("asked");
    setState("busy");
    const done = await change(`/dashboard/exchanges/${id}/stop`);
    // One that has ended by itself is stopped as well.
    setState("failure" in done && done.failure.kind !== "missing" ? "failed" : "busy");
  };
  const text = { "": "stop", asked: "sure?", busy: "…", failed: "not stopped" }[state];
  return (
    <button type="button" class={`stop ${state}`} disabled={state === "busy" || isCut()} aria-label={`${text} ${called}`} title="Ends this exchange: its client sees a cut answer" onClick={() => void press()}>{text}</button>
  );
}
