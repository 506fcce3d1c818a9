// The live view: what the board draws now; paused, down to single samples.
import { effect, signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { bytes, request } from "../api/request.ts";
import type { Stretch } from "../api/shapes.ts";
import { duration, si } from "../format/si.ts";
import { at, between } from "../live/between.ts";
import type { Value } from "../live/channels.ts";
import { columnsOf, EMPTY, joined, type Columns } from "../live/columns.ts";
import { decode } from "../live/frames.ts";
import { layout, partsOf } from "../live/layout.ts";
import { highest, tracksOf } from "../live/tracks.ts";
import { panned, span, within, zoomed, type Range } from "../live/zoom.ts";
import { logarithmic } from "../state/axis.ts";
import { capture, drawn, frames, highestMarker, lost, timeline, totals, tracks, trouble } from "../state/live.ts";
import { reasonOf, tell } from "../state/tell.ts";
import { repaint } from "../state/theme.ts";
import { ChannelPlot, TracksPlot } from "./plot.ts";

const SHOWN: readonly Value[] = ["current", "voltage", "power"];
const WINDOW_S = 10;
const POINTS = 1200;
const LEAST_S = 5e-6;

const paused = signal(false);
const range = signal<Range>({ from_s: 0, to_s: WINDOW_S });
const shown = signal<Columns>(EMPTY);
const marks = signal<readonly [number | null, number | null]>([null, null]);

let asked = 0;
let stop = new AbortController();

function live(): void {
  const to_s = Math.max(timeline.newest_s, WINDOW_S);
  range.value = { from_s: to_s - WINDOW_S, to_s };
  display(timeline.view(range.value.from_s, range.value.to_s, POINTS));
}

/** What the store has of the present range: envelopes, or single samples when few are in it. */
async function stored(): Promise<void> {
  const now = capture.value;
  if (!now) return;
  stop.abort();
  stop = new AbortController();
  const mine = ++asked;
  const place = `/runs/${now.run}/captures/${now.order}`;
  try {
    const { parts } = partsOf(layout(await request<Stretch[]>("GET", `${place}/stretches`)), range.value.from_s, range.value.to_s, POINTS);
    const pieces = await Promise.all(
      parts.map(async (part) => {
        const query = `stretch=${part.stretch}&start=${part.start}&stop=${part.stop}&points=${part.points}`;
        const frame = decode(await bytes(`${place}/window?${query}`, stop.signal));
        return joined(frame.envelopes.map((envelope) => columnsOf(envelope, part.offset_s)));
      }),
    );
    if (mine === asked && paused.value) display(joined(pieces));
  } catch (error) {
    if (mine === asked && !(error instanceof DOMException)) tell(reasonOf(error), true);
  }
}

function look(next: Range): void {
  paused.value = true;
  const whole = { from_s: Math.min(timeline.oldest_s, next.from_s), to_s: Math.max(timeline.newest_s, WINDOW_S) };
  range.value = within(next, whole);
  void stored();
}

export function togglePause(): void {
  paused.value = !paused.value;
  if (paused.value) void stored();
}

const zoomBy = (factor: number): void => look(zoomed(range.value, factor, 0.5, LEAST_S));
const panBy = (share: number): void => look(panned(range.value, share));

export function keyed(event: KeyboardEvent): void {
  if (event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement || event.target instanceof HTMLButtonElement) return;
  const act: Record<string, () => void> = {
    " ": togglePause,
    "+": () => zoomBy(0.5),
    "-": () => zoomBy(2),
    ArrowLeft: () => panBy(-0.25),
    ArrowRight: () => panBy(0.25),
  };
  const action = act[event.key];
  if (action) {
    event.preventDefault();
    action();
  }
}

export function Live() {
  return (
    <section aria-label="Live samples" class={frames.state.value === "lost" ? "stale" : ""}>
      <div class="bar">
        <button type="button" aria-pressed={paused.value} onClick={togglePause} data-testid="pause">
          {paused.value ? "Go on" : "Pause"}
        </button>
        <button type="button" onClick={() => zoomBy(0.5)} aria-label="Zoom in">+</button>
        <button type="button" onClick={() => zoomBy(2)} aria-label="Zoom out">−</button>
        <button type="button" onClick={() => panBy(-0.25)} aria-label="Earlier">◀</button>
        <button type="button" onClick={() => panBy(0.25)} aria-label="Later">▶</button>
        <button type="button" aria-pressed={logarithmic.value} onClick={() => (logarithmic.value = !logarithmic.value)}>Log scale</button>
        <span class="quiet">
          {capture.value ? `${capture.value.capture} on ${capture.value.instrument}` : "no capture yet"}
        </span>
        <span class="quiet">{lost.value ? `${lost.value} frames missed` : ""}</span>
      </div>
      <Troubles />
      {SHOWN.map((channel) => (
        <Plot key={`${channel}-${repaint.value}-${logarithmic.value}`} channel={channel} />
      ))}
      <Tracks key={`${tracks.value.join()}-${repaint.value}`} />
      <Readout />
    </section>
  );
}

const FLAGS: Readonly<Record<string, string>> = { over_range: "over range", gap_before: "a gap in the samples", clipped: "clipped" };

function Troubles() {
  const { error, flags, unseen } = trouble.value;
  const said = [
    ...(error ? [`failed: ${error}`] : []),
    ...flags.map((flag) => FLAGS[flag] ?? flag),
    ...(unseen ? [`${unseen} blocks are missing here; the trace has them`] : []),
  ];
  return said.length ? <p class="warn" role="status" data-testid="trouble">This capture: {said.join("; ")}</p> : null;
}

const acts = {
  zoom: look,
  pick: (t_s: number, second: boolean): void => {
    marks.value = second ? [marks.value[0], t_s] : [t_s, marks.value[1]];
  },
};

function wheel(event: WheelEvent): void {
  event.preventDefault();
  const box = event.currentTarget as HTMLElement;
  look(zoomed(range.value, event.deltaY < 0 ? 0.7 : 1 / 0.7, event.offsetX / Math.max(1, box.clientWidth), LEAST_S));
}

/** A plot of its own in a box; drawn when what it shows changes. */
function useDrawn(make: (box: HTMLElement) => { draw: () => void; destroy: () => void }) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!box.current) return undefined;
    const plot = make(box.current);
    const done = effect(plot.draw);
    box.current.addEventListener("wheel", wheel, { passive: false });
    return () => {
      done();
      plot.destroy();
    };
  }, []);
  return box;
}

