// The live view: what the board draws now; held still, down to single samples.
import { effect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { si } from "../format/si.ts";
import { UNITS } from "../live/channels.ts";
import type { Reading } from "../live/reading.ts";
import { logarithmic } from "../state/axis.ts";
import { captures, shownRun } from "../state/bench.ts";
import { cross, hover, marks, pick } from "../state/cursor.ts";
import { capture, frames, lost, trouble } from "../state/live.ts";
import { repaint } from "../state/theme.ts";
import { glance, goOn, highestMarker, look, panBy, paused, range, shown, togglePause, tracks, view, viewed, zoomBy } from "../state/view.ts";
import { Phases } from "./phases.tsx";
import { ChannelPlot, TracksPlot, type Cursor } from "./plot.ts";
import { Readout } from "./readout.tsx";

const SHOWN: readonly (keyof Reading)[] = ["current", "voltage", "power"];
const FLAGS: Readonly<Record<string, string>> = { over_range: "over range", gap_before: "a gap in the samples", clipped: "clipped" };

const acts = { zoom: look, pick, hover };
const cursor = (): Cursor => ({ a: marks.a.value, b: marks.b.value, cross: cross.value });

export function Live() {
  return (
    <section aria-label="Live samples" data-live class={frames.state.value === "lost" && !paused.value ? "stale" : ""}>
      <div class="bar">
        <button type="button" aria-pressed={paused.value} onClick={togglePause} data-testid="pause">
          {paused.value ? "Go on" : "Pause"}
        </button>
        <button type="button" onClick={() => zoomBy(0.5)} aria-label="Zoom in">+</button>
        <button type="button" onClick={() => zoomBy(2)} aria-label="Zoom out">−</button>
        <button type="button" onClick={() => panBy(-0.25)} aria-label="Earlier">◀</button>
        <button type="button" onClick={() => panBy(0.25)} aria-label="Later">▶</button>
        <button type="button" aria-pressed={logarithmic.value} onClick={() => (logarithmic.value = !logarithmic.value)}>Log scale</button>
        <Which />
        <span class="quiet">{lost.value ? `${lost.value} frames missed` : ""}</span>
      </div>
      <Troubles />
      <div class="plots" role="group" aria-label="Plots" tabIndex={0}>
        {SHOWN.map((channel) => (
          <Plot key={`${channel}-${repaint.value}-${logarithmic.value}`} channel={channel} />
        ))}
        <Phases />
        <Tracks key={`${tracks.value.join()}-${repaint.value}`} />
      </div>
      <Readout />
    </section>
  );
}

/** The capture that is shown; a stored one of the run can be chosen. */
function Which() {
  const now = viewed.value;
  const choose = (event: Event): void => {
    const order = (event.target as HTMLSelectElement).value;
    if (order) view(shownRun.value, Number(order));
    else goOn();
  };
  const stored = captures.value.filter((one) => one.samples > 0);
  const mine = now && now.run === shownRun.value && stored.some((one) => one.order === now.order);
  return (
    <select aria-label="Capture" value={!now ? "" : mine ? String(now.order) : "held"} onChange={choose}>
      <option value="">{capture.value ? `live: ${capture.value.capture} on ${capture.value.instrument}` : "live: no capture yet"}</option>
      {now && !mine && <option value="held" disabled>{now.capture}</option>}
      {stored.map((one) => (
        <option key={one.order} value={String(one.order)}>{one.key}</option>
      ))}
    </select>
  );
}

function Troubles() {
  const { error, flags, unseen } = viewed.value?.trouble ?? trouble.value;
  const said = [
    ...(error ? [`failed: ${error}`] : []),
    ...flags.map((flag) => FLAGS[flag] ?? flag),
    ...(unseen ? [`${unseen} blocks are missing here; the trace has them`] : []),
  ];
  return said.length ? <p class="warn" role="status" data-testid="trouble">This capture: {said.join("; ")}</p> : null;
}

/** The place under the pointer as a share of the plotted width: the axis beside it does not count. */
function wheel(event: WheelEvent): void {
  event.preventDefault();
  const over = (event.currentTarget as HTMLElement).querySelector(".u-over")?.getBoundingClientRect();
  const share = over ? (event.clientX - over.left) / Math.max(1, over.width) : 0.5;
  zoomBy(event.deltaY < 0 ? 0.7 : 1 / 0.7, Math.min(1, Math.max(0, share)));
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

function Plot({ channel }: { readonly channel: keyof Reading }) {
  const box = useDrawn((element) => {
    const plot = new ChannelPlot(element, channel, logarithmic.peek() && channel !== "voltage", acts);
    return { draw: () => plot.show(shown.value, range.value, cursor()), destroy: () => plot.destroy() };
  });
  const said = `${channel} over time, ${paused.value ? "mean of what is shown" : "now"} ${si(glance.value.reading[channel], UNITS[channel])}`;
  return <div class="plot" ref={box} role="img" aria-label={said} data-channel={channel} />;
}

function Tracks() {
  const box = useDrawn((element) => {
    const plot = new TracksPlot(element, tracks.peek(), acts);
    return { draw: () => plot.show(shown.value, range.value, { ...cursor(), highest_v: highestMarker.value }), destroy: () => plot.destroy() };
  });
  const names = tracks.value.join(", ") || "no marker and no digital lines";
  return <div class="plot" ref={box} role="img" aria-label={`${names} over time`} data-tracks={tracks.value.join()} />;
}
