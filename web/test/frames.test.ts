import assert from "node:assert/strict";
import { test } from "node:test";
import { decode } from "../src/live/frames.ts";

function frame(header: unknown, columns: number[][]): ArrayBuffer {
  let text = JSON.stringify(header);
  while ((12 + text.length) % 8) text += " ";
  const data = new ArrayBuffer(12 + text.length + 4 * columns.flat().length);
  const view = new DataView(data);
  new Uint8Array(data).set([0x4c, 0x41, 0x42, 0x44, 1, 1, 0, 0]);
  view.setUint32(8, text.length, true);
  new Uint8Array(data).set(new TextEncoder().encode(text), 12);
  columns.flat().forEach((value, k) => view.setFloat32(12 + text.length + 4 * k, value, true));
  return data;
}

const piece = { stretch: 2, trigger: true, first: 200, per_bucket: 100, t0_ns: 2e6, dt_ns: 1e6, count: 2, channels: ["current"], digital: false };

test("buckets have lowest, highest and mean; single samples have one value", () => {
  const got = decode(frame({ pieces: [piece] }, [[1, 2], [3, 4], [2, 3]]));
  const band = got.envelopes[0]?.bands.current;
  assert.deepEqual([...(band?.low as Float32Array)], [1, 2]);
  assert.deepEqual([...(band?.mean as Float32Array)], [2, 3]);
  assert.deepEqual(got.triggers, [true]);
  const single = decode(frame({ pieces: [{ ...piece, per_bucket: 1 }] }, [[5, 6]])).envelopes[0]?.bands.current;
  assert.deepEqual([...(single?.high as Float32Array)], [5, 6]);
});

test("something else is refused", () => {
  assert.throws(() => decode(new ArrayBuffer(64)), /not a frame/);
});
