// Where the stretches of a capture stand on one time axis, and which samples a view of it shows.
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
}

/** Buckets of room between two triggered stretches, whose own axes both begin near zero. */
const ROOM = 4;

export function placeAfter(end_s: number, t0_s: number, dt_s: number): number {
  return end_s + ROOM * dt_s - t0_s;
}

export function layout(stretches: readonly Stretch[]): Placed[] {
  const placed: Placed[] = [];
  for (const stretch of stretches) {
    const [t0_s, dt_s] = [stretch.t0_ns / 1e9, stretch.dt_ns / 1e9];
    const before = placed.at(-1);
    const offset_s = stretch.trigger && before ? placeAfter(before.end_s, t0_s, dt_s) : 0;
    placed.push({ ...stretch, offset_s, start_s: t0_s + offset_s, end_s: t0_s + offset_s + stretch.length * dt_s });
  }
  return placed;
}

/** The samples of [from_s, to_s] and one more at either side, stretch by stretch; at most `most` stretches. */
export function partsOf(placed: readonly Placed[], from_s: number, to_s: number, most = 12): Part[] {
  return placed
    .filter((stretch) => stretch.end_s > from_s && stretch.start_s < to_s)
    .slice(0, most)
    .map((stretch) => {
      const dt_s = stretch.dt_ns / 1e9;
      const start = Math.max(0, Math.floor((from_s - stretch.start_s) / dt_s) - 1);
      const stop = Math.min(stretch.length, Math.ceil((to_s - stretch.start_s) / dt_s) + 1);
      return { stretch: stretch.stretch, start, stop, offset_s: stretch.offset_s };
    });
}
