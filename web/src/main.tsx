// Starts the page.
import { render } from "preact";
import { App } from "./app.tsx";
import { askAhead } from "./lib/api.ts";
import { listen } from "./lib/keys.ts";
import { connect } from "./lib/live.ts";
import { keepTime } from "./lib/pace.ts";
import { follow, route } from "./lib/route.ts";
import { beginSession } from "./lib/session.ts";
import { seriesUrl } from "./parts/series.tsx";
import { METRICS } from "./screens/now.tsx";

follow();
// Who asks, the figures, and what changes: all at once, before anything is drawn.
askAhead(...(route.value.screen === "now" ? [seriesUrl(METRICS)] : []), "/health");
void beginSession();
connect();
listen();
keepTime();
// In a task of its own: reading the script was one.
setTimeout(() => render(<App />, document.getElementById("app") as HTMLElement));
