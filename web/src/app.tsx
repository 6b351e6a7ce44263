// The frame of every screen: heading, ways to the others, time, and how the connection is.
import { useEffect, useRef } from "preact/hooks";
import { needsSignIn } from "./lib/api.ts";
import { saved } from "./lib/kept.ts";
import { helpShown } from "./lib/keys.ts";
import { route } from "./lib/route.ts";
import { Banner } from "./frame/banner.tsx";
import { Help } from "./frame/help.tsx";
import { Navigation, SCREENS, Shown } from "./frame/navigation.tsx";
import { SignIn } from "./frame/sign-in.tsx";
import { Strip } from "./frame/strip.tsx";
import { Toolbar } from "./frame/toolbar.tsx";

export function App() {
  const { screen } = route.value;
  const found = SCREENS.find((one) => one.name === screen) ?? (SCREENS[0] as (typeof SCREENS)[number]);
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  useEffect(() => {
    document.title = `${found.title} · inferometer`;
    // Readers of screens are told of the new screen; the first needs no telling.
    if (!first.current) main.current?.focus({ preventScroll: true });
    first.current = false;
    scrollTo(0, 0);
  }, [screen, route.value.id]);
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); main.current?.focus(); }}>Skip to the figures</a>
      <header class="top">
        <div class="bar">
          <a class="brand" href="#/now">inferometer</a>
          <Strip />
          {!saved && <Toolbar />}
        </div>
        <Navigation current={found.name} />
        <Banner />
      </header>
      <main id="main" ref={main} tabIndex={-1} aria-label={found.title} class={`screen ${found.name}`}>
        <h1 class="hidden">{found.title}</h1>
        {needsSignIn.value ? <SignIn /> : <Shown screen={found} />}
      </main>
      {helpShown.value && <Help />}
    </>
  );
}
