// A KPI as value ± U95, U with two significant digits, and why there is none.
import type { Kpi } from "../api/shapes.ts";
import { scaleFor } from "./si.ts";

const UCUM = /^(f|p|n|u|m|k|M|G|T)?(J\.s|J\/s|A\.h|W\.h|Ohm|Hz|J|W|A|V|C|F|s)$/;
const POWERS: Record<string, number> = { f: 1e-15, p: 1e-12, n: 1e-9, u: 1e-6, m: 1e-3, k: 1e3, M: 1e6, G: 1e9, T: 1e12 };
const PRINT: Record<string, string> = { "1": "", Cel: "°C", Ohm: "Ω", By: "B", "s-1": "/s", "1/s": "/s", "[ppm]": "ppm", "10*-6": "ppm", a: "years" };

export interface Figure {
  readonly value: string;
  /** Empty when the uncertainty is unknown. */
  readonly u95: string;
  readonly unit: string;
}

/** The arms of the 95 % interval may differ by this share and still be printed as ±. */
const SYMMETRY = 0.1;

export function figure(kpi: Kpi): Figure {
  if (kpi.value === null) return { value: kpi.flags[0] ?? "no value", u95: "", unit: "" };
  const { factor, symbol } = printed(kpi.unit, kpi.value);
  const value = kpi.value / factor;
  const [low, high] = [kpi.low, kpi.high];
  if (low === null || high === null) return { value: Number(value.toPrecision(4)).toString(), u95: "", unit: symbol };
  const [below, above] = [(kpi.value - low) / factor, (high - kpi.value) / factor];
  const places = decimals(Math.max(below, above));
  const even = Math.abs(above - below) <= SYMMETRY * Math.max(above, below);
  const u95 = even ? `± ${fixed(Math.max(below, above), places)}` : `+${fixed(above, places)} −${fixed(below, places)}`;
  return { value: fixed(value, places), u95, unit: symbol };
}

/** How many decimals show two significant digits of `u`; negative for tens, hundreds. */
export function decimals(u: number): number {
  return u > 0 && Number.isFinite(u) ? 1 - Number(u.toExponential(1).split("e")[1]) : 3;
}

function fixed(value: number, places: number): string {
  if (places >= 0) return value.toFixed(Math.min(places, 12));
  const step = 10 ** -places;
  return (Math.round(value / step) * step).toFixed(0);
}

function printed(unit: string, value: number): { factor: number; symbol: string } {
  const parts = UCUM.exec(unit);
  if (!parts) return { factor: 1, symbol: PRINT[unit] ?? unit };
  const own = POWERS[parts[1] ?? ""] ?? 1;
  const head = (PRINT[parts[2] ?? ""] ?? parts[2] ?? "").replace(".", "·");
  const scale = scaleFor(value * own, head);
  return { factor: scale.factor / own, symbol: scale.symbol };
}
