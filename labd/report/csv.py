"""The KPI table as tidy CSV: one row a figure, RFC 4180, full precision."""

from __future__ import annotations

import csv
import io
import math

from labd.records import KpiRecord, OperatingPoint
from labd.report.data import RunReport
from labd.report.tables import everything

COLUMNS = (
    *("run", "id", "at", "mode", "rate_hz", "supply_v", "model", "settings"),
    *("value", "unit", "u", "low", "high", "n", "provenance", "method", "captures", "flags", "note"),
)


def render(report: RunReport) -> str:
    """Header line, then every record once; an unknown number is an empty field, a list is joined by `;`. Lines end in CR LF."""
    points = {p.key: p for p in report.points}
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows(row(report.run.run_id, record, points.get(record.at)) for record in everything(report))
    return out.getvalue()


def row(run_id: str, record: KpiRecord, point: OperatingPoint | None) -> list[str]:
    where = ["", "", "", "", ""]
    if point is not None:
        settings = ";".join(f"{k}={v}" for k, v in sorted(point.settings.items()))
        where = [str(point.mode), repr(point.rate_hz), repr(point.supply_v), point.model, settings]
    numbers = [number(record.value), record.unit, number(record.u), number(record.low), number(record.high)]
    rest = [str(record.n), str(record.provenance), record.method, ";".join(record.captures), ";".join(record.flags), record.note]
    return [run_id, record.id, record.at, *where, *numbers, *rest]


def number(value: float | None) -> str:
    """The shortest text that reads back as the same float; empty for unknown and not-a-number, `inf` where an end is open."""
    return "" if value is None or math.isnan(value) else repr(float(value))
