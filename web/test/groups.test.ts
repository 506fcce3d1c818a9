import assert from "node:assert/strict";
import { test } from "node:test";
import type { Capture, Kpi } from "../src/api/shapes.ts";
import { groups, provisional } from "../src/figures/groups.ts";
import { progress } from "../src/figures/progress.ts";

const AT = "event_sleep/r=0/v=3/dnn";

function kpi(id: string, value: number | null, more: Partial<Kpi> = {}): Kpi {
  const rest = { unit: "W", low: null, high: null, n: 1, provenance: "measured", method: "", captures: [], flags: [], note: "" };
  return { id, at: AT, value, ...rest, ...more };
}

function capture(role: string, more: Partial<Capture> = {}): Capture {
  const rest = { order: 0, repeat: 0, plan: { duration_s: 10 }, state: "finished", samples: 1, stretches: 1, error: "" };
  return { key: `${AT}/${role}/${more.repeat ?? 0}`, role, started_ns: null, ended_ns: null, ...rest, ...more };
}

test("the same figure of two captures is two rows, told apart by their roles", () => {
  const from = (role: string, repeat: number): Kpi => kpi("power.sleep", 1e-5, { captures: [`${AT}/${role}/${repeat}`] });
  const captures = [capture("event"), capture("floor"), capture("floor", { repeat: 1 })];
  const [group, ...more] = groups([from("event", 0), from("floor", 0), from("floor", 1)], captures);
  assert.deepEqual(more, []);
  assert.equal(new Set(group?.rows.map((row) => row.key)).size, 3);
  assert.deepEqual(group?.rows.map((row) => row.source), ["event", "floor", "floor, repeat 2"]);
});

test("even figures that say the same of themselves have keys of their own", () => {
  const [group] = groups([kpi("power.sleep", 1e-5), kpi("power.sleep", 2e-5)], []);
  assert.equal(new Set(group?.rows.map((row) => row.key)).size, 2);
});

test("a figure without a value is printed with its reason", () => {
  const [group] = groups([kpi("latency.pin.p95", null, { flags: ["needs n >= 59"] }), kpi("phase_energy.wake", null, { flags: ["not resolved"], note: "8.7 records long" })], []);
  assert.deepEqual(group?.rows.map(({ text, known, remarks }) => [text, known, remarks]), [
    ["needs n >= 59", false, ""],
    ["not resolved", false, "8.7 records long"],
  ]);
});

test("figures stand with others of their operating point, whenever they came", () => {
  const found = groups([kpi("a", 1), kpi("b", 1, { at: "always_on" }), kpi("c", 1)], []);
  assert.deepEqual(found.map((group) => [group.at, group.rows.map((row) => row.id)]), [[AT, ["a", "c"]], ["always_on", ["b"]]]);
});

test("an unknown uncertainty is said, a provisional figure is not said at each", () => {
  const figures = [kpi("power.floor", 1e-3, { flags: ["instrument term unknown", "provisional: the run is not finished"] })];
  assert.equal(provisional(figures), true);
  assert.equal(groups(figures, [])[0]?.rows[0]?.remarks, "no U95; instrument term unknown");
});

test("the time left is told by what captures have cost, and the present one has begun to pay", () => {
  const s = 1e9;
  const captures = [
    capture("floor", { started_ns: 0, ended_ns: 20 * s }),
    capture("event", { state: "recording", started_ns: 20 * s }),
    capture("mean", { state: "planned" }),
    capture("mean", { state: "failed", repeat: 1 }),
  ];
  assert.deepEqual({ ...progress(captures, 25 * s), present: null }, { done: 1, failed: 1, all: 4, present: null, left_s: 35 });
  assert.equal(progress(captures, 90 * s).left_s, 20);
  assert.equal(progress(captures, 25 * s).present?.role, "event");
});

test("before a capture has ended, and after the last one, no time left is told", () => {
  assert.equal(progress([capture("floor", { state: "recording", started_ns: 0 })], 5e9).left_s, null);
  assert.equal(progress([capture("floor", { started_ns: 0, ended_ns: 5e9 })], 9e9).left_s, null);
});
