// What a trace has: values (lowest, highest, mean of the samples in a bucket) and lines (one bit each).

export const VALUES = ["current", "voltage", "power", "marker"] as const;
export const LINES = ["line 0", "line 1", "line 2", "line 3", "line 4", "line 5", "line 6", "line 7"] as const;
export type Value = (typeof VALUES)[number];
export type Line = (typeof LINES)[number];
/** A line is 0 or 1; a bucket in which it was both has lowest 0 and highest 1. */
export type Channel = Value | Line;

export const CHANNELS: readonly Channel[] = [...VALUES, ...LINES];
export const UNITS: Readonly<Record<Value, string>> = { current: "A", voltage: "V", power: "W", marker: "V" };

export interface Band {
  readonly low: ArrayLike<number>;
  readonly high: ArrayLike<number>;
  readonly mean: ArrayLike<number>;
}

/** Contiguous buckets of one stretch. NaN where a bucket has no valid sample. */
export interface Envelope {
  readonly stretch: number;
  /** Index in the stretch of the first sample. */
  readonly first: number;
  /** Samples a bucket; 1: single samples. */
  readonly perBucket: number;
  /** Start of the first bucket and length of one, in seconds on the instrument's axis. */
  readonly t0_s: number;
  readonly dt_s: number;
  readonly count: number;
  /** Samples of the last bucket, where it is not full. */
  readonly lastLength?: number;
  readonly bands: Partial<Record<Channel, Band>>;
}
