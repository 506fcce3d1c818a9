// The newest buckets of the capture under way, in rings of fixed length: the oldest give way.
import { CHANNELS, LINES, type Channel, type Envelope } from "./channels.ts";
import { EMPTY, thinBand, type Columns } from "./columns.ts";
import { offsetAfter, type Placed } from "./layout.ts";

type Ring = { low: Float64Array; high: Float64Array; mean: Float64Array };

export class Timeline {
  /** size: `capacity` buckets, kept in arrays of twice that; policy: newest wins; counter: none, the store has them all. */
  private readonly capacity: number;
  private readonly t: Float64Array;
  private readonly rings = new Map<Channel, Ring>();
  private length = 0;
  private stretch = -1;
  private offset_s = 0;
  private end_s = 0;
  private whole = true;
  private readonly places = new Map<number, number>();
  dt_s = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.t = new Float64Array(2 * capacity);
  }

  get newest_s(): number {
    return this.end_s;
  }

  get oldest_s(): number {
    return this.length ? (this.t[0] ?? 0) : 0;
  }

  clear(): void {
    this.length = 0;
    this.stretch = -1;
    this.offset_s = 0;
    this.end_s = 0;
    this.whole = true;
    this.places.clear();
    this.rings.clear();
  }

  /** Something was missed: where the present stretch ends is not known until more of it comes. */
  missed(): void {
    this.whole = false;
  }

  /** Triggered stretches stand one after the other: whether all before this one have been seen to their ends, or `place` told. */
  knows(stretch: number, triggered: boolean): boolean {
    return !triggered || stretch === 0 || stretch === this.stretch || this.places.has(stretch) || (stretch === this.stretch + 1 && this.whole);
  }

  /** Where the stretches so far stand, from the store. */
  place(placed: readonly Placed[]): void {
    for (const one of placed) this.places.set(one.stretch, one.offset_s);
  }

  /** What is added to a stretch's own time; undefined before anything of it came. */
  offset(stretch: number): number | undefined {
    return this.places.get(stretch);
  }

  /** triggered: every stretch has a time axis of its own, so that they are put one after the other. */
  append(envelope: Envelope, triggered: boolean): void {
    this.whole = true;
    if (envelope.stretch !== this.stretch) {
      const fresh = this.stretch < 0;
      this.stretch = envelope.stretch;
      this.offset_s = triggered ? this.offsetOf(envelope, fresh) : 0;
      this.places.set(this.stretch, this.offset_s);
      if (!fresh) this.blank(this.end_s);
    } else if (this.length && envelope.t0_s + this.offset_s > this.end_s + envelope.dt_s / 2) {
      this.blank(this.end_s);
    }
    for (let k = 0; k < envelope.count; k++) this.push(envelope, k);
    const { count, dt_s, perBucket, lastLength = perBucket } = envelope;
    this.end_s = envelope.t0_s + this.offset_s + (count - 1 + lastLength / perBucket) * dt_s;
    this.dt_s = dt_s;
  }

  /** What lies in [from_s, to_s], thinned to at most `most` cells. */
  view(from_s: number, to_s: number, most: number): Columns {
    const from = Math.max(0, this.indexOf(from_s) - 1);
    const to = Math.min(this.length, this.indexOf(to_s) + 1);
    if (to <= from) return EMPTY;
    const stride = Math.max(1, Math.ceil((to - from) / most));
    // Whole strides counted from the oldest sample ever, so that cells do not flicker while the view moves on.
    const aligned = Math.ceil(from / stride) * stride;
    const t: number[] = [];
    for (let k = aligned; k < to; k += stride) t.push(this.t[k] ?? 0);
    const bands: Columns["bands"] = {};
    for (const [channel, ring] of this.rings) bands[channel] = thinBand(ring, aligned, to, stride);
    return { t, dt_s: this.dt_s * stride, bands };
  }

  private offsetOf(envelope: Envelope, fresh: boolean): number {
    const known = this.places.get(envelope.stretch);
    if (known !== undefined) return known;
    const t0_s = envelope.t0_s - (envelope.first / envelope.perBucket) * envelope.dt_s;
    return fresh ? 0 : offsetAfter(this.end_s, t0_s);
  }

  private push(envelope: Envelope, k: number): void {
    const at = this.room();
    const t = envelope.t0_s + this.offset_s + k * envelope.dt_s;
    this.t[at] = t;
    for (const channel of CHANNELS) {
      const band = envelope.bands[channel];
      if (!this.rings.has(channel) && !worthARing(channel, band?.high[k])) continue;
      const ring = this.ring(channel);
      ring.low[at] = band?.low[k] ?? NaN;
      ring.high[at] = band?.high[k] ?? NaN;
      ring.mean[at] = band?.mean[k] ?? NaN;
    }
  }

  private blank(t: number): void {
    const at = this.room();
    this.t[at] = t;
    for (const ring of this.rings.values()) for (const column of Object.values(ring)) column[at] = NaN;
  }

  private room(): number {
    if (this.length === this.t.length) {
      this.t.copyWithin(0, this.capacity);
      for (const ring of this.rings.values()) for (const column of Object.values(ring)) column.copyWithin(0, this.capacity);
      this.length = this.capacity;
    }
    return this.length++;
  }

  private ring(channel: Channel): Ring {
    let ring = this.rings.get(channel);
    if (!ring) {
      const empty = (): Float64Array => new Float64Array(2 * this.capacity).fill(isLine(channel) ? 0 : NaN);
      ring = { low: empty(), high: empty(), mean: empty() };
      this.rings.set(channel, ring);
    }
    return ring;
  }

  private indexOf(t: number): number {
    let [low, high] = [0, this.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.t[middle] ?? 0) < t) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function isLine(channel: Channel): boolean {
  return LINES.some((line) => line === channel);
}

/** Of eight lines most are never high: they need no memory. */
function worthARing(channel: Channel, high: number | undefined): boolean {
  return high !== undefined && (!isLine(channel) || high > 0);
}
