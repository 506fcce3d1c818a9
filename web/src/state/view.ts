// What the live view shows: the capture under way, or one that is held still and read from the store.
import { batch, computed, effect, signal } from "@preact/signals";
import { inLanes } from "../api/lanes.ts";
import { bytes, request } from "../api/request.ts";
import type { Stretch } from "../api/shapes.ts";
import type { Channel } from "../live/channels.ts";
import { columnsOf, EMPTY, joined, type Columns } from "../live/columns.ts";
import { decode } from "../live/frames.ts";
import { extentOf, layout, partsOf, type Placed } from "../live/layout.ts";
import { means, type Reading } from "../live/reading.ts";
import { highest, tracksOf } from "../live/tracks.ts";
import { panned, within, zoomed, type Range } from "../live/zoom.ts";
import { captures, shownRun } from "./bench.ts";
import { capture, drawn, timeline, totals, trouble, type Totals, type Trouble } from "./live.ts";
import { reasonOf, tell } from "./tell.ts";

/** A capture that is held still. placed, whole: its stretches and their extent as they were then; placed is empty until they are read. */
export interface Viewed {
  readonly run: string;
  readonly order: number;
  readonly capture: string;
  readonly placed: readonly Placed[];
  readonly whole: Range;
  readonly totals: Totals | null;
  readonly trouble: Trouble;
}

export interface Glance {
  readonly reading: Reading;
  readonly totals: Totals | null;
}

const WINDOW_S = 10;
const POINTS = 1200;
const LEAST_S = 5e-6;
const REST_MS = 60; // a wheel turns in many small steps: what lies between them is not fetched
const GLANCE_MS = 500; // how often figures change: faster nobody reads them
const GLANCE_S = 0.5;

export const paused = signal(false);
export const viewed = signal<Viewed | null>(null);
export const range = signal<Range>({ from_s: 0, to_s: WINDOW_S });
export const shown = signal<Columns>(EMPTY);
/** Stretches in view that are not drawn, because they are too many. */
export const leftOut = signal(0);
/** Live: means of the last half second; held: of what is shown. */
export const glance = signal<Glance>({ reading: means(EMPTY), totals: null });
/** Marker and digital lines that have something to show, and the highest marker so far, in V. */
export const tracks = signal<readonly Channel[]>([]);
export const highestMarker = signal(0);

/** Which capture is shown; empty without one. */
export const subject = computed(() => {
  const one = paused.value ? viewed.value : capture.value;
  return one ? `${one.run}/${one.order}` : "";
});

let asked = 0;
let rest = 0;
let fetching = new AbortController();

effect(() => {
  void subject.value;
  tracks.value = [];
  highestMarker.value = 0;
});

export function togglePause(): void {
  if (paused.value) goOn();
  else pause();
}

export function goOn(): void {
  asked += 1;
  fetching.abort();
  paused.value = false;
  viewed.value = null;
  leftOut.value = 0;
}

function pause(): void {
  paused.value = true;
  const now = capture.value;
  if (!now) return;
  const whole = { from_s: Math.min(timeline.oldest_s, range.value.from_s), to_s: Math.max(timeline.newest_s, range.value.to_s) };
  const still = { run: now.run, order: now.order, capture: now.capture, placed: [], whole, totals: totals.value, trouble: trouble.value };
  viewed.value = still;
  void hold(still);
}

/** Shows a stored capture, all of it. */
export function view(run: string, order: number): void {
  const row = run === shownRun.value ? captures.value.find((one) => one.order === order) : undefined;
  paused.value = true;
  const still: Viewed = {
    ...{ run, order, capture: row?.key ?? `capture ${order}`, placed: [], whole: range.value, totals: null },
    trouble: { error: row?.error ?? "", flags: [], unseen: 0 },
  };
  viewed.value = still;
  shown.value = EMPTY;
  void hold(still, true);
}

