"""The reference page of the KPIs, made from their table."""

from __future__ import annotations

from labd.kpi.table import Domain, KpiRow, rows

PAGE = "docs/reference/kpis.md"
_INTRO = """# The KPIs

Every row of table 1.1 of "Benchmarking neuromorphic computing for inference" with the definition that its printed rows meant, and what labd
gives beside them. `labd kpis` prints the table, `labd kpis ID` one row, `GET /api/v1/kpis` gives it to programs. An operation is half a
multiply-accumulate. Provenance: measured on the bench, computed from files or from other figures, declared on a card, estimated by others.

This page is made by `python -m labd.cli.kpis_page`."""


def page() -> str:
    """Markdown, a section a domain."""
    return "\n\n".join([_INTRO, *(_section(domain) for domain in Domain)]) + "\n"


def _section(domain: Domain) -> str:
    lines = ["| id | KPI | definition | formula | unit | provenance | how labd obtains it | records |", "|---|---|---|---|---|---|---|---|"]
    lines += [_row(row) for row in rows(domain)]
    repaired = [f"- {row.name}: {row.repaired}." for row in rows(domain) if row.repaired]
    more = ["", "Where the printed table says otherwise:", "", *repaired] if repaired else []
    return "\n".join([f"## {domain.capitalize()}", "", *lines, *more])


def _row(row: KpiRow) -> str:
    needs = f" Needs {row.needs}." if row.needs else ""
    records = ", ".join(f"`{record}`" for record in row.records) or row.carried
    cells = (f"`{row.id}`", row.name, row.definition, row.formula, row.unit, ", ".join(row.provenance), row.obtained + "." + needs, records)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
