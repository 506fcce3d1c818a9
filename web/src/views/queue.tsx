// The queue with its controls.
import { useRef } from "preact/hooks";
import { request } from "../api/request.ts";
import type { Job } from "../api/shapes.ts";
import { duration } from "../format/si.ts";
import { instantIn } from "../format/when.ts";
import { jobs, readQueue, show, status } from "../state/bench.ts";
import { told } from "../state/tell.ts";
import { Edit } from "./edit.tsx";
import { Lease } from "./lease.tsx";

async function act(method: string, path: string, done: string, body?: unknown): Promise<boolean> {
  const worked = await told(() => request(method, path, body), done);
  if (worked) readQueue();
  return worked;
}

function sure(text: string, then: () => void): () => void {
  return () => {
    if (window.confirm(text)) then();
  };
}

export function Queue() {
  const paused = status.value.queue?.paused ?? false;
  const waiting = jobs.value.filter((job) => job.state === "queued");
  return (
    <section aria-label="Queue">
      <h2>Queue</h2>
      <div class="bar">
        <button type="button" onClick={() => void act("POST", paused ? "/queue/resume" : "/queue/pause", paused ? "the queue goes on" : "the queue is paused")}>
          {paused ? "Let the queue go on" : "Pause the queue"}
        </button>
        {paused && <span class="warn">paused: {status.value.queue?.why_paused}</span>}
      </div>
      <Lease act={act} />
      <Submit />
      <ul class="jobs">
        {jobs.value.map((job) => (
          <Row key={job.id} job={job} waiting={waiting} />
        ))}
      </ul>
      {jobs.value.length === 0 && <p class="quiet">No jobs.</p>}
    </section>
  );
}

/** waiting: all that wait, in their order. */
function Row({ job, waiting }: { readonly job: Job; readonly waiting: readonly Job[] }) {
  const at = `/jobs/${job.id}`;
  const place = waiting.indexOf(job);
  const [before, after] = [waiting[place - 1], waiting[place + 1]];
  const move = (text: string, body: unknown): void => void act("POST", `${at}/move`, `${job.plan_name}: ${text}`, body);
  return (
    <li class={`job ${job.state}`} data-job={job.id}>
      <span class="name">{job.plan_name}</span> <span class="tag">{job.state}</span>{" "}
      <span class="quiet">
        {job.submitted_by}
        {job.estimate_s === null ? "" : ` · ${duration(job.estimate_s)}`}
        {job.urgent ? " · runs next" : ""}
        {job.priority ? ` · priority ${job.priority}` : ""}
        {job.state === "queued" && job.not_before_ns !== null ? ` · not before ${instantIn(job.not_before_ns, job.zone)}` : ""}
        {job.recurrence ? ` · repeats at ${job.recurrence} (${job.zone})` : ""}
      </span>{" "}
      {job.tags.map((tag) => <span key={tag} class="tag">{tag}</span>)}
      {job.note && <p class="note">{job.note}</p>}
      <span class="buttons">
        {job.state === "queued" && (
          <>
            <button type="button" disabled={!before} onClick={() => move("moved first", { where: "first" })}>First</button>
            <button type="button" disabled={!before} onClick={() => before && move("moved up", { where: "before", other: before.id })}>Up</button>
            <button type="button" disabled={!after} onClick={() => after && move("moved down", { where: "after", other: after.id })}>Down</button>
            <button type="button" disabled={!after} onClick={() => move("moved last", { where: "last" })}>Last</button>
            <button type="button" onClick={() => void act("POST", `${at}/run-now`, "runs next")}>Run now</button>
            <button type="button" onClick={sure(`Cancel ${job.plan_name}?`, () => void act("DELETE", at, "cancelled"))}>Cancel</button>
            <Edit job={job} save={(changed) => void act("PATCH", at, "changed", changed)} />
          </>
        )}
        {job.state === "running" && <button type="button" onClick={() => void act("POST", `${at}/pause`, "pauses after this capture")}>Pause</button>}
        {job.state === "paused" && <button type="button" onClick={() => void act("POST", `${at}/resume`, "goes on")}>Go on</button>}
        {(job.state === "running" || job.state === "paused") && (
          <button type="button" onClick={sure(`Abort ${job.plan_name}? Outputs go off; what is captured is kept.`, () => void act("POST", `${at}/abort`, "aborted"))}>
            Abort
          </button>
        )}
        {(job.state === "interrupted" || job.state === "failed") && <button type="button" onClick={() => void act("POST", `${at}/resume`, "waits again")}>Resume</button>}
        {job.run_id && <button type="button" onClick={() => show(job.run_id, true)}>Show run</button>}
      </span>
      {job.error && <p class="warn">{job.error}</p>}
    </li>
  );
}

function Submit() {
  const text = useRef<HTMLTextAreaElement>(null);
  const submit = async (): Promise<void> => {
    const plan = text.current?.value ?? "";
    if ((await told(() => request("POST", "/jobs", { plan_text: plan }), "submitted")) && text.current) text.current.value = "";
    readQueue();
  };
  const choose = async (event: Event): Promise<void> => {
    const file = (event.target as HTMLInputElement).files?.[0];
    if (file && text.current) text.current.value = await file.text();
  };
  return (
    <details>
      <summary>Submit a plan</summary>
      <label>
        Plan file <input type="file" accept=".toml" onChange={(event) => void choose(event)} />
      </label>
      <label>
        Plan <textarea ref={text} rows={8} spellcheck={false} />
      </label>
      <button type="button" onClick={() => void submit()}>Submit</button>
    </details>
  );
}
