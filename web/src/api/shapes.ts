// The JSON shapes of the API that this page reads; docs/reference/openapi.json is the full document.

export interface Job {
  readonly id: string;
  readonly state: "queued" | "running" | "paused" | "finished" | "failed" | "interrupted" | "cancelled";
  readonly position: number;
  readonly priority: number;
  readonly plan_name: string;
  readonly submitted_by: string;
  readonly not_before_ns: number | null;
  readonly urgent: boolean;
  readonly recurrence: string;
  readonly zone: string;
  readonly note: string;
  readonly tags: readonly string[];
  readonly run_id: string;
  readonly error: string;
  readonly estimate_s: number | null;
}

export interface Lease {
  readonly who: string;
  readonly until_ns: number;
  readonly purpose: string;
}

export interface Run {
  readonly id: string;
  readonly state: string;
  readonly created_ns: number;
  readonly ended_ns: number | null;
  readonly bench_name?: string;
  readonly plan_name: string;
  readonly error: string;
  readonly notes?: string;
  readonly tags?: readonly string[];
}

export interface Capture {
  readonly key: string;
  readonly role: string;
  readonly order: number;
  readonly repeat: number;
  readonly plan: { readonly duration_s?: number };
  readonly state: string;
  readonly samples: number;
  readonly stretches: number;
  readonly started_ns: number | null;
  readonly ended_ns: number | null;
  readonly error: string;
}

/** How switching one source off went. discharged: null where the source cannot see it. */
export interface OffResult {
  readonly source: string;
  readonly off: boolean;
  readonly discharged: boolean | null;
  readonly text: string;
}

export interface Stretch {
  readonly stretch: number;
  readonly t0_ns: number;
  readonly dt_ns: number;
  readonly length: number;
  readonly trigger: boolean;
  readonly flags: readonly string[];
}

export interface Kpi {
  readonly id: string;
  readonly at: string;
  readonly value: number | null;
  readonly unit: string;
  readonly low: number | null;
  readonly high: number | null;
  readonly n: number;
  readonly provenance: string;
  readonly method: string;
  readonly captures: readonly string[];
  readonly flags: readonly string[];
  readonly note: string;
}

export interface News {
  readonly t_ns: number;
  readonly kind: string;
  readonly text: string;
  readonly run: string;
  readonly capture: string;
  readonly job: string;
  readonly data: Readonly<Record<string, unknown>>;
}
