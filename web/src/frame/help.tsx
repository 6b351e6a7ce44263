// The keys, and what the colours mean.
import { useEffect, useRef } from "preact/hooks";
import { KEYS, helpShown } from "../lib/keys.ts";
import { MEANINGS, colourOf, type Meaning } from "../parts/colours.ts";

export function Help() {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const close = () => { helpShown.value = false; };
  return (
    <dialog ref={dialog} aria-labelledby="keys" onClose={close} onClick={(event) => { if (event.target === dialog.current) close(); }}>
      <h2 id="keys">Keys</h2>
      <dl class="keys">
        {KEYS.map(([key, what]) => <div key={key}><dt>{key.split("  ").map((one) => <kbd key={one}>{one}</kbd>)}</dt><dd>{what}</dd></div>)}
      </dl>
      <h2>Colours of lines and bars</h2>
      <ul class="meanings">
        {Object.entries(MEANINGS).map(([name, what]) => <li key={name}><i class="key" style={{ borderColor: colourOf(name as Meaning) }} /> {what}</li>)}
      </ul>
      <p class="note">Percentiles of one thing have one colour: solid the 50th, dashed the 95th, dotted the 99th. Several models or backends have other colours, which tell them apart and mean nothing else.</p>
      <p class="note">A ring at the end of a line is the interval that goes on: it is not whole yet.</p>
      <p class="note">Drag in a chart to look closer. All that is chosen is in the address, which can be sent to others.</p>
      <button type="button" onClick={close}>Close</button>
    </dialog>
  );
}
