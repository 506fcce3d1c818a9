// The bench as the daemon tells it: status, queue, runs, notices; kept current by news.
import { computed, signal } from "@preact/signals";
import { request } from "../api/request.ts";
import type { Capture, Job, Kpi, Lease, News, Run } from "../api/shapes.ts";
import { Socket } from "../api/socket.ts";
import { inBackground } from "./background.ts";
import { outcome, stop } from "./stop.ts";

export interface Status {
  readonly bench?: string | { readonly name?: string };
  readonly in_use_by?: string;
  readonly guard?: boolean | null;
  readonly alarms?: readonly string[];
  readonly queue?: {
    readonly paused: boolean;
    readonly why_paused: string;
    readonly job: string;
    readonly lease: Lease | null;
  };
}

const NOTICES = 30;
const RUNS = 25;
/** Kinds of news after which lists are read anew. */
const QUEUE_NEWS = new Set(["queue", "lease", "run_started", "run_resumed", "run_paused", "run_continued", "run_ended"]);
const RUN_NEWS = new Set(["run_started", "run_resumed", "run_ended"]);
const CAPTURE_NEWS = new Set(["capture_started", "capture_ended", "run_started", "run_resumed", "run_ended"]);
/** Kinds of news after which the status says something else. */
const STATUS_NEWS = new Set(["guard", "alarm", "bench"]);
const TELLING = new Set(["notice", "alarm", "guard", "bench", "run_started", "run_ended", "run_paused", "run_continued"]);

export const status = signal<Status>({});
export const jobs = signal<readonly Job[]>([]);
export const runs = signal<readonly Run[]>([]);
export const notices = signal<readonly News[]>([]);
export const captures = signal<readonly Capture[]>([]);
export const kpis = signal<readonly Kpi[]>([]);
/** The run the page shows: the one under way, or a past one that was picked. */
export const shownRun = signal("");
export const picked = signal(false);

export const benchName = computed(() => {
  const { bench } = status.value;
  return typeof bench === "string" ? bench : (bench?.name ?? "");
});

/** What stands against the bench until somebody has looked. */
export const alarms = computed(() => [
  ...(status.value.guard === false ? ["The guard is lost: nothing switches outputs off if the daemon dies."] : []),
  ...new Set(status.value.alarms ?? []),
]);

export const news = new Socket("/news", (data) => {
  const item: unknown = JSON.parse(String(data));
  if (isNews(item)) heed(item);
  else startFrom(item as Status);
});

export function show(run: string, byHand: boolean): void {
  picked.value = byHand;
  if (run === shownRun.value) return;
  shownRun.value = run;
  captures.value = [];
  kpis.value = [];
  if (run) {
    readCaptures();
    readKpis();
  }
}

export const readQueue = inBackground(async () => {
  jobs.value = listed<Job>(await request("GET", "/jobs"), "jobs");
  status.value = await request<Status>("GET", "/status");
});

const readStatus = inBackground(async () => {
  status.value = await request<Status>("GET", "/status");
});

export const readRuns = inBackground(async () => {
  runs.value = listed<Run>(await request("GET", `/runs?limit=${RUNS}`), "runs");
  const newest = runs.value[0];
  if (newest && !shownRun.value) show(newest.id, false);
});

const readCaptures = inBackground(async () => {
  const run = shownRun.value;
  const rows = listed<Capture>(await request("GET", `/runs/${run}/captures`), "captures");
  if (run === shownRun.value) captures.value = rows;
});

const readKpis = inBackground(async () => {
  const run = shownRun.value;
  const rows = listed<Kpi>(await request("GET", `/runs/${run}/kpis`), "kpis");
  if (run === shownRun.value) kpis.value = rows;
});

function startFrom(snapshot: Status): void {
  status.value = snapshot;
  readQueue();
  readRuns();
}

function heed(item: News): void {
  if (item.kind === "status") return startFrom(item.data as Status);
  if (TELLING.has(item.kind)) notices.value = [item, ...notices.value].slice(0, NOTICES);
  if ((item.kind === "run_started" || item.kind === "run_resumed") && !picked.value) show(item.run, false);
  if (item.kind === "bench" && "sources" in item.data) stop.value = outcome(item.data["sources"], item.text);
  if (STATUS_NEWS.has(item.kind)) readStatus();
  if (QUEUE_NEWS.has(item.kind)) readQueue();
  if (RUN_NEWS.has(item.kind)) readRuns();
  if (item.run !== shownRun.value) return;
  if (CAPTURE_NEWS.has(item.kind)) readCaptures();
  if (item.kind === "kpis") readKpis();
}

function isNews(item: unknown): item is News {
  return typeof item === "object" && item !== null && "kind" in item;
}

/** A list, whether the API sends it bare or as a member of an object. */
function listed<T>(answer: unknown, name: string): T[] {
  if (Array.isArray(answer)) return answer as T[];
  const inner = (answer as Record<string, unknown> | null)?.[name] ?? (answer as Record<string, unknown> | null)?.["items"];
  return Array.isArray(inner) ? (inner as T[]) : [];
}
