// Instants as text, in the reader's zone. 24 hours, unless the reader's locale has twelve.

const locale = typeof navigator === "undefined" ? "en-GB" : navigator.language;

/** A format takes milliseconds to make, so that each is made when it is first used. */
function format(parts: Intl.DateTimeFormatOptions): (at: Date) => string {
  let made: Intl.DateTimeFormat | undefined;
  return (at) => (made ??= new Intl.DateTimeFormat(locale, parts)).format(at);
}

const clock = format({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
const minutes = format({ hour: "2-digit", minute: "2-digit" });
const dates = format({ day: "2-digit", month: "short" });
const whole = format({ year: "numeric", month: "short", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" });

type When = number | string | Date;
const date = (when: When): Date => (when instanceof Date ? when : new Date(when));

/** With seconds; with the day where that is another one. */
export function time(when: When, now: Date = new Date()): string {
  const at = date(when);
  return at.toDateString() === now.toDateString() ? clock(at) : `${dates(at)} ${minutes(at)}`;
}

export const full = (when: When): string => whole(date(when));

/** A mark on a time axis: seconds since the epoch, and the distance of marks. */
export function mark(seconds: number, step: number): string {
  const at = new Date(seconds * 1000);
  if (step >= 86_400) return dates(at);
  return at.getHours() + at.getMinutes() === 0 ? dates(at) : minutes(at);
}

/** The instant as the API takes it, without milliseconds. */
export const instant = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
