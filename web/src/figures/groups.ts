// The figures of a run in the order of print: by operating point, each with a key of its own and where it comes from.
import type { Capture, Kpi } from "../api/shapes.ts";
import { figure } from "../format/figure.ts";

export interface Row {
  readonly key: string;
  readonly id: string;
  /** Roles of the captures behind it, e.g. `event`, `mean, repeat 2` or `5 captures`. */
  readonly source: string;
  /** Value ± U95 with its unit, or why there is none. */
  readonly text: string;
  readonly known: boolean;
  readonly remarks: string;
}

export interface Group {
  readonly at: string;
  readonly rows: readonly Row[];
}

const PROVISIONAL = "provisional";

/** Every figure, also one without a value: its reason is what there is to say. */
export function groups(kpis: readonly Kpi[], captures: readonly Capture[]): Group[] {
  const rows = new Map<string, Row[]>();
  const taken = new Map<string, number>();
  for (const kpi of kpis) {
    const named = `${kpi.id} ${kpi.at} ${kpi.captures.join(" ")}`;
    const again = taken.get(named) ?? 0;
    taken.set(named, again + 1);
    const row = rowOf(kpi, again ? `${named} ${again}` : named, captures);
    rows.set(kpi.at, [...(rows.get(kpi.at) ?? []), row]);
  }
  return [...rows].map(([at, found]) => ({ at, rows: found }));
}

/** The figures of a run that goes on may change: said once, not at each of them. */
export function provisional(kpis: readonly Kpi[]): boolean {
  return kpis.some((kpi) => kpi.flags.some(isProvisional));
}

function rowOf(kpi: Kpi, key: string, captures: readonly Capture[]): Row {
  const flags = kpi.flags.filter((flag) => !isProvisional(flag));
  const known = kpi.value !== null;
  const shown = figure(kpi);
  const text = known ? [shown.value, shown.u95, shown.unit].filter(Boolean).join(" ") : flags.join("; ") || "no value";
  const unsure = known && !shown.u95 ? ["no U95"] : [];
  const remarks = [...unsure, ...(known ? flags : []), kpi.note].filter(Boolean).join("; ");
  return { key, id: kpi.id, source: sourceOf(kpi, captures), text, known, remarks };
}

function sourceOf(kpi: Kpi, captures: readonly Capture[]): string {
  if (kpi.captures.length !== 1) return kpi.captures.length ? `${kpi.captures.length} captures` : "";
  const capture = captures.find((one) => one.key === kpi.captures[0]);
  if (!capture) return kpi.captures[0] ?? "";
  return capture.repeat ? `${capture.role}, repeat ${capture.repeat + 1}` : capture.role;
}

function isProvisional(flag: string): boolean {
  return flag.startsWith(PROVISIONAL);
}
