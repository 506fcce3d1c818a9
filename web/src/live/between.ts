// Energy, charge and means between two instants, from what is at hand: exact for single samples, from bucket means otherwise.
import type { Value } from "./channels.ts";
import type { Columns } from "./columns.ts";

export interface Between {
  readonly length_s: number;
  readonly energy_j: number | null;
  readonly charge_c: number | null;
  readonly power_w: number | null;
  readonly current_a: number | null;
}

export function between(columns: Columns, one_s: number, other_s: number): Between {
  const [from, to] = one_s < other_s ? [one_s, other_s] : [other_s, one_s];
  const charge = integral(columns, columns.bands.current?.mean, from, to);
  const energy = integral(columns, columns.bands.power?.mean, from, to);
  const length_s = to - from;
  return { length_s, energy_j: energy, charge_c: charge, power_w: ratio(energy, length_s), current_a: ratio(charge, length_s) };
}

/** A cell covers [t, t + dt), or up to the next one when that comes sooner. Null when any part is missing. */
export function integral(columns: Columns, values: readonly (number | null)[] | undefined, from: number, to: number): number | null {
  if (!values) return null;
  let [total, covered] = [0, 0];
  for (let k = 0; k < columns.t.length; k++) {
    const start = columns.t[k] ?? 0;
    const end = Math.min(start + columns.dt_s, columns.t[k + 1] ?? Infinity);
    const length = Math.min(end, to) - Math.max(start, from);
    if (length <= 0) continue;
    const value = values[k];
    if (value === null || value === undefined) continue;
    total += value * length;
    covered += length;
  }
  return covered > 0.999 * (to - from) - 1e-12 ? total : null;
}

/** Values of the cell that covers `t_s`. */
export function at(columns: Columns, t_s: number): Partial<Record<Value, number | null>> {
  let k = columns.t.length - 1;
  while (k > 0 && (columns.t[k] ?? 0) > t_s) k -= 1;
  const pick = (band?: { mean: (number | null)[] }): number | null => band?.mean[k] ?? null;
  const { current, voltage, power, marker } = columns.bands;
  return { current: pick(current), voltage: pick(voltage), power: pick(power), marker: pick(marker) };
}

function ratio(total: number | null, length_s: number): number | null {
  return total === null || length_s <= 0 ? null : total / length_s;
}
