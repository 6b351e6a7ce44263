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
render(<App />, document.getElementById("app") as HTMLElement);
void beginSession().then(connect);
