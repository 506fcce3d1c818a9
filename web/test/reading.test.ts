import assert from "node:assert/strict";
import { test } from "node:test";
import { columnsOf, joined, type Columns } from "../src/live/columns.ts";
import { at, means } from "../src/live/reading.ts";

function columns(t: number[], power: (number | null)[]): Columns {
  return { t, dt_s: 1, bands: { power: { low: power, high: power, mean: power } } };
}

test("outside the samples, and in a gap between them, there are no values", () => {
  const found = joined([columns([0, 1], [5, 6]), columns([10, 11], [7, 8])]);
  assert.equal(at(found, -0.1), null);
  assert.equal(at(found, 12.1), null);
  assert.equal(at(found, 5), null);
  assert.equal(at(found, 1.5)?.power, 6);
  assert.equal(at(found, 11.9)?.power, 8);
});

test("cells without samples count nothing in a mean", () => {
  assert.deepEqual(means(columns([0, 1, 2], [2, null, 4])), { current: null, voltage: null, power: 3 });
});

test("a window is drawn as fine as it came", () => {
  const column = Array<number>(1201).fill(1);
  const envelope = { stretch: 0, first: 0, perBucket: 2, t0_s: 0, dt_s: 1e-3, count: 1201, bands: { power: { low: column, high: column, mean: column } } };
  assert.equal(columnsOf(envelope, 0).t.length, 1201);
});
