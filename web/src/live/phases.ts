// Phases of the board on the axis of the view: live as the marker tells them, stored as the analysis found them.

export interface Span {
  readonly phase: string;
  readonly from_s: number;
  readonly to_s: number;
}

/** A phase of a frame: docs/reference/live-frames.md. */
export type Told = readonly [phase: string, start_ns: number, end_ns: number | null, stretch: number];

/** A window of the API, on its stretch's axis. */
export interface Window {
  readonly phase: string;
  readonly start_s: number;
  readonly end_s: number;
  readonly stretch: number;
}

/** Where a stretch stands: what is added to its own time; undefined while that is not known. */
export type Offset = (stretch: number) => number | undefined;

export class PhaseLog {
  /** size: `most`, kept in an array of up to twice that; policy: newest wins; counter: none, the analysis has them all. */
  private readonly most: number;
  private told: Told[] = [];

  constructor(most: number) {
    this.most = most;
  }

  clear(): void {
    this.told = [];
  }

  /** One that went on is told again, with its end or without. */
  add(phases: readonly Told[]): void {
    for (const phase of phases) {
      const last = this.told.at(-1);
      if (last && last[2] === null) this.told.pop();
      this.told.push(phase);
    }
    if (this.told.length > 2 * this.most) this.told = this.told.slice(-this.most);
  }

  /** newest_s: how far samples reach, where a phase that goes on ends for now. */
  spans(offset: Offset, newest_s: number): Span[] {
    return this.told.flatMap(([phase, start_ns, end_ns, stretch]) => {
      const by_s = offset(stretch);
      if (by_s === undefined) return [];
      const from_s = start_ns / 1e9 + by_s;
      return [{ phase, from_s, to_s: end_ns === null ? Math.max(from_s, newest_s) : end_ns / 1e9 + by_s }];
    });
  }
}

export function spansOf(windows: readonly Window[], offset: Offset): Span[] {
  return windows.flatMap(({ phase, start_s, end_s, stretch }) => {
    const by_s = offset(stretch);
    return by_s === undefined ? [] : [{ phase, from_s: start_s + by_s, to_s: end_s + by_s }];
  });
}

/** Those that have something to show between two instants. */
export function inView(spans: readonly Span[], from_s: number, to_s: number): Span[] {
  return spans.filter((span) => span.to_s > from_s && span.from_s < to_s);
}
