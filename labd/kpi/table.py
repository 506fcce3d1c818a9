"""Every KPI that labd knows: the rows of the white paper's table 1.1 with corrected definitions, and what labd gives beside them."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from labd.kpi.units import alike
from labd.records import Provenance


class Domain(enum.StrEnum):
    """What a KPI tells about. MEASUREMENT: the measurement itself, which the paper's table leaves out."""

    TASK = "task"
    MODEL = "model"
    HARDWARE = "hardware"
    COMBINED = "combined"
    MEASUREMENT = "measurement"


@dataclass(frozen=True, slots=True)
class KpiRow:
    """One KPI. id: of the row, and of `labd kpis ID`. printed: the label in the paper's table, empty for what it lacks.

    formula: with the symbols in it explained. unit: UCUM code. obtained: by which command, capture or file. records: beginnings of the ids
    of KPI records that carry it; empty where a card or another part of the result does (`carried` then says which).
    needs: what a run has to have beside a marker, rates and three modes for its records to appear; empty: nothing. repaired: what the
    paper's table says otherwise.
    """

    id: str
    name: str
    domain: Domain
    printed: str
    definition: str
    formula: str
    unit: str
    provenance: tuple[Provenance, ...]
    obtained: str
    records: tuple[str, ...] = ()
    carried: str = ""
    needs: str = ""
    repaired: str = ""
    source: str = ""

    @property
    def measured(self) -> bool:
        return Provenance.MEASURED in self.provenance

    def carries(self, kpi: str) -> bool:
        """Whether a record of this id is of this row."""
        return any(begins(kpi, record) for record in self.records)


def begins(kpi: str, beginning: str) -> bool:
    """Whether an id is `beginning` or lies below it: `latency.pin.p95` below `latency.pin`, `power.peak[1ms]` below `power.peak`."""
    return kpi == beginning or (kpi.startswith(beginning) and kpi[len(beginning)] in ".[")


def rows(domain: Domain | None = None) -> tuple[KpiRow, ...]:
    """All rows, those of the paper's table first and in its order; or those of one domain."""
    from labd.kpi.table_hardware import COMBINED, HARDWARE  # they know this module's types
    from labd.kpi.table_models import MODEL, TASK
    from labd.kpi.table_more import MORE
    from labd.kpi.table_sweeps import SWEEPS

    return tuple(row for row in (*TASK, *MODEL, *HARDWARE, *COMBINED, *MORE, *SWEEPS) if domain is None or row.domain is domain)


def row_of(kpi: str) -> KpiRow | None:
    """The row of a KPI record, by the longest beginning that fits."""
    fitting = [(len(record), row) for row in rows() for record in row.records if begins(kpi, record)]
    return max(fitting, key=lambda one: one[0])[1] if fitting else None


def wrong_figure(kpi: str, unit: str) -> tuple[str, str] | None:
    """What is wrong with a figure that somebody gives, by its key (id or unit) and what would be right; None where nothing is."""
    row = row_of(kpi) or next((row for row in rows() if begins(kpi, row.id)), None)
    if row is None:
        return "id", f"no KPI has the id {kpi!r} (`labd kpis` lists them)"
    units = row.unit.split(", ")
    if any(alike(unit, one) for one in units):
        return None
    return "unit", f"expected the UCUM code of {kpi}, {' or '.join(units)}, or one with another prefix, got {unit!r}"


def ids() -> frozenset[str]:
    """Of rows and of records."""
    return frozenset(name for row in rows() for name in (row.id, *row.records))


def find(name: str) -> KpiRow | None:
    """The row that somebody asks for: by its id, by the id of a record, or by its name in the table; letters' case does not matter."""
    wanted = plain(name)
    by_name = next((row for row in rows() if wanted in (plain(row.id), plain(row.name), plain(row.printed))), None)
    return by_name or row_of(name.strip())


def plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
