// Values at an instant, and means of what is at hand.
import type { Value } from "./channels.ts";
import type { Columns } from "./columns.ts";

export type Reading = Readonly<Record<"current" | "voltage" | "power", number | null>>;

/** Values of the cell that covers `t_s`, a cell being [t, t + dt) or up to the next one; null where there is none. */
export function at(columns: Columns, t_s: number): Reading | null {
  let [low, high] = [0, columns.t.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((columns.t[middle] ?? 0) <= t_s) low = middle + 1;
    else high = middle;
  }
  const k = low - 1;
  if (k < 0 || t_s >= (columns.t[k] ?? 0) + columns.dt_s) return null;
  const pick = (value: Value): number | null => columns.bands[value]?.mean[k] ?? null;
  const found = { current: pick("current"), voltage: pick("voltage"), power: pick("power") };
  return Object.values(found).every((value) => value === null) ? null : found;
}

/** Means over all cells; cells without samples count nothing. */
export function means(columns: Columns): Reading {
  const mean = (value: Value): number | null => {
    let [total, count] = [0, 0];
    for (const cell of columns.bands[value]?.mean ?? []) {
      if (cell === null) continue;
      total += cell;
      count += 1;
    }
    return count ? total / count : null;
  };
  return { current: mean("current"), voltage: mean("voltage"), power: mean("power") };
}
