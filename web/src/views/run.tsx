// The run that is shown: progress, figures as they come, power against rate.
import { figure } from "../format/figure.ts";
import { captures, kpis, runs, show, shownRun } from "../state/bench.ts";
import { rates, Rates } from "./rates.tsx";

export function Run() {
  const done = captures.value.filter((one) => one.state === "finished").length;
  const failed = captures.value.filter((one) => one.state === "failed");
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
      {captures.value.length > 0 && (
        <p>
          <progress max={captures.value.length} value={done} aria-label="captures done" /> {done} of {captures.value.length} captures
          {failed.length > 0 && <span class="warn"> · {failed.length} failed</span>}
        </p>
      )}
      {shownRun.value && <p><a href={`api/v1/runs/${shownRun.value}/report?format=html`} target="_blank" rel="noreferrer">Report</a></p>}
      {rates(kpis.value).length > 0 && <Rates />}
      <Figures />
    </section>
  );
}

function Figures() {
  const rows = kpis.value.filter((kpi) => kpi.value !== null);
  if (!rows.length) return <p class="quiet">No figures yet; they come as captures finish.</p>;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Figures">
      <table>
        <thead>
          <tr><th scope="col">figure</th><th scope="col">at</th><th scope="col">value ± U95</th><th scope="col">remarks</th></tr>
        </thead>
        <tbody>
          {rows.map((kpi) => {
            const shown = figure(kpi);
            return (
              <tr key={`${kpi.id} ${kpi.at}`}>
                <th scope="row">{kpi.id}</th>
                <td>{kpi.at}</td>
                <td class="number">{`${shown.value} ${shown.u95} ${shown.unit}`}</td>
                <td class="quiet">{kpi.flags.join("; ")}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

