// The run that is shown: progress, power against rate and figures as they come.
import { useEffect, useState } from "preact/hooks";
import { curves } from "../figures/curves.ts";
import { progress } from "../figures/progress.ts";
import { duration } from "../format/si.ts";
import { captures, kpis, runs, show, shownRun } from "../state/bench.ts";
import { Figures } from "./figures.tsx";
import { Rates } from "./rates.tsx";

const TICK_MS = 5000; // how often the time left is told anew

export function Run() {
  const found = curves(kpis.value);
  return (
    <section aria-label="Run">
      <h2>Run {shownRun.value}</h2>
      <label>
        Show{" "}
        <select value={shownRun.value} onChange={(event) => show((event.target as HTMLSelectElement).value, true)}>
          {runs.value.map((run) => (
            <option key={run.id} value={run.id}>{`${run.id} · ${run.state}`}</option>
          ))}
        </select>
      </label>
      {captures.value.length > 0 && <Progress />}
      {shownRun.value && <p><a href={`api/v1/runs/${shownRun.value}/report?format=html`} target="_blank" rel="noreferrer">Report</a></p>}
      {found.length > 0 && <Rates curves={found} />}
      <Figures />
    </section>
  );
}

function Progress() {
  const [now_ms, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = window.setInterval(() => setNow(Date.now()), TICK_MS);
    return () => window.clearInterval(timer);
  }, []);
  const { done, failed, all, present, left_s } = progress(captures.value, now_ms * 1e6);
  return (
    <p data-testid="progress">
      <progress max={all} value={done} aria-label="captures done" /> {done} of {all} captures
      {failed > 0 && <span class="warn"> · {failed} failed</span>}
      {left_s !== null && ` · about ${duration(left_s)} left`}
      {present && <><br /><span class="quiet">now {present.key}</span></>}
    </p>
  );
}
