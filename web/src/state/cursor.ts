// Two points in time, A and B, and what the board took between them: the exact sum of every sample, from the store.
import { effect, signal, untracked } from "@preact/signals";
import { inLanes } from "../api/lanes.ts";
import { request } from "../api/request.ts";
import type { Stretch } from "../api/shapes.ts";
import { layout, samplesBetween, type Placed } from "../live/layout.ts";
import { span } from "../live/zoom.ts";
import { reasonOf, tell } from "./tell.ts";
import { range, shown, subject, viewed } from "./view.ts";

/** energy_j: null where there is no voltage. missing: samples over range, which count nothing. */
export interface Sum {
  readonly length_s: number;
  readonly energy_j: number | null;
  readonly charge_c: number;
  readonly stretches: number;
  readonly missing: number;
}

interface Between {
  readonly duration_s: number;
  readonly charge_c: number;
  readonly energy_j: number;
  readonly missing: number;
}

export type Mark = "a" | "b";

const STEP = 0.01; // of what is shown, for each press of a key

export const marks = { a: signal<number | null>(null), b: signal<number | null>(null) } as const;
/** What the next click sets, when a button said so. */
export const armed = signal<Mark | null>(null);
/** The crosshair that the keyboard moves. */
export const cross = signal<number | null>(null);
export const sum = signal<Sum | "under way" | null>(null);

/** Where the pointer is, as a share of what is shown: it stays there while the plots move under it. */
let hovered: number | null = null;
let asked = 0;

export function clear(): void {
  marks.a.value = null;
  marks.b.value = null;
  armed.value = null;
}

export function pick(t_s: number, second: boolean): void {
  marks[armed.value ?? (second ? "b" : "a")].value = t_s;
  armed.value = null;
}

/** The pointer is over a plot, or has left it. */
export function hover(share: number | null): void {
  hovered = share;
  if (share !== null) cross.value = null;
}

/** Sets a mark where the crosshair is, else where the pointer is. */
export function mark(which: Mark): void {
  marks[which].value = here();
  armed.value = null;
}

export function moveCross(steps: number): void {
  const { from_s, to_s } = range.value;
  cross.value = Math.min(to_s, Math.max(from_s, here() + steps * STEP * span(range.value)));
}

function here(): number {
  const { from_s, to_s } = range.value;
  return cross.value ?? from_s + (hovered ?? 0.5) * (to_s - from_s);
}

effect(() => {
  void subject.value;
  untracked(clear);
  cross.value = null;
});

effect(() => {
  const [a, b, of] = [marks.a.value, marks.b.value, subject.value];
  const mine = ++asked;
  if (a === null || b === null || !of) {
    sum.value = null;
    return;
  }
  sum.value = "under way";
  void untracked(() => between(of, Math.min(a, b), Math.max(a, b)))
    .then((found) => mine === asked && (sum.value = found))
    .catch((error: unknown) => {
      if (mine !== asked) return;
      sum.value = null;
      tell(reasonOf(error), true);
    });
});

async function between(of: string, from_s: number, to_s: number): Promise<Sum> {
  const [run, order] = of.split("/");
  const place = `/runs/${run}/captures/${order}`;
  const powered = shown.value.bands.power !== undefined;
  const held: readonly Placed[] = viewed.value?.placed ?? [];
  const placed = held.length ? held : layout(await request<Stretch[]>("GET", `${place}/stretches`));
  const parts = samplesBetween(placed, from_s, to_s);
  const found = await inLanes(parts, ({ stretch, start, stop }) =>
    request<Between>("GET", `${place}/energy?stretch=${stretch}&start=${start}&stop=${stop}`),
  );
  const total = (value: (one: Between) => number): number => found.reduce((all, one) => all + value(one), 0);
  return {
    length_s: total((one) => one.duration_s),
    energy_j: powered ? total((one) => one.energy_j) : null,
    charge_c: total((one) => one.charge_c),
    stretches: parts.length,
    missing: total((one) => one.missing),
  };
}
