"""The KPI records of a run, stored whole and read back to the same bits."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from labd.records import KpiRecord
from labd.store.database import Database
from labd.store.jsonform import dump, from_json, load, to_json

COLUMNS = tuple(field.name for field in fields(KpiRecord))
JSON_COLUMNS = ("captures", "budget", "flags")


class Kpis:
    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, run_id: str, records: Sequence[KpiRecord]) -> None:
        """Replace all KPIs of a run. Raises StoreError for a figure that is not finite."""
        rows = [(run_id, position, *_values(record)) for position, record in enumerate(records)]
        with self._database.transaction():
            self._database.execute("DELETE FROM kpis WHERE run_id = ?", (run_id,))
            self._database.execute_many(
                f"INSERT INTO kpis (run_id, position, {', '.join(COLUMNS)}) VALUES (?, ?, {', '.join('?' * len(COLUMNS))})", rows
            )

    def of(self, run_id: str) -> list[KpiRecord]:
        """In the order they were put."""
        return [_record(row) for row in self._database.query("SELECT * FROM kpis WHERE run_id = ? ORDER BY position", (run_id,))]


def _values(record: KpiRecord) -> list[object]:
    data = to_json(record)
    return [dump(data[name]) if name in JSON_COLUMNS else data[name] for name in COLUMNS]


def _record(row: sqlite3.Row) -> KpiRecord:
    data: dict[str, Any] = {name: row[name] for name in COLUMNS}
    for name in JSON_COLUMNS:
        data[name] = load(data[name], f"{name} of figure {row['id']!r} of run {row['run_id']}")
    return from_json(KpiRecord, data)
