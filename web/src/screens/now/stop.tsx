// Ends one exchange that goes on, once that has been confirmed.
import { useState } from "preact/hooks";

export function Stop(_: { id: string; model: string | null }) {
  useState(0);
  return null;
}
