// Starts the page.
import { render } from "preact";
import { App } from "./app.tsx";
import { listen } from "./lib/keys.ts";
import { connect } from "./lib/live.ts";
import { keepTime } from "./lib/pace.ts";
import { follow } from "./lib/route.ts";
import { beginSession } from "./lib/session.ts";

follow();
listen();
keepTime();
void beginSession().then(connect);
// In a task of its own: reading the script was one.
setTimeout(() => render(<App />, document.getElementById("app") as HTMLElement));
