// The last values as a small line. Gaps are gaps.
import { colourOf, type Colour } from "./colours.ts";

export function Spark({ values, label, colour }: { values: readonly (number | null)[]; label: string; colour: Colour }) {
  const known = values.filter((value): value is number => value !== null);
  if (known.length < 2) return <svg class="spark" viewBox="0 0 100 24" aria-hidden="true" />;
  const top = Math.max(...known, 0) || 1;
  const x = (at: number) => (at / Math.max(1, values.length - 1)) * 100;
  const y = (value: number) => 22 - (value / top) * 20;
  const parts: string[] = [];
  let pen = "M";
  values.forEach((value, at) => {
    if (value === null) {
      pen = "M";
      return;
    }
    // A single value between two gaps is a dot of a line.
    const alone = pen === "M" && (values[at + 1] ?? null) === null;
    parts.push(`${pen}${x(at).toFixed(1)} ${y(value).toFixed(1)}${alone ? "h.8" : ""}`);
    pen = "L";
  });
  return (
    <svg class="spark" viewBox="0 0 100 24" preserveAspectRatio="none" role="img" aria-label={label}>
      <path d={parts.join("")} vector-effect="non-scaling-stroke" style={{ stroke: colourOf(colour) }} />
    </svg>
  );
}
