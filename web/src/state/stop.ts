// The emergency stop: what came of it, source by source. It is never called done before every source says off.
import { signal } from "@preact/signals";
import { request } from "../api/request.ts";
import type { OffResult } from "../api/shapes.ts";
import { reasonOf } from "./tell.ts";

export interface Stop {
  readonly text: string;
  readonly kind: "under way" | "off" | "not off";
}

const PATIENCE_MS = 3000;
const BY_HAND = "Cut the supply by hand.";
const AT_THE_BENCH = "run `labd bench off BENCH` at the bench PC";

export const stop = signal<Stop | null>(null);

export async function switchOff(): Promise<void> {
  stop.value = { text: "Switching off…", kind: "under way" };
  const patience = window.setTimeout(() => {
    stop.value = { text: `Switching off… The daemon does not answer: ${AT_THE_BENCH}.`, kind: "not off" };
  }, PATIENCE_MS);
  try {
    stop.value = outcome(await request<unknown>("POST", "/bench/off"));
  } catch (error) {
    stop.value = { text: `NOT OFF: ${reasonOf(error)}. Try again, or ${AT_THE_BENCH}.`, kind: "not off" };
  } finally {
    window.clearTimeout(patience);
  }
}

/** by: who else stopped the bench; empty for this page. */
export function outcome(results: unknown, by = ""): Stop {
  const told = by ? `${by}: ` : "";
  if (!Array.isArray(results)) return { text: `${told}NOT OFF: the daemon does not say how it went. ${BY_HAND}`, kind: "not off" };
  const all = results as OffResult[];
  const on = all.filter((one) => one.off !== true);
  if (on.length) return { text: `${told}NOT OFF: ${each(on)}. ${BY_HAND}`, kind: "not off" };
  const charged = all.filter((one) => one.discharged === false);
  if (charged.length) return { text: `${told}outputs are off, but NOT DISCHARGED: ${each(charged)}.`, kind: "not off" };
  return { text: `${told}outputs are off; the queue is paused`, kind: "off" };
}

function each(results: readonly OffResult[]): string {
  return results.map((one) => `${one.source}: ${one.text}`).join("; ");
}
