// Figures in SI units with a prefix, as people read them.

const PREFIXES: Record<number, string> = { [-15]: "f", [-12]: "p", [-9]: "n", [-6]: "µ", [-3]: "m", 0: "", 3: "k", 6: "M", 9: "G" };
const MISSING = "–";

export interface Scale {
  /** Divide by this, then write `symbol`. */
  readonly factor: number;
  readonly symbol: string;
}

/** The prefix that puts `magnitude` between 1 and 1000. */
export function scaleFor(magnitude: number, unit: string): Scale {
  const size = Math.abs(magnitude);
  if (!Number.isFinite(size) || size === 0) return { factor: 1, symbol: unit };
  const wanted = 3 * Math.floor((Math.log10(size) + 1e-12) / 3);
  const exponent = Math.min(9, Math.max(-15, wanted));
  return { factor: 10 ** exponent, symbol: `${PREFIXES[exponent] ?? ""}${unit}` };
}

/** `value` with `digits` significant digits, e.g. si(1.234e-6, "A") is "1.234 µA". */
export function si(value: number | null | undefined, unit: string, digits = 4): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return MISSING;
  const rounded = Number(value.toPrecision(digits));
  const scale = scaleFor(rounded, unit);
  const shown = rounded / scale.factor;
  const whole = shown === 0 ? 1 : Math.floor(Math.log10(Math.abs(shown)) + 1e-12) + 1;
  return `${shown.toFixed(Math.max(0, digits - Math.max(1, whole)))} ${scale.symbol}`.trimEnd();
}

/** Labels of an axis, all with one prefix and just enough decimals to say each tick. */
export function axisLabels(ticks: readonly number[], unit: string): string[] {
  const scale = scaleFor(Math.max(...ticks.map(Math.abs), 0), unit);
  const shown = ticks.map((tick) => tick / scale.factor);
  const largest = Math.max(...shown.map(Math.abs), 1);
  const fits = (places: number): boolean => shown.every((value) => Math.abs(value - Number(value.toFixed(places))) < 1e-9 * largest);
  let places = 0;
  while (places < 9 && !fits(places)) places += 1;
  return shown.map((value) => `${value.toFixed(places)} ${scale.symbol}`);
}

/** Labels of a log axis: decades only, each with its own prefix. */
export function decadeLabels(ticks: readonly number[], unit: string): string[] {
  return ticks.map((tick) => {
    const exponent = Math.log10(tick);
    return Math.abs(exponent - Math.round(exponent)) < 1e-6 ? si(tick, unit, 1) : "";
  });
}

/** A length of time for people: "850 ms", "42 s", "3 min 20 s", "5 h 12 min". */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return MISSING;
  if (seconds < 1) return si(seconds, "s", 3);
  const total = Math.round(seconds);
  if (total < 60) return `${total} s`;
  if (total < 3600) return `${Math.floor(total / 60)} min ${total % 60} s`;
  return `${Math.floor(total / 3600)} h ${Math.floor((total % 3600) / 60)} min`;
}

/** A UTC instant in nanoseconds, as the reader's wall clock shows it. */
export function instant(ns: number | null | undefined): string {
  return ns ? new Date(ns / 1e6).toLocaleString(undefined, { dateStyle: "short", timeStyle: "medium" }) : MISSING;
}
