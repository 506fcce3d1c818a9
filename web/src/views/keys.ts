// The keyboard on the live view: where keys mean something, and what.
import { armed, mark, moveCross } from "../state/cursor.ts";
import { panBy, togglePause, zoomBy } from "../state/view.ts";

const ACTS: Readonly<Record<string, () => void>> = {
  " ": togglePause,
  "+": () => zoomBy(0.5),
  "-": () => zoomBy(2),
  ArrowLeft: () => panBy(-0.25),
  ArrowRight: () => panBy(0.25),
  "shift ArrowLeft": () => moveCross(-1),
  "shift ArrowRight": () => moveCross(1),
  a: () => mark("a"),
  b: () => mark("b"),
  Escape: () => (armed.value = null),
};
/** What a focused button does itself. */
const OF_BUTTONS = new Set([" ", "Enter"]);

/** Other people's keys are left to them: the browser's with Ctrl, Alt or Meta, and those of controls and of the rest of the page. */
export function keyed(event: KeyboardEvent): void {
  if (event.ctrlKey || event.altKey || event.metaKey || !mine(event)) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const act = ACTS[event.shiftKey && key.startsWith("Arrow") ? `shift ${key}` : key];
  if (!act) return;
  event.preventDefault();
  act();
}

function mine({ target, key }: KeyboardEvent): boolean {
  if (target === document.body) return true;
  if (!(target instanceof Element) || !target.closest("[data-live]")) return false;
  if (target instanceof HTMLButtonElement) return !OF_BUTTONS.has(key);
  return !(target instanceof HTMLSelectElement);
}
