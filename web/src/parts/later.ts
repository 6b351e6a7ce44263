// Charts are drawn once they are seen, one after the other, so that nothing else has to wait for all of them.

import { useEffect, useState } from "preact/hooks";

/** Counts up to `most`, a task for each step: what is drawn in steps leaves frames and keys in between. */
export function useSteps(most: number): number {
  const [step, setStep] = useState(0);
  useEffect(() => {
    if (step >= most) return;
    const timer = setTimeout(() => setStep(step + 1));
    return () => clearTimeout(timer);
  }, [step]);
  return step;
}

type Plot = typeof import("./plot.ts");
type Work = (plot: Plot) => void;

let module: Promise<Plot> | undefined;
const waiting: Work[] = [];
let ready: Plot | undefined;
let busy = false;

async function next(): Promise<void> {
  if (busy) return;
  busy = true;
  const plot = (ready = await (module ??= import("./plot.ts")));
  while (waiting.length > 0) {
    // Frames and keys come in between.
    await new Promise((done) => setTimeout(done));
    waiting.shift()?.(plot);
  }
  busy = false;
}

const seen = typeof IntersectionObserver === "undefined" ? undefined : new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) if (isIntersecting) begin(target);
}, { rootMargin: "200px" });

const work = new Map<Element, Work>();

function begin(element: Element): void {
  const found = work.get(element);
  if (!found) return;
  forget(element);
  waiting.push((plot) => { if (element.isConnected) found(plot); });
  void next();
}

function forget(element: Element): void {
  work.delete(element);
  seen?.unobserve(element);
}

/** On paper everything is seen, and nothing can be waited for. */
function drawAll(): void {
  [...work.keys()].forEach(begin);
  for (let one = ready && waiting.shift(); one && ready; one = waiting.shift()) one(ready);
}

if (typeof addEventListener !== "undefined") addEventListener("beforeprint", drawAll);

/** Draws into an element when it comes near what is seen. The answer takes that back. */
export function whenSeen(element: Element, draw: Work): () => void {
  let isWanted = true;
  work.set(element, (plot) => { if (isWanted) draw(plot); });
  if (seen) seen.observe(element);
  else begin(element);
  return () => {
    // It may wait for its turn already.
    isWanted = false;
    forget(element);
  };
}
