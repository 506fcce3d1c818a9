// The phases of what the live view shows: from the marker while it is measured, from the analysis where it has seen the capture.
import { computed, effect, signal } from "@preact/signals";
import { request } from "../api/request.ts";
import { spansOf, type Span, type Window } from "../live/phases.ts";
import { kpis } from "./bench.ts";
import { capture, drawn, phaseLog, timeline } from "./live.ts";
import { reasonOf, tell } from "./tell.ts";
import { paused, viewed } from "./view.ts";

/** Of the capture that is held still. */
const held = signal<readonly Span[]>([]);

export const phases = computed<readonly Span[]>(() => {
  if (paused.value) return held.value;
  void drawn.value;
  return live();
});

function live(): Span[] {
  return phaseLog.spans((stretch) => timeline.offset(stretch), timeline.newest_s);
}

/** Until the analysis has windows, what the marker told of the capture under way; figures that come may bring windows. */
effect(() => {
  const still = viewed.value;
  void kpis.value;
  if (!still?.placed.length) return;
  const now = capture.peek();
  if (!held.peek().length && still.run === now?.run && still.order === now.order) held.value = live();
  const offsets = new Map(still.placed.map((one) => [one.stretch, one.offset_s]));
  request<Window[]>("GET", `/runs/${still.run}/captures/${still.order}/windows`).then(
    (found) => {
      if (viewed.peek() === still && found.length) held.value = spansOf(found, (stretch) => offsets.get(stretch));
    },
    (error: unknown) => tell(reasonOf(error), true),
  );
});

effect(() => {
  void viewed.value?.run;
  if (!viewed.value?.placed.length) held.value = [];
});
