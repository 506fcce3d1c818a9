// The marker and the digital lines as tracks: high, low, or both within a cell.
import { LINES, type Channel } from "./channels.ts";
import type { Columns } from "./columns.ts";

export type Level = "low" | "high" | "both";

export interface Span {
  readonly from_s: number;
  readonly to_s: number;
  readonly level: Level;
}

/** A marker of less than this is noise on a line that nobody drives. */
const LEAST_V = 0.3;

/** What has something to show: the marker, and the lines that were ever high. `before`: shown until now, and kept. */
export function tracksOf(columns: Columns, before: readonly Channel[]): readonly Channel[] {
  const high = (channel: Channel): boolean => columns.bands[channel]?.high.some((value) => (value ?? 0) > 0) ?? false;
  const found = (["marker", ...LINES] as const).filter((channel) => before.includes(channel) || (channel === "marker" ? !!columns.bands.marker : high(channel)));
  return found.length === before.length ? before : found;
}

/** Neighbours of one level are one span; a cell without samples belongs to none. `threshold`: above it a cell is high. */
export function spans(columns: Columns, channel: Channel, threshold: number): Span[] {
  const band = columns.bands[channel];
  if (!band) return [];
  const found: { from_s: number; to_s: number; level: Level }[] = [];
  for (let k = 0; k < columns.t.length; k++) {
    const [low, high] = [band.low[k], band.high[k]];
    if (low === null || low === undefined || high === null || high === undefined) continue;
    const level: Level = low > threshold ? "high" : high > threshold ? "both" : "low";
    const from_s = columns.t[k] ?? 0;
    const to_s = Math.min(from_s + columns.dt_s, columns.t[k + 1] ?? Infinity);
    const last = found.at(-1);
    if (last && last.level === level && from_s - last.to_s < columns.dt_s / 2) last.to_s = to_s;
    else found.push({ from_s, to_s, level });
  }
  return found;
}

/** Halfway up what a marker reached so far; lines are 0 or 1. */
export function thresholdOf(channel: Channel, highest_v: number): number {
  return channel === "marker" ? Math.max(LEAST_V, highest_v / 2) : 0.5;
}

export function highest(columns: Columns, channel: Channel): number {
  return columns.bands[channel]?.high.reduce<number>((most, value) => Math.max(most, value ?? 0), 0) ?? 0;
}
