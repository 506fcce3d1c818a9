// Mean power over rate, one curve for everything but the rate, out of a run's figures; as the report draws it.
import type { Kpi } from "../api/shapes.ts";

export const MODES = ["always_on", "event_sleep", "event_reload", "event_gated"] as const;
export type Mode = (typeof MODES)[number];

export interface Dot {
  /** Achieved, 0 for the floor. */
  readonly rate_hz: number;
  readonly power_w: number;
  /** The 95 % interval; null when the uncertainty is unknown. */
  readonly low_w: number | null;
  readonly high_w: number | null;
  readonly figure: Kpi;
}

export interface Line {
  readonly floor_w: number;
  readonly incremental_j: number;
}

export interface Curve {
  /** Operating point without its rate, e.g. `event_sleep/v=3/dnn`. */
  readonly key: string;
  readonly mode: Mode;
  /** What tells it from the other curves: its mode, and the rest of the key where that varies. */
  readonly label: string;
  /** Ascending in rate; a dot for each repeat. */
  readonly dots: readonly Dot[];
  readonly line: Line | null;
}

interface Place {
  readonly mode: Mode;
  readonly rate_hz: number;
  readonly rest: string;
}

export function curves(kpis: readonly Kpi[]): Curve[] {
  const groups = new Map<string, { mode: Mode; rest: string; dots: Dot[] }>();
  for (const kpi of kpis) {
    const place = placeOf(kpi.at);
    if (!place || kpi.value === null || kpi.id !== (place.rate_hz === 0 ? "power.floor" : "power.mean")) continue;
    const key = `${place.mode}/${place.rest}`;
    const group = groups.get(key) ?? { mode: place.mode, rest: place.rest, dots: [] };
    group.dots.push({ rate_hz: achieved(kpis, kpi, place), power_w: kpi.value, low_w: kpi.low, high_w: kpi.high, figure: kpi });
    groups.set(key, group);
  }
  const varies = new Set([...groups.values()].map((group) => group.rest)).size > 1;
  const found = [...groups].map(([key, { mode, rest, dots }]) => ({
    key,
    mode,
    label: varies ? `${modeName(mode)}, ${rest.replaceAll("/", ", ").replace(/^v=(\S+?),/, "$1 V,")}` : modeName(mode),
    dots: dots.sort((one, other) => one.rate_hz - other.rate_hz),
    line: lineOf(kpis, varies ? key : mode),
  }));
  return found.sort((one, other) => MODES.indexOf(one.mode) - MODES.indexOf(other.mode) || one.key.localeCompare(other.key));
}

export function modeName(mode: Mode): string {
  return mode.replaceAll("_", "-");
}

function placeOf(at: string): Place | null {
  const [mode, rate, ...rest] = at.split("/");
  const known = MODES.find((one) => one === mode);
  const found = /^r=(\d[0-9.e+-]*)$/.exec(rate ?? "");
  return known && found && rest.length ? { mode: known, rate_hz: Number(found[1]), rest: rest.join("/") } : null;
}

/** The rate that the same capture achieved. */
function achieved(kpis: readonly Kpi[], figure: Kpi, place: Place): number {
  if (place.rate_hz === 0) return 0;
  const rate = kpis.find((kpi) => kpi.id === "inference_rate" && kpi.at === figure.at && kpi.captures.join() === figure.captures.join());
  return rate?.value ?? place.rate_hz;
}

function lineOf(kpis: readonly Kpi[], at: string): Line | null {
  const value = (id: string): number | null => kpis.find((kpi) => kpi.id === id && kpi.at === at)?.value ?? null;
  const [floor_w, incremental_j] = [value("fit.floor_power"), value("fit.incremental_energy")];
  return floor_w === null || incremental_j === null ? null : { floor_w, incremental_j };
}
