// The queue with its controls, and the lease.
import { useRef } from "preact/hooks";
import { request } from "../api/request.ts";
import type { Job } from "../api/shapes.ts";
import { duration, instant } from "../format/si.ts";
import { jobs, readQueue, show, status } from "../state/bench.ts";
import { told } from "../state/tell.ts";

async function act(method: string, path: string, done: string, body?: unknown): Promise<void> {
  if (await told(() => request(method, path, body), done)) readQueue();
}

function sure(text: string, then: () => void): () => void {
  return () => {
    if (window.confirm(text)) then();
  };
}

export function Queue() {
  const paused = status.value.queue?.paused ?? false;
  return (
    <section aria-label="Queue">
      <h2>Queue</h2>
      <div class="bar">
        <button type="button" onClick={() => void act("POST", paused ? "/queue/resume" : "/queue/pause", paused ? "the queue goes on" : "the queue is paused")}>
          {paused ? "Let the queue go on" : "Pause the queue"}
        </button>
        {paused && <span class="warn">paused: {status.value.queue?.why_paused}</span>}
        {status.value.queue?.lease && <span class="warn">reserved by {status.value.queue.lease.who} until {instant(status.value.queue.lease.until_ns)}</span>}
      </div>
      <Submit />
      <ul class="jobs">
        {jobs.value.map((job) => (
          <Row key={job.id} job={job} />
        ))}
      </ul>
      {jobs.value.length === 0 && <p class="quiet">No jobs.</p>}
    </section>
  );
}

function Row({ job }: { readonly job: Job }) {
  const at = `/jobs/${job.id}`;
  return (
    <li class={`job ${job.state}`} data-job={job.id}>
      <span class="name">{job.plan_name}</span> <span class="tag">{job.state}</span>{" "}
      <span class="quiet">
        {job.submitted_by}
        {job.estimate_s === null ? "" : ` · ${duration(job.estimate_s)}`}
        {job.not_before_ns ? ` · not before ${instant(job.not_before_ns)}` : ""}
        {job.recurrence ? ` · every ${job.recurrence} ${job.zone}` : ""}
      </span>
      <span class="buttons">
        {job.state === "queued" && (
          <>
            <button type="button" onClick={() => void act("POST", `${at}/move`, "moved first", { where: "first" })}>First</button>
            <button type="button" onClick={() => void act("POST", `${at}/move`, "moved last", { where: "last" })}>Last</button>
            <button type="button" onClick={() => void act("POST", `${at}/run-now`, "runs next")}>Run now</button>
            <button type="button" onClick={sure(`Cancel ${job.plan_name}?`, () => void act("DELETE", at, "cancelled"))}>Cancel</button>
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
