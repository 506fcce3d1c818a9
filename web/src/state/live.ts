// The capture under way: its frames, gathered for drawing.
import { effect, signal } from "@preact/signals";
import { request } from "../api/request.ts";
import type { Stretch } from "../api/shapes.ts";
import { Socket } from "../api/socket.ts";
import { decode, type Frame, type Header, type Start } from "../live/frames.ts";
import { layout } from "../live/layout.ts";
import { PhaseLog } from "../live/phases.ts";
import { Timeline } from "../live/timeline.ts";

const CAPACITY = 60_000; // buckets: a minute at one a millisecond
const PHASES = 3000;
const LONGEST_SILENCE_MS = 3000; // a frame comes once a second, also without samples

/** What is wrong with a capture. error: why it failed, empty when it did not; unseen: blocks that the live view missed. */
export interface Trouble {
  readonly error: string;
  readonly flags: readonly string[];
  readonly unseen: number;
}

export interface Totals {
  readonly energy_j: number;
  readonly charge_c: number;
  readonly samples: number;
}

const NO_TROUBLE: Trouble = { error: "", flags: [], unseen: 0 };

export const timeline = new Timeline(CAPACITY);
export const phaseLog = new PhaseLog(PHASES);
export const capture = signal<Start | null>(null);
export const totals = signal<Totals | null>(null);
export const lost = signal(0);
export const trouble = signal<Trouble>(NO_TROUBLE);
/** Counts up with every frame that brought something to draw. */
export const drawn = signal(0);
/** When the last frame with samples came, on the page's own clock; null before the first. */
export const sampled_ms = signal<number | null>(null);

let last = 0;
let unseen: number | null = null;
/** Frames that wait until it is known where their stretches stand; null when none do. */
let held: Frame[] | null = null;

export const frames = new Socket("/live", (data) => {
  if (!(data instanceof ArrayBuffer)) return;
  const frame = decode(data);
  const { header, envelopes, triggers } = frame;
  if (header.start) begin(header.start);
  else count(header);
  tellTrouble(header);
  const [first, trigger] = [envelopes[0], triggers[0] ?? false];
  if (held) held.push(frame);
  else if (first && capture.value && !timeline.knows(first.stretch, trigger)) {
    held = [frame];
    void locate(capture.value);
  } else take(frame);
}, LONGEST_SILENCE_MS);

/** What came while nobody was connected is not missed: whoever comes again gets the last seconds. */
effect(() => {
  if (frames.state.value === "lost") [last, unseen] = [0, null];
});

/** A start is sent when a capture begins, and to a new viewer together with the last seconds: in both cases all comes anew. */
function begin(start: Start): void {
  const before = capture.peek();
  timeline.clear();
  phaseLog.clear();
  held = null;
  [last, unseen] = [0, null];
  if (start.order !== before?.order || start.run !== before.run) {
    totals.value = null;
    trouble.value = NO_TROUBLE;
  }
  capture.value = start;
}

/** Frames that this page missed, and blocks that the daemon's view missed. */
function count(header: Header): void {
  const { n = 0, lost_blocks = 0 } = header;
  if (last && n > last + 1) {
    lost.value += n - last - 1;
    timeline.missed();
  }
  if (n) last = n;
  if (unseen !== null && lost_blocks > unseen) {
    trouble.value = { ...trouble.peek(), unseen: trouble.peek().unseen + lost_blocks - unseen };
    timeline.missed();
  }
  unseen = lost_blocks;
}

function tellTrouble(header: Header): void {
  const { error, flags } = trouble.peek();
  const fresh = (header.flags ?? []).filter((flag) => !flags.includes(flag));
  if (fresh.length || (header.end && header.end.error !== error)) {
    trouble.value = { ...trouble.peek(), error: header.end?.error ?? error, flags: [...flags, ...fresh] };
  }
}

/** Who comes in the middle of a triggered capture asks where its stretches stand; without an answer they stand behind each other. */
async function locate(start: Start): Promise<void> {
  const rows = await request<Stretch[]>("GET", `/runs/${start.run}/captures/${start.order}/stretches`).catch(() => []);
  if (!held || capture.peek() !== start) return;
  timeline.place(layout(rows));
  const waiting = held;
  held = null;
  waiting.forEach(take);
}

function take({ header, envelopes, triggers }: Frame): void {
  envelopes.forEach((envelope, k) => timeline.append(envelope, triggers[k] ?? false));
  phaseLog.add(header.phases ?? []);
  if (header.energy_j !== undefined) totals.value = { energy_j: header.energy_j, charge_c: header.charge_c ?? 0, samples: header.samples ?? 0 };
  if (!envelopes.length) return;
  sampled_ms.value = performance.now();
  drawn.value += 1;
}
