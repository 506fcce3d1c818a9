// Figures under the plots; only what the reader asked for, a pause or a sum, is announced.
import { computed } from "@preact/signals";
import { duration, si } from "../format/si.ts";
import { at } from "../live/reading.ts";
import { span } from "../live/zoom.ts";
import { armed, clear, cross, marks, sum, type Mark } from "../state/cursor.ts";
import { glance, leftOut, paused, range, shown, viewed } from "../state/view.ts";

export function Readout() {
  const { reading, totals } = glance.value;
  return (
    <>
      <p class="readout" data-testid="now">
        <span>{paused.value ? "mean of what is shown:" : "now:"}</span>
        <span class="number">{si(reading.current, "A")}</span>
        <span class="number">{si(reading.voltage, "V")}</span>
        <span class="number">{si(reading.power, "W")}</span>
        {totals && <span class="number">capture {paused.value ? "until the pause" : "so far"}: {si(totals.energy_j, "J")}, {si(totals.charge_c, "C")}</span>}
      </p>
      <Cursor />
      <Shown />
    </>
  );
}

function Cursor() {
  const some = marks.a.value !== null || marks.b.value !== null;
  return (
    <>
      <div class="bar" role="group" aria-label="Energy between two points">
        <Set which="a" />
        <Set which="b" />
        <button type="button" disabled={!some} onClick={clear}>Clear</button>
        <Value name="A" t_s={marks.a.value} />
        <Value name="B" t_s={marks.b.value} />
        <Value name="crosshair" t_s={cross.value} />
      </div>
      <p class="result" role="status" data-testid="result">{[paused.value && viewed.value ? `Paused: ${viewed.value.capture}.` : "", summed()].join(" ")}</p>
    </>
  );
}

function Set({ which }: { readonly which: Mark }) {
  const on = armed.value === which;
  const name = which.toUpperCase();
  return (
    <button type="button" aria-pressed={on} aria-keyshortcuts={which} onClick={() => (armed.value = on ? null : which)}>
      {on ? `${name}: click a plot` : `Set ${name}`}
    </button>
  );
}

function Value({ name, t_s }: { readonly name: string; readonly t_s: number | null }) {
  if (t_s === null) return null;
  const here = at(shown.value, t_s);
  return (
    <span class="number">
      {name} at {si(t_s, "s", 6)}: {here ? `${si(here.current, "A")}, ${si(here.voltage, "V")}, ${si(here.power, "W")}` : "no samples in view"}
    </span>
  );
}

function summed(): string {
  const found = sum.value;
  if (found === null) return "";
  if (found === "under way") return "A to B: summing up…";
  if (!found.length_s) return "A to B: no samples between them";
  const parts = [
    `A to B: ${si(found.length_s, "s", 6)}`,
    ...(found.energy_j === null ? [] : [si(found.energy_j, "J")]),
    si(found.charge_c, "C"),
    `mean ${found.energy_j === null ? si(found.charge_c / found.length_s, "A") : si(found.energy_j / found.length_s, "W")}`,
    ...(found.stretches > 1 ? [`in ${found.stretches} stretches`] : []),
    ...(found.missing ? [`${found.missing} samples over range count nothing`] : []),
  ];
  return parts.join(", ");
}

/** Worked out with every frame, written only when it changes. */
const what = computed(() => `shown: ${duration(span(range.value))}, ${shown.value.dt_s ? `${si(shown.value.dt_s, "s", 3)} a point` : "nothing"}`);

function Shown() {
  return (
    <p class="readout quiet">
      <span data-testid="shown">{what}</span>
      {leftOut.value > 0 && <span>{leftOut.value} more stretches are in view: zoom in to see them</span>}
      <span>click sets A, shift-click B, or the keys a and b at the crosshair, which Shift with the arrows moves; drag, wheel, + and − zoom; space pauses</span>
    </p>
  );
}
