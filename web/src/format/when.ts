// Instants as people set and read them: nanoseconds UTC on the wire, the reader's clock or a named zone on the screen.

/** The reader's own time zone, e.g. `Europe/Berlin`. */
export function readersZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}

/** What an `<input type="datetime-local">` takes; empty for none. In the reader's zone, to the minute. */
export function toInput(ns: number | null): string {
  if (ns === null) return "";
  const at = new Date(ns / 1e6);
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}T${two(at.getHours())}:${two(at.getMinutes())}`;
}

/** Null for an empty or impossible one. */
export function fromInput(text: string): number | null {
  const ms = new Date(text).getTime();
  return text && Number.isFinite(ms) ? ms * 1e6 : null;
}

/** The wall clock of `zone`, which is named; the reader's where it is empty or the browser does not know it. */
export function instantIn(ns: number, zone: string): string {
  const print = (timeZone?: string): string =>
    new Date(ns / 1e6).toLocaleString(undefined, { dateStyle: "short", timeStyle: "short", ...(timeZone ? { timeZone } : {}) });
  try {
    return zone ? `${print(zone)} ${zone}` : print();
  } catch {
    return `${print()} ${readersZone()}`;
  }
}