/** Reads where the stretches are, once: what is held does not grow. all: show their whole extent, and say their flags. */
async function hold(still: Viewed, all = false): Promise<void> {
  const mine = ++asked;
  try {
    const placed = layout(await request<Stretch[]>("GET", `/runs/${still.run}/captures/${still.order}/stretches`));
    if (mine !== asked) return;
    if (!placed.length) throw new Error(`${still.capture} has no samples`);
    const extent = extentOf(placed);
    const whole = all ? extent : { from_s: Math.min(extent.from_s, still.whole.from_s), to_s: Math.max(extent.to_s, still.whole.to_s) };
    const flags = all ? [...new Set(placed.flatMap((one) => one.flags))] : still.trouble.flags;
    viewed.value = { ...still, placed, whole, trouble: { ...still.trouble, flags } };
    if (all) range.value = extent;
    await fetchShown();
  } catch (error) {
    if (mine === asked) tell(reasonOf(error), true);
  }
}

/** What the store has of the present range: envelopes, or single samples when few are in it. */
async function fetchShown(): Promise<void> {
  const still = viewed.value;
  if (!still?.placed.length) return;
  fetching.abort();
  const mine = (fetching = new AbortController());
  const { from_s, to_s } = range.value;
  const { parts, left_out } = partsOf(still.placed, from_s, to_s, POINTS);
  try {
    const pieces = await inLanes(parts, async ({ stretch, start, stop, points, offset_s }) => {
      const query = `stretch=${stretch}&start=${start}&stop=${stop}&points=${points}`;
      const frame = decode(await bytes(`/runs/${still.run}/captures/${still.order}/window?${query}`, mine.signal));
      return joined(frame.envelopes.map((envelope) => columnsOf(envelope, offset_s)));
    });
    if (mine.signal.aborted) return;
    leftOut.value = left_out;
    display(joined(pieces));
    glance.value = { reading: means(shown.value), totals: still.totals };
  } catch (error) {
    if (!mine.signal.aborted) tell(reasonOf(error), true);
  }
}

export function look(next: Range): void {
  if (!paused.value) pause();
  range.value = viewed.value ? within(next, viewed.value.whole) : next;
  window.clearTimeout(rest);
  rest = window.setTimeout(() => void fetchShown(), REST_MS);
}

export const zoomBy = (factor: number, anchor = 0.5): void => look(zoomed(range.value, factor, anchor, LEAST_S));
export const panBy = (share: number): void => look(panned(range.value, share));

function live(): void {
  const to_s = Math.max(timeline.newest_s, WINDOW_S);
  const next = { from_s: to_s - WINDOW_S, to_s };
  batch(() => {
    range.value = next;
    display(timeline.view(next.from_s, next.to_s, POINTS));
  });
}

/** What is shown decides which tracks there are; those seen in a capture stay. */
function display(columns: Columns): void {
  tracks.value = tracksOf(columns, tracks.peek());
  highestMarker.value = Math.max(highestMarker.peek(), highest(columns, "marker"));
  shown.value = columns;
}

/** Draws at the screen's pace, and only what is new. */
export function follow(): () => void {
  let [seen, glanced, glanced_ms, going] = [-1, -1, -Infinity, true];
  const step = (now_ms: number): void => {
    if (!going) return;
    if (paused.peek()) [seen, glanced] = [-1, -1];
    else if (drawn.peek() !== seen) {
      seen = drawn.peek();
      live();
      measured();
    }
    if (glanced !== seen && now_ms - glanced_ms > GLANCE_MS) {
      [glanced, glanced_ms] = [seen, now_ms];
      glance.value = { reading: means(timeline.view(timeline.newest_s - GLANCE_S, timeline.newest_s, POINTS)), totals: totals.peek() };
    }
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
  return () => {
    going = false;
  };
}

/** For whoever measures this page from outside: frames drawn, when the capture began (ms, UTC), and how far its samples reach (s). */
function measured(): void {
  const { dataset } = document.documentElement;
  dataset["frames"] = String(Number(dataset["frames"] ?? 0) + 1);
  dataset["began"] = String((capture.peek()?.t_ns ?? 0) / 1e6);
  dataset["newest"] = String(timeline.newest_s);
}
