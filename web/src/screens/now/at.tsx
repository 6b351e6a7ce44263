// On which backend something is, where there are several.
import { useTopic } from "../../lib/live.ts";
import type { Workers } from "../../lib/types.ts";

export function At({ backend }: { backend: string | null }) {
  const workers = useTopic<Workers>("workers")?.workers ?? [];
  return workers.length > 1 && backend ? <small class="at"> on {backend}</small> : null;
}
