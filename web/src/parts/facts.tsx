// Names with their values.
import type { ComponentChildren } from "preact";
import { Panel } from "./panel.tsx";

interface Fact {
  name: string;
  value: ComponentChildren;
}

export function FactList({ facts }: { facts: Fact[] }) {
  return <dl class="facts">{facts.map((fact) => <div key={fact.name}><dt>{fact.name}</dt><dd>{fact.value}</dd></div>)}</dl>;
}

export function Facts({ title, window, facts }: { title: string; window?: string; facts: Fact[] }) {
  return <Panel title={title} window={window}><FactList facts={facts} /></Panel>;
}
