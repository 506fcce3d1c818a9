// What a trace has: values (lowest, highest, mean of the samples in a bucket) and lines (one bit each).

export type Channel = "current" | "voltage" | "power" | "marker";

export const CHANNELS: readonly Channel[] = ["current", "voltage", "power", "marker"];
export const UNITS: Readonly<Record<Channel, string>> = { current: "A", voltage: "V", power: "W", marker: "V" };

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
  readonly bands: Partial<Record<Channel, Band>>;
}
