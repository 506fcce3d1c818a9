// Buckets in the order of time, ready to be drawn, and thinned to what a screen can show.
import { CHANNELS, type Band, type Channel, type Envelope } from "./channels.ts";

type Cell = number | null;

export interface Columns {
  /** Start of each bucket, seconds. */
  readonly t: number[];
  readonly dt_s: number;
  readonly bands: Partial<Record<Channel, { low: Cell[]; high: Cell[]; mean: Cell[] }>>;
}

export const EMPTY: Columns = { t: [], dt_s: 0, bands: {} };

/** One cell for `stride` neighbours: lowest, highest, mean; NaN counts as missing, all missing gives null. `stride` 1 copies. */
export function thinBand(band: Band, from: number, to: number, stride: number): { low: Cell[]; high: Cell[]; mean: Cell[] } {
  const out = { low: [] as Cell[], high: [] as Cell[], mean: [] as Cell[] };
  for (let start = from; start < to; start += stride) {
    let [low, high, sum, valid] = [Infinity, -Infinity, 0, 0];
    for (let k = start; k < Math.min(start + stride, to); k++) {
      const mean = band.mean[k] ?? NaN;
      if (Number.isNaN(mean)) continue;
      low = Math.min(low, band.low[k] ?? mean);
      high = Math.max(high, band.high[k] ?? mean);
      sum += mean;
      valid += 1;
    }
    out.low.push(valid ? low : null);
    out.high.push(valid ? high : null);
    out.mean.push(valid ? sum / valid : null);
  }
  return out;
}

/** An envelope shifted by `offset_s`, bucket by bucket: the daemon has thinned it already. */
export function columnsOf(envelope: Envelope, offset_s: number): Columns {
  const t = Array.from({ length: envelope.count }, (_, k) => envelope.t0_s + offset_s + k * envelope.dt_s);
  const bands: Columns["bands"] = {};
  for (const channel of CHANNELS) {
    const band = envelope.bands[channel];
    if (band) bands[channel] = thinBand(band, 0, envelope.count, 1);
  }
  return { t, dt_s: envelope.dt_s, bands };
}

/** Pieces one after the other, with an empty cell between them so that no line bridges the gap. */
export function joined(pieces: readonly Columns[]): Columns {
  if (pieces.length === 0) return EMPTY;
  if (pieces.length === 1) return pieces[0] ?? EMPTY;
  const all: Columns = { t: [], dt_s: Math.max(...pieces.map((piece) => piece.dt_s)), bands: {} };
  for (const channel of CHANNELS) if (pieces.some((piece) => piece.bands[channel])) all.bands[channel] = { low: [], high: [], mean: [] };
  for (const piece of pieces) {
    append(all, piece);
    all.t.push((piece.t.at(-1) ?? 0) + piece.dt_s);
    for (const band of Object.values(all.bands)) for (const column of Object.values(band)) column.push(null);
  }
  return all;
}

function append(all: Columns, piece: Columns): void {
  all.t.push(...piece.t);
  for (const channel of CHANNELS) {
    const [band, more] = [all.bands[channel], piece.bands[channel]];
    if (!band) continue;
    for (const key of ["low", "high", "mean"] as const) band[key].push(...(more ? more[key] : piece.t.map(() => null)));
  }
}
