// What keeps new figures from coming, for the whole page.
import { limitedUntil, needsSignIn } from "../lib/api.ts";
import { lastHeard, linkState, nextTry } from "../lib/live.ts";
import { now, paused, refresh } from "../lib/pace.ts";
import { go, link, route } from "../lib/route.ts";
import { count, span } from "../lib/format.ts";
import { pause } from "../lib/pauses.ts";
import { saved } from "../lib/kept.ts";
import { full, time } from "../lib/time.ts";
import { useAllDown } from "../parts/backends.tsx";
import { health } from "../lib/program.ts";

export function Banner() {
  return (
    <div role="status" aria-live="polite">
      <Link />
      <Down />
      <Kept />
      <Filtered />
    </div>
  );
}

function Link() {
  if (saved) return <p class="banner saved">Saved at {full(saved.at)}, of {saved.range["period"] ? `the last ${saved.range["period"]}` : `the time from ${full(saved.range["from"] ?? saved.at)}`}. Nothing here is live; addresses are left out, and prompts and answers are never kept.</p>;
  if (needsSignIn.value) return null;
  const limited = limitedUntil.value - now.value;
  if (limited > 0) return <p class="banner limited">Too many questions were asked of the program. The page goes on in {span(limited / 1000)}.</p>;
  if (paused.value) return <p class="banner paused">Paused: figures stay as they are. <button type="button" onClick={() => { paused.value = false; refresh(); }}>Go on</button></p>;
  if (linkState.value === "lost") {
    const wait = Math.max(0, nextTry.value - now.value);
    const since = lastHeard.value ? ` Figures are those of ${time(lastHeard.value)}.` : "";
    return <p class="banner lost">The connection to the program is lost.{since} {wait > 1500 ? `The next try is in ${span(wait / 1000)}.` : "Trying again…"}</p>;
  }
  if (linkState.value === "failing") return <p class="banner lost">The program answers with errors, so that nothing new comes{lastHeard.value > 0 && `; figures are those of ${time(lastHeard.value)}`}. Its log says why.</p>;
  if (linkState.value === "refused") return <p class="banner limited">The program answers but takes no WebSocket: too many are open, or something between does not let it through. Figures come every {route.value.refresh || 30} s.</p>;
  return null;
}

/** No backend answers: what that means, and what to do. */
function Down() {
  const areDown = useAllDown();
  if (!areDown || needsSignIn.value) return null;
  const all = health.value?.backends ?? [];
  return (
    <p class="banner lost">
      {all.length === 1 ? "The backend does not answer" : "No backend answers"}{all.length > 0 && ": "}
      {all.map((one, at) => <span key={one.name}>{at > 0 && "; "}{one.name} at <code>{one.address}</code>{one.reason && `, ${one.reason}`}</span>)}.
      {" "}Requests fail until {all.length === 1 ? "it" : "one"} does. Start it, such as by <code>ollama serve</code>; <code>inferometer doctor</code> says what else may be wrong.
    </p>
  );
}

/** What is shown goes on, and nothing of it is kept. */
function Kept() {
  const history = health.value?.history;
  if (!history || needsSignIn.value || history.status !== "paused") return null;
  const lost = history.lost > 0 ? ` ${count(history.lost)} exchanges were lost so far.` : "";
  return (
    <p class="banner lost">
      The history is paused{history.reason ? `: ${pause(history.reason)}` : ""}. What ends now is shown and not kept, so that charts have a gap.{lost} It goes on by itself once it can be written. <a href={link("settings")}>What is kept</a>
    </p>
  );
}

function Filtered() {
  const filters = Object.entries(route.value.filters);
  if (filters.length === 0) return null;
  return (
    <p class="banner filtered">
      Only{" "}
      {filters.map(([name, value]) => (
        <button type="button" key={name} title="Take this filter away" onClick={() => {
          const { [name as "model"]: _, ...rest } = route.value.filters;
          go({ filters: rest });
        }}>{name} {value} ×</button>
      ))}
    </p>
  );
}
