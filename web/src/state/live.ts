// The capture under way: its frames, gathered for drawing.
import { signal } from "@preact/signals";
import { Socket } from "../api/socket.ts";
import type { Channel } from "../live/channels.ts";
import { decode, type Start } from "../live/frames.ts";
import { Timeline } from "../live/timeline.ts";

const CAPACITY = 60_000; // buckets: a minute at one a millisecond

export const timeline = new Timeline(CAPACITY);
export const capture = signal<Start | null>(null);
export const totals = signal<{ energy_j: number; charge_c: number; samples: number } | null>(null);
export const lost = signal(0);
/** Marker and digital lines that have something to show, and the highest marker so far, in V. */
export const tracks = signal<readonly Channel[]>([]);
export const highestMarker = signal(0);
/** Counts up with every frame that brought something to draw. */
export const drawn = signal(0);

/** When the last frame with samples came, on the page's own clock; null before the first. */
export const sampled_ms = signal<number | null>(null);

const LONGEST_SILENCE_MS = 3000; // a frame comes once a second, also without samples

let last = 0;

export const frames = new Socket("/live", (data) => {
  if (!(data instanceof ArrayBuffer)) return;
  const { header, envelopes, triggers } = decode(data);
  if (header.n !== undefined) {
    if (last && header.n > last + 1) lost.value += header.n - last - 1;
    last = header.n;
  }
  if (header.start) {
    if (header.start.capture !== capture.value?.capture || header.start.run !== capture.value.run) {
      timeline.clear();
      tracks.value = [];
      highestMarker.value = 0;
    }
    capture.value = header.start;
  }
  envelopes.forEach((envelope, k) => timeline.append(envelope, triggers[k] ?? false));
  if (header.energy_j !== undefined) totals.value = { energy_j: header.energy_j, charge_c: header.charge_c ?? 0, samples: header.samples ?? 0 };
  if (!envelopes.length) return;
  sampled_ms.value = performance.now();
  drawn.value += 1;
}, LONGEST_SILENCE_MS);
