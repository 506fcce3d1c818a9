// How far a run is, and how long it still takes: by what its captures have cost so far.
import type { Capture } from "../api/shapes.ts";

export interface Progress {
  readonly done: number;
  readonly failed: number;
  readonly all: number;
  readonly present: Capture | null;
  /** Seconds; null before the first capture has ended, and when nothing is left to do. */
  readonly left_s: number | null;
}

/** The captures of one run; now_ns: host, UTC. As labd/bench/progress.py: half by planned length, half by count. */
export function progress(captures: readonly Capture[], now_ns: number): Progress {
  const present = captures.find((one) => one.state === "recording") ?? null;
  const done = captures.filter((one) => one.state === "finished");
  const failed = captures.filter((one) => one.state === "failed").length;
  const todo = captures.filter((one) => one.state === "planned" || one === present);
  return { done: done.length, failed, all: captures.length, present, left_s: left(done, todo, present, now_ns) };
}

function left(done: readonly Capture[], todo: readonly Capture[], present: Capture | null, now_ns: number): number | null {
  const timed = done.filter((one) => one.started_ns !== null && one.ended_ns !== null);
  if (!timed.length || !todo.length) return null;
  const spent = timed.reduce((total, one) => total + ((one.ended_ns ?? 0) - (one.started_ns ?? 0)) / 1e9, 0);
  const planned = (some: readonly Capture[]): number => some.reduce((total, one) => total + (one.plan.duration_s ?? 0), 0);
  const cost = (some: readonly Capture[]): number => {
    const [byCount, length] = [(spent / timed.length) * some.length, planned(timed)];
    return length > 0 ? (byCount + (spent / length) * planned(some)) / 2 : byCount;
  };
  if (!present) return cost(todo);
  // What the present one has taken already is not left; one that takes longer than expected costs nothing more.
  const spentNow = present.started_ns === null ? 0 : Math.max(0, (now_ns - present.started_ns) / 1e9);
  return cost(todo.filter((one) => one !== present)) + Math.max(0, cost([present]) - spentNow);
}
