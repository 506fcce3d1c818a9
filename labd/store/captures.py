"""The captures of a run: their states, and the marks and windows found in them."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

from labd.errors import NotFound, StoreError
from labd.records import CaptureState, Mark, Window
from labd.store.database import Database
from labd.store.folder import trace_name
from labd.store.jsonform import dump, from_json, load, to_json
from labd.store.rows import CaptureRow

JSON_COLUMNS = ("point", "plan", "acquisition", "flags")


class Captures:
    """State moves forward only: planned, recording, then finished, failed or interrupted (the last two also straight from planned); `again`
    begins anew."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, run_id: str) -> list[CaptureRow]:
        """In the order they were planned to be made."""
        return [_capture(row) for row in self._database.query('SELECT * FROM captures WHERE run_id = ? ORDER BY "order"', (run_id,))]

    def get(self, run_id: str, key: str) -> CaptureRow:
        """Raises NotFound."""
        rows = self._database.query("SELECT * FROM captures WHERE run_id = ? AND key = ?", (run_id, key))
        if not rows:
            raise NotFound(f"run {run_id} has no capture {key!r}")
        return _capture(rows[0])

    def begin(self, run_id: str, key: str, acquisition: object = None, *, now_ns: int | None = None) -> CaptureRow:
        """planned -> recording; the row returned names the trace file to write. acquisition: a record or mapping, kept as JSON."""
        row = self.get(run_id, key)
        self._move(row, CaptureState.RECORDING, (CaptureState.PLANNED,))
        self._database.execute(
            "UPDATE captures SET state = ?, started_ns = ?, acquisition = ?, trace = ? WHERE run_id = ? AND key = ?",
            (
                CaptureState.RECORDING,
                _now(now_ns),
                dump(acquisition or {}),
                trace_name(run_id, row.order, row.role, row.attempt),
                run_id,
                key,
            ),
        )
        return self.get(run_id, key)

    def learn(self, run_id: str, key: str, *, acquisition: object) -> None:
        """Replace what is known of a capture under way. Raises NotFound."""
        row = self.get(run_id, key)
        self._database.execute("UPDATE captures SET acquisition = ? WHERE run_id = ? AND key = ?", (dump(acquisition), run_id, row.key))

    def finish(self, run_id: str, key: str, *, samples: int, stretches: int, flags: Iterable[str] = (), now_ns: int | None = None) -> None:
        """recording -> finished."""
        self._move(self.get(run_id, key), CaptureState.FINISHED, (CaptureState.RECORDING,))
        self._database.execute(
            "UPDATE captures SET state = ?, ended_ns = ?, samples = ?, stretches = ?, flags = ? WHERE run_id = ? AND key = ?",
            (CaptureState.FINISHED, _now(now_ns), samples, stretches, dump(sorted(set(flags))), run_id, key),
        )

    def fail(self, run_id: str, key: str, error: str, *, interrupted: bool = False, samples: int = 0, now_ns: int | None = None) -> None:
        """planned or recording -> failed, or interrupted. samples: what the trace holds all the same."""
        state = CaptureState.INTERRUPTED if interrupted else CaptureState.FAILED
        self._move(self.get(run_id, key), state, (CaptureState.PLANNED, CaptureState.RECORDING))
        self._database.execute(
            "UPDATE captures SET state = ?, ended_ns = ?, error = ?, samples = ? WHERE run_id = ? AND key = ?",
            (state, _now(now_ns), error, samples, run_id, key),
        )

    def again(self, run_id: str, key: str) -> None:
        """failed or interrupted -> planned, for another attempt; the trace of the last one stays on disk beside the next."""
        row = self.get(run_id, key)
        self._move(row, CaptureState.PLANNED, (CaptureState.FAILED, CaptureState.INTERRUPTED))
        self._database.execute(
            "UPDATE captures SET state = ?, attempt = attempt + 1, started_ns = NULL, ended_ns = NULL, acquisition = '{}', trace = '', "
            "samples = 0, stretches = 0, flags = '[]', error = '' WHERE run_id = ? AND key = ?",
            (CaptureState.PLANNED, run_id, key),
        )

    def put_marks(self, run_id: str, key: str, marks: Sequence[Mark]) -> None:
        """Replace the capture's marks."""
        with self._database.transaction():
            self._database.execute("DELETE FROM marks WHERE run_id = ? AND capture = ?", (run_id, key))
            self._database.execute_many(
                "INSERT INTO marks (run_id, capture, n, kind, source, t_s, u_s, axis) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [(run_id, key, n, m.kind, m.source, m.t_s, m.u_s, m.axis) for n, m in enumerate(marks)],
            )

    def marks(self, run_id: str, key: str) -> list[Mark]:
        rows = self._database.query(
            "SELECT kind, source, t_s, u_s, axis FROM marks WHERE run_id = ? AND capture = ? ORDER BY n", (run_id, key)
        )
        return [from_json(Mark, dict(row)) for row in rows]

    def put_windows(self, run_id: str, key: str, windows: Sequence[Window]) -> None:
        """Replace the capture's windows."""
        names = [field.name for field in fields(Window)]
        with self._database.transaction():
            self._database.execute("DELETE FROM windows WHERE run_id = ? AND capture = ?", (run_id, key))
            self._database.execute_many(
                f"INSERT INTO windows (run_id, capture, n, {', '.join(names)}) VALUES (?, ?, ?, {', '.join('?' * len(names))})",
                [(run_id, key, n, *to_json(window).values()) for n, window in enumerate(windows)],
            )

    def windows(self, run_id: str, key: str) -> list[Window]:
        rows = self._database.query(
            "SELECT phase, start_s, end_s, u_start_s, u_end_s, stretch, event FROM windows WHERE run_id = ? AND capture = ? ORDER BY n",
            (run_id, key),
        )
        return [from_json(Window, dict(row)) for row in rows]

    def _move(self, row: CaptureRow, state: CaptureState, allowed: tuple[CaptureState, ...]) -> None:
        if row.state not in allowed:
            raise StoreError(f"capture {row.key} of run {row.run_id} is {row.state} and cannot become {state}")


def _capture(row: sqlite3.Row) -> CaptureRow:
    data: dict[str, Any] = {field.name: row[field.name] for field in fields(CaptureRow)}
    for name in JSON_COLUMNS:
        data[name] = load(data[name], f"{name} of capture {row['key']!r} of run {row['run_id']}")
    return from_json(CaptureRow, data)


def _now(now_ns: int | None) -> int:
    return time.time_ns() if now_ns is None else now_ns
