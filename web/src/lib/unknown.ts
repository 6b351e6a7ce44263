// Why a value is unknown: the API writes null, and the reason by JSON pointer at the top of the answer.

export type Unknown = Record<string, string>;

const SENTENCES: Record<string, string> = {
  not_reported: "Its source does not report it.",
  not_local: "It concerns another machine.",
  not_configured: "The program is not set up to know it.",
  not_applicable: "It does not apply here.",
  not_yet: "It is not known yet.",
  no_samples: "Nothing happened that could tell.",
  shared_process: "One process serves several, and cannot be divided among them.",
  collector_failed: "Its source could not be read; the log says why.",
};

export const NO_HISTORY = "No history is kept that could tell. Start the program with --history sqlite to have one.";

/** The reason as a sentence. */
export function sentence(reason: string | undefined): string {
  return (reason && SENTENCES[reason]) || "It is not known.";
}

/** The reason for a null at a JSON pointer of an answer, such as `/models/0/loaded_at`. */
export function why(answer: { unknown?: Unknown } | null | undefined, pointer: string): string {
  return sentence(answer?.unknown?.[pointer]);
}

/** The same for what only the history knows. */
export function whyKept(answer: { unknown?: Unknown } | null | undefined, pointer: string): string {
  return answer?.unknown?.[pointer] === "not_configured" ? NO_HISTORY : why(answer, pointer);
}
