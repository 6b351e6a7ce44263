// The keys.
import { useEffect, useRef } from "preact/hooks";
import { KEYS, helpShown } from "../lib/keys.ts";

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
      <p class="note">Drag in a chart to look closer. All that is chosen is in the address, which can be sent to others.</p>
      <button type="button" onClick={close}>Close</button>
    </dialog>
  );
}
