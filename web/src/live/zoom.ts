// The arithmetic of zooming and panning one axis.

export interface Range {
  readonly from_s: number;
  readonly to_s: number;
}

export function span(range: Range): number {
  return range.to_s - range.from_s;
}

/** `factor` < 1 zooms in; `anchor` in 0..1 is the place that stays where it is. */
export function zoomed(range: Range, factor: number, anchor: number, least_s: number): Range {
  const length = Math.max(span(range) * factor, least_s);
  const still = range.from_s + span(range) * anchor;
  const from_s = still - length * anchor;
  return { from_s, to_s: from_s + length };
}

export function panned(range: Range, share: number): Range {
  const by = span(range) * share;
  return { from_s: range.from_s + by, to_s: range.to_s + by };
}

/** Inside `whole`: shifted first, and only cut when it is longer. */
export function within(range: Range, whole: Range): Range {
  if (span(range) >= span(whole)) return whole;
  if (range.from_s < whole.from_s) return { from_s: whole.from_s, to_s: whole.from_s + span(range) };
  if (range.to_s > whole.to_s) return { from_s: whole.to_s - span(range), to_s: whole.to_s };
  return range;
}

/** Room above and below what is drawn, so that lines do not lie on the frame; a flat line gets 1 % of itself. */
export function valueRange(low: number | null, high: number | null, log: boolean): [number, number] {
  if (low === null || high === null || !(low <= high)) return log ? [1e-6, 1e-3] : [0, 1];
  if (log) {
    const top = Math.max(high, 1e-15);
    const bottom = low > 0 ? low : top / 1e4;
    return [10 ** (Math.floor(Math.log10(bottom * 0.999) * 4) / 4), 10 ** (Math.ceil(Math.log10(top * 1.001) * 4) / 4)];
  }
  const room = high > low ? 0.06 * (high - low) : Math.abs(high) * 0.01 || 1e-9;
  return [low >= 0 && low < 0.3 * high ? Math.min(0, low) : low - room, high + room];
}
