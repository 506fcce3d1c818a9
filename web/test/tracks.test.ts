import assert from "node:assert/strict";
import { test } from "node:test";
import type { Columns } from "../src/live/columns.ts";
import { spans, thresholdOf, tracksOf } from "../src/live/tracks.ts";

function columns(line: { low: (number | null)[]; high: (number | null)[] }, channel: "marker" | "line 0" | "line 3" = "line 0"): Columns {
  return { t: line.low.map((_, k) => k), dt_s: 1, bands: { [channel]: { ...line, mean: line.low } } };
}

test("neighbours of one level are one span, a cell that was both stands alone", () => {
  const found = spans(columns({ low: [0, 0, 0, 1, 1], high: [0, 0, 1, 1, 1] }), "line 0", 0.5);
  assert.deepEqual(found, [
    { from_s: 0, to_s: 2, level: "low" },
    { from_s: 2, to_s: 3, level: "both" },
    { from_s: 3, to_s: 5, level: "high" },
  ]);
});

test("a cell without samples belongs to no span", () => {
  const found = spans(columns({ low: [1, null, 1], high: [1, null, 1] }), "line 0", 0.5);
  assert.deepEqual(found.map(({ from_s, to_s }) => [from_s, to_s]), [[0, 1], [2, 3]]);
});

test("a marker is high above half of the highest so far, and never for noise", () => {
  assert.equal(thresholdOf("marker", 3), 1.5);
  assert.equal(thresholdOf("marker", 0.01), 0.3);
  assert.equal(thresholdOf("line 0", 3), 0.5);
});

test("a line has a track once it was high, and keeps it", () => {
  const low = columns({ low: [0], high: [0] }, "line 3");
  const high = columns({ low: [0], high: [1] }, "line 3");
  assert.deepEqual(tracksOf(low, []), []);
  const seen = tracksOf(high, []);
  assert.deepEqual(seen, ["line 3"]);
  assert.equal(tracksOf(low, seen), seen);
  assert.deepEqual(tracksOf(columns({ low: [0], high: [0] }, "marker"), seen), ["marker", "line 3"]);
});