function Plot({ channel }: { readonly channel: Value }) {
  const box = useDrawn((element) => {
    const plot = new ChannelPlot(element, channel, logarithmic.peek() && channel !== "voltage", acts);
    return { draw: () => plot.show(shown.value, range.value), destroy: () => plot.destroy() };
  });
  return <div class="plot" ref={box} role="img" aria-label={`${channel} over time`} data-channel={channel} />;
}

function Tracks() {
  const box = useDrawn((element) => {
    const plot = new TracksPlot(element, tracks.peek(), acts);
    return { draw: () => plot.show(shown.value, range.value, highestMarker.value), destroy: () => plot.destroy() };
  });
  const names = tracks.value.join(", ") || "no marker and no digital lines";
  return <div class="plot" ref={box} role="img" aria-label={`${names} over time`} data-tracks={tracks.value.join()} />;
}

/** What is shown decides which tracks there are; those seen in a capture stay. */
function display(columns: Columns): void {
  tracks.value = tracksOf(columns, tracks.peek());
  highestMarker.value = Math.max(highestMarker.peek(), highest(columns, "marker"));
  shown.value = columns;
}

function Readout() {
  const [one, other] = marks.value;
  const found = one !== null && other !== null ? between(shown.value, one, other) : null;
  const here = one === null ? null : at(shown.value, one);
  return (
    <p class="readout" role="status">
      <span>shown: {duration(span(range.value))}, {shown.value.dt_s ? `${si(shown.value.dt_s, "s", 3)} a point` : "nothing"}</span>
      {totals.value && <span>capture so far: {si(totals.value.energy_j, "J")}, {si(totals.value.charge_c, "C")}</span>}
      {here && <span>A at {si(one, "s", 6)}: {si(here.current, "A")}, {si(here.voltage, "V")}, {si(here.power, "W")}</span>}
      {found && (
        <span>
          A to B: {duration(found.length_s)}, {si(found.energy_j, "J")}, {si(found.charge_c, "C")}, mean {si(found.power_w, "W")}
        </span>
      )}
      <span class="quiet">click sets A, shift-click sets B; drag or wheel zooms; space pauses</span>
    </p>
  );
}

/** For whoever measures this page from outside: frames drawn, when the capture began (ms, UTC), and how far its samples reach (s). */
function measured(): void {
  const { dataset } = document.documentElement;
  dataset["frames"] = String(Number(dataset["frames"] ?? 0) + 1);
  dataset["began"] = String((capture.value?.t_ns ?? 0) / 1e6);
  dataset["newest"] = String(timeline.newest_s);
}

/** Draws at the screen's pace, and only what is new. */
export function follow(): () => void {
  let [seen, going] = [-1, true];
  const step = (): void => {
    if (!going) return;
    if (drawn.value !== seen && !paused.value) {
      seen = drawn.value;
      live();
      measured();
    }
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
  return () => {
    going = false;
  };
}
