import assert from "node:assert/strict";
import { test } from "node:test";
import { axisLabels, decadeLabels, si } from "../src/format/si.ts";
import { Timeline } from "../src/live/timeline.ts";
import { valueRange } from "../src/live/zoom.ts";

test("a log axis holds everything drawn and says decades with their own prefix", () => {
  const [bottom, top] = valueRange(8e-6, 30e-3, true);
  assert.ok(bottom > 0 && bottom <= 8e-6 && top >= 30e-3);
  assert.deepEqual(decadeLabels([1e-6, 2e-6, 1e-3], "A"), [si(1e-6, "A", 1), "", si(1e-3, "A", 1)]);
});

test("a line that is never high takes no memory and one that was is low before", () => {
  const timeline = new Timeline(10);
  const band = (...values: number[]) => ({ low: values, high: values, mean: values });
  const envelope = { stretch: 0, first: 0, perBucket: 1, t0_s: 0, dt_s: 1, count: 3 };
  timeline.append({ ...envelope, bands: { "line 0": band(0, 0, 1), "line 1": band(0, 0, 0) } }, false);
  const { bands } = timeline.view(0, 3, 10);
  assert.deepEqual(bands["line 0"]?.high, [0, 0, 1]);
  assert.equal(bands["line 1"], undefined);
});

test("an axis says each tick as it is", () => {
  assert.deepEqual(axisLabels([0, 2.5, 5], "s"), ["0.0 s", "2.5 s", "5.0 s"]);
  assert.deepEqual(axisLabels([0, 0.01, 0.02], "A"), ["0 mA", "10 mA", "20 mA"]);
});

test("without anything to draw an axis has a plain range", () => {
  assert.deepEqual(valueRange(null, null, false), [0, 1]);
  assert.deepEqual(valueRange(null, null, true), [1e-6, 1e-3]);
});
