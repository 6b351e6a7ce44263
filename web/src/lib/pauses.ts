// Why the history is paused.
import { words } from "./format.ts";

const PAUSES: Record<string, string> = {
  no_directory: "its folder is not there", full: "no space is left on the disk", read_only: "its files may not be written", newer_schema: "its files are of a newer release",
  too_many_processes: "too many processes write to its folder", busy: "another process holds its files", failing: "its files cannot be written; the log says why",
};

/** The reason as a clause. */
export const pause = (reason: string): string => PAUSES[reason] ?? words(reason);
