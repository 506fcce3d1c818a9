// What happened of late, newest first; above the figures, since some of it wants a person.
import { notices } from "../state/bench.ts";
import { instant } from "../format/si.ts";

const LOUD = new Set(["alarm", "guard", "bench"]);

export function Notices() {
  if (!notices.value.length) return null;
  return (
    <section aria-label="Notices">
      <h2>Notices</h2>
      <ul class="notices" tabIndex={0}>
        {notices.value.map((one, k) => (
          <li key={notices.value.length - k} class={LOUD.has(one.kind) ? "warn" : ""}>
            <span class="quiet">{instant(one.t_ns)}</span> {one.text}
          </li>
        ))}
      </ul>
    </section>
  );
}
