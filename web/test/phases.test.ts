import assert from "node:assert/strict";
import { test } from "node:test";
import { inView, PhaseLog, spansOf } from "../src/live/phases.ts";

const still = (): number => 0;

test("a phase that goes on reaches as far as the samples, and has its end once it is told", () => {
  const log = new PhaseLog(10);
  log.add([["wake", 1e9, 2e9, 0], ["infer", 2e9, null, 0]]);
  assert.deepEqual(log.spans(still, 2.5).at(-1), { phase: "infer", from_s: 2, to_s: 2.5 });
  log.add([["infer", 2e9, null, 0]]);
  log.add([["infer", 2e9, 3e9, 0], ["wake", 4e9, null, 0]]);
  assert.deepEqual(log.spans(still, 5).map(({ phase, from_s, to_s }) => [phase, from_s, to_s]), [["wake", 1, 2], ["infer", 2, 3], ["wake", 4, 5]]);
});

test("phases stand where their stretches stand, and nowhere while that is not known", () => {
  const log = new PhaseLog(10);
  log.add([["infer", -1e9, 1e9, 0], ["infer", -1e9, 1e9, 1], ["infer", -1e9, 1e9, 2]]);
  const offset = (stretch: number): number | undefined => [0, 10][stretch];
  const expected = [{ phase: "infer", from_s: -1, to_s: 1 }, { phase: "infer", from_s: 9, to_s: 11 }];
  assert.deepEqual(log.spans(offset, 20), expected);
  assert.deepEqual(spansOf([0, 1, 2].map((stretch) => ({ phase: "infer", start_s: -1, end_s: 1, stretch })), offset), expected);
});

test("of very many phases the newest are kept", () => {
  const log = new PhaseLog(3);
  for (let k = 0; k < 20; k++) log.add([["infer", k * 1e9, (k + 0.5) * 1e9, 0]]);
  const kept = log.spans(still, 20);
  assert.ok(kept.length >= 3 && kept.length <= 6);
  assert.equal(kept.at(-1)?.from_s, 19);
});

test("what ends before the view or begins after it is not in it", () => {
  const spans = [[0, 1], [1, 2], [2, 3], [0, 9]].map(([from_s = 0, to_s = 0]) => ({ phase: "infer", from_s, to_s }));
  assert.deepEqual(inView(spans, 1, 2).map(({ from_s, to_s }) => [from_s, to_s]), [[1, 2], [0, 9]]);
});
