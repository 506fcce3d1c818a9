// The lease: who has reserved the bench, taking it and giving it back.
import { fromInput, instantIn, readersZone, toInput } from "../format/when.ts";
import { status } from "../state/bench.ts";

const USUAL_NS = 2 * 3600 * 1e9;

export type Act = (method: string, path: string, done: string, body?: unknown) => Promise<boolean>;

export function Lease({ act }: { readonly act: Act }) {
  const held = status.value.queue?.lease ?? null;
  return (
    <div class="bar">
      {held && (
        <>
          <span class="warn">
            reserved by {held.who} until {instantIn(held.until_ns, "")}
            {held.purpose && `: ${held.purpose}`}
          </span>
          <button type="button" onClick={() => void act("DELETE", "/lease", "the bench is free for everybody")}>Give back</button>
        </>
      )}
      <details>
        <summary>{held ? "Extend the lease" : "Reserve the bench"}</summary>
        <Take act={act} />
      </details>
    </div>
  );
}

function Take({ act }: { readonly act: Act }) {
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const form = event.target as HTMLFormElement;
    const given = new FormData(form);
    const body = { until_ns: fromInput(String(given.get("until"))), purpose: String(given.get("purpose")) };
    if (await act("POST", "/lease", "the bench is reserved", body)) form.closest("details")?.removeAttribute("open");
  };
  return (
    <form onSubmit={(event) => void submit(event)}>
      <p class="quiet">Until then only your own jobs begin.</p>
      <label>
        Until ({readersZone()}) <input name="until" type="datetime-local" required defaultValue={toInput(Date.now() * 1e6 + USUAL_NS)} />
      </label>
      <label>
        What for <input name="purpose" maxLength={200} />
      </label>
      <button type="submit">Reserve</button>
    </form>
  );
}
