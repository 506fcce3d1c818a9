// The KPI table: every figure of the run, by operating point, also one that has no value.
import { groups, provisional, type Row } from "../figures/groups.ts";
import { captures, kpis } from "../state/bench.ts";

export function Figures() {
  const found = groups(kpis.value, captures.value);
  if (!found.length) return <p class="quiet">No figures yet; they come as captures finish.</p>;
  return (
    <>
      <h3>Figures</h3>
      {provisional(kpis.value) && <p class="quiet">Provisional until the run has ended.</p>}
      <table class="figures">
        <thead>
          <tr><th scope="col">figure</th><th scope="col">value ± U95</th></tr>
        </thead>
        {found.map((group) => (
          <tbody key={group.at}>
            <tr><th scope="rowgroup" colSpan={2} class="at">{group.at}</th></tr>
            {group.rows.map((row) => <Line key={row.key} row={row} />)}
          </tbody>
        ))}
      </table>
    </>
  );
}

function Line({ row }: { readonly row: Row }) {
  return (
    <tr>
      <th scope="row"><Breakable text={row.id} />{row.source && <small class="quiet"> {row.source}</small>}</th>
      <td>
        <span class={row.known ? "number" : "quiet"}>{row.text}</span>
        {row.remarks && <small class="quiet"> {row.remarks}</small>}
      </td>
    </tr>
  );
}

/** A long id may go on in the next line, after a full stop or an underscore, so that its value stays on the screen. */
function Breakable({ text }: { readonly text: string }) {
  return <>{text.split(/(?<=[._])/).map((part, k) => (k ? [<wbr key={k} />, part] : part))}</>;
}
