"""`labd kpis`: what each figure is, and how labd comes by it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from labd.cli.bench_option import named
from labd.cli.json_option import Json, print_json
from labd.cli.runs import PIPED_WIDTH
from labd.client.connection import Connection, answer
from labd.client.generated.api.bench import kpis as kpis_there
from labd.config.problems import nearest
from labd.errors import NotFound
from labd.kpi.table import Domain, KpiRow, find, rows
from labd.store.jsonform import from_json


def register(app: typer.Typer) -> None:
    app.command("kpis")(kpis)


def kpis(
    context: typer.Context,
    kpi: Annotated[str | None, typer.Argument(help="One KPI, by its id, the id of a record, or its name: all about it.")] = None,
    domain: Annotated[Domain | None, typer.Option("--domain", help="Only those of this domain.")] = None,
    as_json: Json = False,
) -> None:
    """List every KPI with definition, unit, provenance and how labd obtains it; that of the daemon named with --bench, where one is."""
    daemon = named(context)
    found = rows() if daemon is None else _there(daemon)
    if kpi is not None:
        one = next((row for row in found if (known := find(kpi)) and row.id == known.id), None)
        if one is None:
            names = [name for row in found for name in (row.id, row.name, *row.records)]
            near = nearest(kpi, names) or _by_its_word(kpi, names)
            hint = f"did you mean {near!r}?" if near else f"labd kpis lists them: {', '.join(row.id for row in found)}"
            raise NotFound(f"no KPI is called {kpi!r}; {hint}")
        found = (one,)
    found = tuple(row for row in found if domain is None or row.domain is domain)
    if as_json:
        print_json(found)
    elif kpi is not None:
        print("\n".join(line for row in found for line in explained(row)))
    else:
        console = Console()
        if not console.is_terminal:
            console = Console(width=PIPED_WIDTH)
        console.print(table(found))


def _by_its_word(kpi: str, names: Sequence[str]) -> str | None:
    """By the word before the first dot: `enrgy.x` is near to `energy_per_inference`, the most asked for of those that begin so."""
    first: dict[str, str] = {}
    for name in sorted(names, key=lambda name: name != "energy_per_inference"):
        first.setdefault(re.split(r"[._ ]", name)[0], name)
    near = nearest(kpi.partition(".")[0], first) if "." in kpi else None
    return None if near is None else first[near]


def _there(daemon: Connection) -> tuple[KpiRow, ...]:
    with daemon:
        return tuple(from_json(KpiRow, one.to_dict()) for one in answer(kpis_there.sync_detailed(client=daemon.client)))


def table(found: Sequence[KpiRow]) -> Table:
    """One line a KPI."""
    made = Table(show_lines=True)
    for name in ("id", "domain", "definition", "unit", "provenance", "how labd obtains it"):
        made.add_column(name, overflow="fold", no_wrap=name == "id")
    for row in found:
        cells = (row.id, str(row.domain), row.definition, row.unit, ", ".join(row.provenance), row.obtained)
        made.add_row(*(Text(cell) for cell in cells))
    return made


def explained(row: KpiRow) -> Iterator[str]:
    """All about one KPI, a line each."""
    yield f"{row.name} ({row.id}), {row.domain} KPI"
    yield row.definition
    told = {
        "formula": row.formula,
        "unit": row.unit,
        "provenance": ", ".join(row.provenance),
        "obtained": row.obtained,
        "records": ", ".join(row.records),
        "carried by": row.carried,
        "needs": row.needs,
        "in the paper's table 1.1": row.printed or "not there",
        "repaired": row.repaired,
        "source": row.source,
    }
    yield from (f"    {name}: {text}" for name, text in told.items() if text)
