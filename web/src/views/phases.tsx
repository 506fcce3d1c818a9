// The phase track under the plots: what the board does, by name and colour.
import { computed, effect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { inView, type Span } from "../live/phases.ts";
import type { Range } from "../live/zoom.ts";
import { phases } from "../state/phases.ts";
import { colour, repaint } from "../state/theme.ts";
import { range } from "../state/view.ts";
import { INSET, RIGHT } from "./plot.ts";

const HEIGHT = 22;
const ROOM = 4; // at either side of a name
const ORDER = ["off", "ramp", "sleep", "wake", "load", "infer", "tail", "idle", "marker"];
const FONT = "12px system-ui, sans-serif";

const shown = computed(() => inView(phases.value, range.value.from_s, range.value.to_s));
/** Read when they change: asking for a colour makes the browser compute styles. */
const inks = computed(() => {
  void repaint.value;
  const fills = new Map(ORDER.map((name) => [name, colour(`p-${name}`)]));
  return { text: colour("text"), quiet: colour("quiet"), onPhase: colour("on-phase"), fills };
});
/** A text, so that it changes only when the names do. */
const names = computed(() => ORDER.filter((name) => shown.value.some((span) => span.phase === name)).join());

export function Phases() {
  const box = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const canvas = box.current;
    return canvas ? effect(() => paint(canvas, shown.value, range.value, inks.value)) : undefined;
  }, []);
  const found = names.value ? names.value.split(",") : [];
  return (
    <div class="phases" data-phases={names.value}>
      <canvas ref={box} height={HEIGHT} role="img" aria-label={`phases over time: ${found.join(", ") || "none"}`} />
      <p class="bar">
        {found.map((name) => (
          <span key={name}><span class="swatch" style={`background: var(--p-${name})`} aria-hidden="true" />{name}</span>
        ))}
        {found.includes("marker") && <span class="quiet">marker: named when the analysis has seen the capture</span>}
      </p>
    </div>
  );
}

function paint(canvas: HTMLCanvasElement, spans: readonly Span[], { from_s, to_s }: Range, { text, quiet, onPhase, fills }: typeof inks.value): void {
  const [scale, wide] = [window.devicePixelRatio, canvas.clientWidth];
  if (canvas.width !== Math.round(wide * scale)) [canvas.width, canvas.height] = [Math.round(wide * scale), Math.round(HEIGHT * scale)];
  const ink = canvas.getContext("2d");
  if (!ink) return;
  ink.setTransform(scale, 0, 0, scale, 0, 0);
  ink.clearRect(0, 0, wide, HEIGHT);
  ink.font = FONT;
  ink.textBaseline = "middle";
  ink.fillStyle = text;
  ink.textAlign = "right";
  ink.fillText("phases", INSET - 5, HEIGHT / 2);
  ink.textAlign = "center";
  ink.beginPath();
  ink.rect(INSET, 0, wide - INSET - RIGHT, HEIGHT);
  ink.clip();
  const x = (t_s: number): number => INSET + ((wide - INSET - RIGHT) * (t_s - from_s)) / (to_s - from_s);
  for (const span of spans) {
    const [left, right] = [Math.max(INSET - 1, x(span.from_s)), Math.min(wide - RIGHT + 1, x(span.to_s))];
    ink.fillStyle = fills.get(span.phase) ?? quiet;
    ink.fillRect(left, 1, Math.max(1, right - left), HEIGHT - 2);
    if (right - left < 2 * ROOM) continue;
    ink.strokeStyle = quiet;
    ink.strokeRect(left + 0.5, 1.5, right - left - 1, HEIGHT - 3);
    ink.fillStyle = onPhase;
    if (ink.measureText(span.phase).width + 2 * ROOM < right - left) ink.fillText(span.phase, (left + right) / 2, HEIGHT / 2);
  }
}
