// What may be changed of a waiting job: priority, start time, note.
import type { Job } from "../api/shapes.ts";
import { fromInput, readersZone, toInput } from "../format/when.ts";

const PRIORITIES = 100; // labd/api/models.py

/** Of those things that are another than before; empty when none is. */
export function changes(job: Job, given: FormData): Record<string, unknown> {
  const text = (name: string): string => String(given.get(name) ?? "");
  const found: Record<string, unknown> = {};
  if (text("priority") && Number(text("priority")) !== job.priority) found["priority"] = Number(text("priority"));
  if (text("start") !== toInput(job.not_before_ns)) found["not_before_ns"] = fromInput(text("start"));
  if (text("note").replaceAll("\r\n", "\n") !== job.note) found["note"] = text("note").replaceAll("\r\n", "\n");
  return found;
}

export function Edit({ job, save }: { readonly job: Job; readonly save: (changed: Record<string, unknown>) => void }) {
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const form = event.target as HTMLFormElement;
    const changed = changes(job, new FormData(form));
    form.closest("details")?.removeAttribute("open");
    if (Object.keys(changed).length) save(changed);
  };
  return (
    <details class="edit">
      <summary>Edit</summary>
      <form onSubmit={submit} key={`${job.priority} ${job.not_before_ns} ${job.note}`}>
        <label>
          Priority, higher goes first <input name="priority" type="number" min={-PRIORITIES} max={PRIORITIES} step={1} defaultValue={String(job.priority)} />
        </label>
        <label>
          Not before ({readersZone()}); empty: as soon as it can <input name="start" type="datetime-local" defaultValue={toInput(job.not_before_ns)} />
        </label>
        <label>
          Note <textarea name="note" rows={2} defaultValue={job.note} />
        </label>
        <button type="submit">Save</button>
      </form>
    </details>
  );
}
