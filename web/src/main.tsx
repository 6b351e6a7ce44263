// Starts the page.
import { render } from "preact";
import { App } from "./app.tsx";
import { askAhead, takeUnasked } from "./lib/api.ts";
import { listen } from "./lib/keys.ts";
import { connect } from "./lib/live.ts";
import { keepTime } from "./lib/pace.ts";
import { follow, route } from "./lib/route.ts";
import { beginSession, followSignIns } from "./lib/session.ts";
import { seriesUrl } from "./parts/series.tsx";
import { METRICS } from "./screens/now/metrics.ts";

/** Milliseconds that the first frame waits for the figures. */
const NEARLY = 50;

follow();
// The figures, who asks, and what changes: all at once, before anything is drawn.
const wanted = route.value.screen === "now" ? seriesUrl(METRICS) : undefined;
const figures = wanted === undefined ? undefined : askAhead(wanted);
takeUnasked(wanted);
void askAhead("/health");
void beginSession();
connect();
listen();
followSignIns();
keepTime();
// In a task of its own: reading the script was one. Figures that are nearly here are in the first frame.
void Promise.race([figures, new Promise((done) => setTimeout(done, NEARLY))])
  .then(() => setTimeout(() => render(<App />, document.getElementById("app") as HTMLElement)));
