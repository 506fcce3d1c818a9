import assert from "node:assert/strict";
import { test } from "node:test";
import type { Kpi } from "../src/api/shapes.ts";
import { curves } from "../src/figures/curves.ts";
import { ticks } from "../src/figures/ticks.ts";

function kpi(id: string, at: string, value: number | null, more: Partial<Kpi> = {}): Kpi {
  const rest = { unit: "W", low: null, high: null, n: 1, provenance: "measured", method: "", captures: [`${at}/mean/0`], flags: [], note: "" };
  return { id, at, value, ...rest, ...more };
}

test("mean power stands at its rate and the floor at none: what the board needs between inferences is neither", () => {
  const found = curves([
    kpi("power.floor", "event_sleep/r=0/v=3/dnn", 1e-5),
    kpi("power.sleep", "event_sleep/r=0/v=3/dnn", 2e-5),
    kpi("power.mean", "event_sleep/r=5/v=3/dnn", 3e-3, { low: 2.9e-3, high: 3.1e-3 }),
    kpi("power.sleep", "event_sleep/r=5/v=3/dnn", 2e-5),
    kpi("power.idle", "always_on/r=5/v=3/dnn", 4e-3),
    kpi("power.mean", "always_on/r=5/v=3/dnn", null),
  ]);
  assert.deepEqual(
    found.map((curve) => [curve.label, curve.dots.map((dot) => [dot.rate_hz, dot.power_w, dot.low_w, dot.high_w])]),
    [["event-sleep", [[0, 1e-5, null, null], [5, 3e-3, 2.9e-3, 3.1e-3]]]],
  );
});

test("a dot stands at the rate its own capture achieved", () => {
  const at = "event_gated/r=5/v=3/dnn";
  const captures = [[`${at}/mean/0`], [`${at}/mean/1`]];
  const rates = captures.map((one, k) => kpi("inference_rate", at, 4.9 + k / 100, { captures: one }));
  const [curve] = curves([...rates, ...captures.map((one) => kpi("power.mean", at, 1e-3, { captures: one }))]);
  assert.deepEqual([curve?.label, curve?.dots.map((dot) => dot.rate_hz)], ["event-gated", [4.9, 4.91]]);
});

test("supply and model make curves of their own, each with its own fit", () => {
  const found = curves([
    kpi("power.mean", "always_on/r=1/v=3/dnn", 1e-3),
    kpi("power.mean", "always_on/r=1/v=1.8/dnn", 1e-3),
    kpi("power.mean", "always_on/r=1/v=3/snn/activity=10", 1e-3),
    kpi("fit.floor_power", "always_on/v=1.8/dnn", 1e-4),
    kpi("fit.incremental_energy", "always_on/v=1.8/dnn", 5e-4, { unit: "J" }),
  ]);
  assert.deepEqual(found.map((curve) => curve.label), ["always-on, 1.8 V, dnn", "always-on, 3 V, dnn", "always-on, 3 V, snn, activity=10"]);
  assert.deepEqual(found.map((curve) => curve.line), [{ floor_w: 1e-4, incremental_j: 5e-4 }, null, null]);
});

test("where only the mode varies the fit is named after it", () => {
  const [curve] = curves([
    kpi("power.mean", "always_on/r=1/v=3/dnn", 1e-3),
    kpi("fit.floor_power", "always_on", 1e-4),
    kpi("fit.incremental_energy", "always_on", 5e-4, { unit: "J" }),
  ]);
  assert.deepEqual(curve?.line, { floor_w: 1e-4, incremental_j: 5e-4 });
});

test("ticks are round, begin at 0 and reach the largest value", () => {
  assert.deepEqual(ticks(35, 5), [0, 10, 20, 30, 40]);
  assert.deepEqual(ticks(0.0158, 4), [0, 0.005, 0.01, 0.015, 0.02]);
  assert.deepEqual(ticks(40, 4), [0, 10, 20, 30, 40]);
  assert.deepEqual(ticks(0, 4), [0, 1]);
});
