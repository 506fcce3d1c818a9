// Where the stretches of a capture stand on one time axis, and which samples a view of it shows: live and stored alike.
import type { Stretch } from "../api/shapes.ts";

export interface Placed extends Stretch {
  /** Add to the instrument's time to get the place on the axis. */
  readonly offset_s: number;
  readonly start_s: number;
  readonly end_s: number;
}

export interface Part {
  readonly stretch: number;
  readonly start: number;
  readonly stop: number;
  readonly offset_s: number;
  /** How many cells of the view are its. */
  readonly points: number;
}

/** Room between two triggered stretches, whose own axes all begin near zero. */
export const ROOM_S = 0.01;
/** Stretches of one view: each is a request, of which the daemon takes a limited number a second. */
const MOST_PARTS = 60;
const FEWEST_POINTS = 2;

/** The offset of a triggered stretch that begins at t0_s on its own axis, behind one that ends at end_s on the common one. */
export function offsetAfter(end_s: number, t0_s: number): number {
  return end_s + ROOM_S - t0_s;
}

/** stretches: all from number 0 on. */
export function layout(stretches: readonly Stretch[]): Placed[] {
  const placed: Placed[] = [];
  for (const stretch of stretches) {
    const [t0_s, dt_s] = [stretch.t0_ns / 1e9, stretch.dt_ns / 1e9];
    const before = placed.at(-1);
    const offset_s = stretch.trigger && before ? offsetAfter(before.end_s, t0_s) : 0;
    placed.push({ ...stretch, offset_s, start_s: t0_s + offset_s, end_s: t0_s + offset_s + stretch.length * dt_s });
  }
  return placed;
}

export function extentOf(placed: readonly Placed[]): { from_s: number; to_s: number } {
  return { from_s: Math.min(...placed.map((one) => one.start_s)), to_s: Math.max(...placed.map((one) => one.end_s)) };
}

/**
 * The samples of [from_s, to_s] and one more at either side, stretch by stretch; they share `points` by their length.
 * left_out: stretches that are in view too; of very many every second, third... one is taken.
 */
export function partsOf(placed: readonly Placed[], from_s: number, to_s: number, points: number): { parts: Part[]; left_out: number } {
  const inView = placed.filter((stretch) => stretch.end_s > from_s && stretch.start_s < to_s);
  const every = Math.ceil(inView.length / MOST_PARTS);
  const taken = inView.filter((_, k) => k % every === 0).map((stretch) => cut(stretch, from_s, to_s, 1));
  const total_s = taken.reduce((sum, one) => sum + one.length_s, 0);
  const parts = taken.map(({ length_s, ...part }) => ({ ...part, points: Math.max(FEWEST_POINTS, Math.ceil((points * length_s) / total_s)) }));
  return { parts, left_out: inView.length - parts.length };
}

/** The samples between two instants, each to the nearest sample; no part where there are none. */
export function samplesBetween(placed: readonly Placed[], from_s: number, to_s: number): Omit<Part, "points">[] {
  return placed
    .map((stretch) => cut(stretch, from_s, to_s, 0))
    .filter((part) => part.stop > part.start)
    .map(({ length_s: _, ...part }) => part);
}

/** more: samples at either side, for a line that goes on to the edge; 0: edges are those of the nearest samples. */
function cut(stretch: Placed, from_s: number, to_s: number, more: number): Omit<Part, "points"> & { readonly length_s: number } {
  const dt_s = stretch.dt_ns / 1e9;
  const [low, high] = [(from_s - stretch.start_s) / dt_s, (to_s - stretch.start_s) / dt_s];
  const start = Math.max(0, more ? Math.floor(low) - more : Math.round(low));
  const stop = Math.min(stretch.length, more ? Math.ceil(high) + more : Math.round(high));
  return { stretch: stretch.stretch, start, stop, offset_s: stretch.offset_s, length_s: (stop - start) * dt_s };
}
