// A table; on a narrow screen each row is a card, and the first of many are shown until all are asked for.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";

/** Rows that a narrow screen shows at first: the style sheet hides those after them. */
const FIRST = 12;

export interface Column<T> {
  name: string;
  /** What the name leaves open. */
  title?: string;
  /** Numbers stand to the right. */
  number?: boolean;
  cell: (row: T) => ComponentChildren;
  class?: string;
}

interface TableProps<T> {
  caption: string;
  columns: Column<T>[];
  rows: readonly T[];
  id: (row: T) => string;
  /** Where a row leads. */
  to?: (row: T) => string | undefined;
  empty: ComponentChildren;
}

export function Table<T>({ caption, columns, rows, id, to, empty }: TableProps<T>) {
  const [whole, setWhole] = useState(false);
  if (rows.length === 0) return <p class="empty">{empty}</p>;
  const kind = (column: Column<T>) => [column.number ? "n" : "", column.class ?? ""].join(" ").trim() || undefined;
  return (
    <div class={whole ? "wide whole" : "wide"} tabIndex={0} role="region" aria-label={caption}>
      <table>
        <caption>{caption}</caption>
        <thead>
          <tr>{columns.map((column) => <th scope="col" class={kind(column)} title={column.title} key={column.name}>{column.name}</th>)}</tr>
        </thead>
        <tbody>
          {rows.map((row) => {
            const target = to?.(row);
            return (
              <tr
                key={id(row)}
                {...(target
                  ? {
                      "data-row": "", tabIndex: 0, class: "to",
                      onClick: (event: MouseEvent) => follow(event, target),
                      onKeyDown: (event: KeyboardEvent) => { if (event.key === "Enter") location.hash = target; },
                    }
                  : {})}
              >
                {columns.map((column) => (
                  <td class={kind(column)} data-label={column.name} key={column.name}>{column.cell(row)}</td>
                ))}
              </tr>
            );
          })}
        </tbody>
      </table>
      {!whole && rows.length > FIRST && <button type="button" class="more" onClick={() => setWhole(true)}>Show {rows.length - FIRST} more</button>}
    </div>
  );
}

/** A click opens the row, unless text is being selected or something in it is meant. */
function follow(event: MouseEvent, target: string): void {
  if ((event.target as HTMLElement).closest("a, button, .dash") || getSelection()?.toString()) return;
  location.hash = target;
}
