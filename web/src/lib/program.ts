// What the program says of itself, asked for by the line at the top, for whoever else shows it.
import { signal } from "@preact/signals";
import type { Health } from "./types.ts";

export const health = signal<Health | undefined>(undefined);
