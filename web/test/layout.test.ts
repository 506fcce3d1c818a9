import assert from "node:assert/strict";
import { test } from "node:test";
import type { Envelope } from "../src/live/channels.ts";
import { layout, partsOf, ROOM_S, samplesBetween } from "../src/live/layout.ts";
import { Timeline } from "../src/live/timeline.ts";

const EVENTS = 20;
const numbers = [...Array(EVENTS).keys()];
/** 30.5 ms around a trigger, of 10 µs; live in buckets of a millisecond, the last one half full. */
const placed = layout(numbers.map((stretch) => ({ stretch, t0_ns: -5e6, dt_ns: 1e4, length: 3050, trigger: true, flags: [] })));

function event(stretch: number, first = 0): Envelope {
  const [skipped, count] = [first / 100, 31 - first / 100];
  const column = Array<number>(count).fill(stretch);
  return {
    ...{ stretch, first, perBucket: 100, t0_s: -0.005 + skipped * 1e-3, dt_s: 1e-3, count, lastLength: 50 },
    bands: { current: { low: column, high: column, mean: column } },
  };
}

function near(found: number | undefined, wanted: number | undefined): void {
  assert.ok(Math.abs((found ?? NaN) - (wanted ?? NaN)) < 1e-9, `${found} is not ${wanted}`);
}

test("a triggered capture stands on the same axis live and stored", () => {
  const live = new Timeline(1000);
  numbers.forEach((stretch) => live.append(event(stretch), true));
  near(live.newest_s, placed.at(-1)?.end_s);
  near((placed[1]?.start_s ?? 0) - (placed[0]?.end_s ?? 0), ROOM_S);
});

test("who comes late learns from the store where the stretches stand", () => {
  const late = new Timeline(1000);
  assert.equal(late.knows(10, true), false);
  late.place(placed.slice(0, 11));
  assert.equal(late.knows(10, true), true);
  late.append(event(10, 2000), true);
  near(late.newest_s, placed[10]?.end_s);
  assert.equal(late.knows(11, true), true);
  late.append(event(11), true);
  near(late.newest_s, placed[11]?.end_s);
});

test("after something was missed the next stretch's place is not guessed", () => {
  const live = new Timeline(1000);
  live.append(event(0), true);
  live.missed();
  assert.equal(live.knows(1, true), false);
  live.append(event(0, 2000), true);
  assert.equal(live.knows(1, true), true);
  assert.equal(live.knows(2, true), false);
});

test("no stretch in view is dropped: they share the points", () => {
  const { parts, left_out } = partsOf(placed, -1, 10, 1200);
  assert.equal(parts.length, EVENTS);
  assert.equal(left_out, 0);
  assert.ok(parts.every((part) => part.points === 60));
});

test("of very many stretches every so manieth is taken, and the rest is counted", () => {
  const many = layout([...Array(200).keys()].map((stretch) => ({ stretch, t0_ns: 0, dt_ns: 1e4, length: 100, trigger: true, flags: [] })));
  const { parts, left_out } = partsOf(many, -1, 100, 1200);
  assert.deepEqual(parts.slice(0, 3).map((part) => part.stretch), [0, 4, 8]);
  assert.equal(left_out, 150);
});

test("samples between two instants are those between their nearest edges, in every stretch", () => {
  const [one, two] = [placed[3], placed[4]];
  const found = samplesBetween(placed, (one?.end_s ?? 0) - 1e-4, (two?.start_s ?? 0) + 2e-4);
  assert.deepEqual(found.map(({ stretch, start, stop }) => [stretch, start, stop]), [[3, 3040, 3050], [4, 0, 20]]);
});
