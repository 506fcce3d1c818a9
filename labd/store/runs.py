"""The runs of a catalogue and their log of events."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from labd.errors import NotFound, StoreError, WrongState
from labd.records import CaptureState, Event
from labd.store.captures import Captures
from labd.store.database import Database
from labd.store.jobs import JobState, job_to_go_on
from labd.store.jsonform import dump, from_json, load
from labd.store.rows import NewRun, PlannedCapture, RunAge, RunRow, RunState, RunSummary, StoredEvent, new_run_id

JSON_COLUMNS = ("bench_effective", "plan_expanded", "cards", "seeds", "versions", "environment", "instruments")
PLAIN_COLUMNS = ("bench_name", "bench_text", "board_text", "plan_name", "plan_text", "firmware_sha256", "job")
SUMMARY = ", ".join(field.name for field in fields(RunSummary) if field.name not in ("tags", "captures", "complete"))
TAGS = "(SELECT json_group_array(tag) FROM run_tags WHERE run_id = runs.id) AS tags"
COUNTS = (
    "(SELECT json_group_object(state, made) FROM "
    "(SELECT state, count(*) AS made FROM captures WHERE run_id = runs.id GROUP BY state)) AS captures"
)
TAGGED = "id IN (SELECT run_id FROM run_tags WHERE tag = ?)"
RESUMABLE = (RunState.INTERRUPTED, RunState.FAILED)


class Runs:
    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, new: NewRun, captures: Sequence[PlannedCapture], *, now_ns: int | None = None) -> RunRow:
        """Store a run with its whole expansion in one transaction, state `running`. Raises StoreError for a key or order used twice."""
        created_ns = time.time_ns() if now_ns is None else now_ns
        run_id = new_run_id(new.bench_name, created_ns)
        values: dict[str, object] = {
            "id": run_id,
            "state": RunState.RUNNING,
            "created_ns": created_ns,
            "bench_sha256": _sha256(new.bench_text),
            "plan_sha256": _sha256(new.plan_text),
            "error": "",
        }
        values |= {name: getattr(new, name) for name in PLAIN_COLUMNS}
        values |= {name: dump(getattr(new, name)) for name in JSON_COLUMNS}
        marks = ", ".join("?" * len(values))
        with self._database.transaction():
            self._database.execute(f"INSERT INTO runs ({', '.join(values)}) VALUES ({marks})", tuple(values.values()))
            self._plan(run_id, captures)
        return self.get(run_id)

    def extend(self, run_id: str, captures: Sequence[PlannedCapture]) -> None:
        """More captures of a run that decides on its way how many it takes. Raises StoreError for a key or order used twice."""
        with self._database.transaction():
            self._plan(run_id, captures)

    def get(self, run_id: str) -> RunRow:
        """The run of this id, or of the only id that begins or ends with it; `latest` is the newest. Raises NotFound."""
        return _run(self._newest(f"*, {TAGS}", 1, {"id = ?": self.resolve(run_id)})[0])

    def resolve(self, run_id: str) -> str:
        """The id of the run that `get` gives, also where its row cannot be read. Raises NotFound."""
        ids = self._matching(run_id)
        if len(ids) > 1:
            raise NotFound(f"run {run_id!r} is ambiguous: {', '.join(ids[:5])}")
        if not ids:
            newest = self._newest("id", 3, {})
            known = f"the newest are {', '.join(row['id'] for row in newest)}" if newest else "there are no runs yet"
            raise NotFound(f"there is no run {run_id!r} in {self._database.path}; {known}")
        return ids[0]

    def ids(self) -> frozenset[str]:
        return frozenset(row["id"] for row in self._database.query("SELECT id FROM runs"))

    def ages(self) -> list[RunAge]:
        """Of every run, oldest first; nothing else of it is read."""
        rows = self._database.query(
            f"SELECT id, created_ns, state = ? AS going_on, {TAGS} FROM runs ORDER BY created_ns", (RunState.RUNNING,)
        )
        return [RunAge(row["id"], row["created_ns"], going_on=bool(row["going_on"]), tags=_tags(row)) for row in rows]

    def summaries(self, *, limit: int = 1000, state: RunState | None = None, tag: str | None = None) -> list[RunSummary]:
        """Newest first, of those that match; one query, and no file, plan or card is read."""
        return [_summary(row) for row in self._newest(f"{SUMMARY}, {TAGS}, {COUNTS}", limit, {"state = ?": state, TAGGED: tag})]

    def summary(self, run_id: str) -> RunSummary:
        """Raises NotFound."""
        return _summary(self._newest(f"{SUMMARY}, {TAGS}, {COUNTS}", 1, {"id = ?": self.resolve(run_id)})[0])

    def newest(
        self, *, limit: int = 1000, state: RunState | None = None, tag: str | None = None, bench: str | None = None, job: str | None = None
    ) -> list[RunRow]:
        """Newest first, of those that match."""
        wanted = {"state = ?": state, "bench_name = ?": bench, "job = ?": job, TAGGED: tag}
        return [_run(row) for row in self._newest(f"*, {TAGS}", limit, wanted)]

    def to_resume(self, run_id: str) -> RunRow:
        """A run that a new job may go on with. Raises NotFound, WrongState where `reopen` would or a job does so already."""
        run = self.get(run_id)
        if job := job_to_go_on(self._database, run.id):
            raise WrongState(f"job {job['id']} ({job['state']}) goes on with run {run.id} already")
        if run.state not in RESUMABLE:
            raise _not_resumable(run)
        return run

    def reopen(self, run_id: str) -> list[str]:
        """An interrupted or failed run goes on: back to running, what it has not finished back to planned.

        Returns the keys to do, in order. Raises WrongState for a run in another state.
        """
        run = self.get(run_id)
        captures = Captures(self._database)
        with self._database.transaction():
            changed = self._database.execute(
                "UPDATE runs SET state = ?, ended_ns = NULL, error = '' WHERE id = ? AND state IN (?, ?)",
                (RunState.RUNNING, run.id, *RESUMABLE),
            )
            if changed != 1:
                raise _not_resumable(run)
            for row in captures.of(run.id):
                if row.state in (CaptureState.FAILED, CaptureState.INTERRUPTED):
                    captures.again(run.id, row.key)
        return [row.key for row in captures.of(run.id) if row.state is CaptureState.PLANNED]

    def delete(self, run_id: str) -> None:
        """Every row of a run that has ended. The caller removes its traces afterwards: a folder without rows is swept,
        rows without traces would lie. Only the whole id names what is gone for good. Raises NotFound, WrongState for a run that goes on,
        or that a job is to go on with."""
        if (found := self.resolve(run_id)) != run_id:
            raise NotFound(f"no run has the id {run_id!r}; to delete {found}, give the whole of it")
        with self._database.transaction():
            if self._database.execute("DELETE FROM runs WHERE id = ? AND state <> ?", (found, RunState.RUNNING)) != 1:
                raise WrongState(f"run {found} is going on; abort it first")
            if job := job_to_go_on(self._database, found):  # else it would fail at its turn, and what it needed be gone
                command = "cancel" if job["state"] == JobState.QUEUED else "abort"
                raise WrongState(f"job {job['id']} ({job['state']}) goes on with run {found}; `labd {command} {job['id']}` first")

    def end(self, run_id: str, state: RunState, *, error: str = "", now_ns: int | None = None) -> None:
        """Finish a running run. Captures still recording become interrupted. Raises StoreError when it is not running."""
        if state is RunState.RUNNING:
            raise ValueError("a run does not end in state running")
        ended_ns = time.time_ns() if now_ns is None else now_ns
        with self._database.transaction():
            changed = self._database.execute(
                "UPDATE runs SET state = ?, ended_ns = ?, error = ? WHERE id = ? AND state = ?",
                (state, ended_ns, error, run_id, RunState.RUNNING),
            )
            if changed != 1:
                raise StoreError(f"run {run_id} cannot become {state}: it is {self.get(run_id).state}")
            self._database.execute(
                "UPDATE captures SET state = ?, ended_ns = ?, error = ? WHERE run_id = ? AND state = ?",
                (CaptureState.INTERRUPTED, ended_ns, error or "the run ended", run_id, CaptureState.RECORDING),
            )

    def learn(
        self,
        run_id: str,
        *,
        instruments: Mapping[str, Any] | None = None,
        firmware_sha256: str | None = None,
        environment: Any = None,
        plan_expanded: Mapping[str, Any] | None = None,
    ) -> None:
        """Replace facts that are known only once the bench is open, or on the way."""
        given = {"instruments": instruments, "environment": environment, "plan_expanded": plan_expanded}
        values: dict[str, object] = {name: dump(value) for name, value in given.items() if value is not None}
        if firmware_sha256 is not None:
            values["firmware_sha256"] = firmware_sha256
        if values:
            columns = ", ".join(f"{name} = ?" for name in values)
            self._changed(run_id, self._database.execute(f"UPDATE runs SET {columns} WHERE id = ?", (*values.values(), run_id)))

    def disclosed(self, run_id: str, untold: Sequence[str]) -> None:
        """Which keys of cards nobody filled in, once the run has its figures."""
        self._changed(run_id, self._database.execute("UPDATE runs SET untold = ? WHERE id = ?", (dump(list(untold)), run_id)))

    def annotate(self, run_id: str, *, notes: str | None = None, add_tags: Iterable[str] = (), remove_tags: Iterable[str] = ()) -> None:
        """A person's own words about a run; they change no result."""
        run_id = self.resolve(run_id)
        with self._database.transaction():
            if notes is not None:
                self._database.execute("UPDATE runs SET notes = ? WHERE id = ?", (notes, run_id))
            self._database.execute_many("INSERT OR IGNORE INTO run_tags (run_id, tag) VALUES (?, ?)", [(run_id, tag) for tag in add_tags])
            self._database.execute_many("DELETE FROM run_tags WHERE run_id = ? AND tag = ?", [(run_id, tag) for tag in remove_tags])

    def interrupt_orphans(self, bench_name: str) -> list[str]:
        """Runs of this bench left `running` by a process that died become `interrupted`. Call it only while holding the bench lock."""
        rows = self._database.query("SELECT id FROM runs WHERE bench_name = ? AND state = ?", (bench_name, RunState.RUNNING))
        for row in rows:
            self.end(row["id"], RunState.INTERRUPTED, error="the process that ran it died")
        return [str(row["id"]) for row in rows]

    def log(self, run_id: str, event: Event) -> None:
        """Append to the run's log."""
        self._database.execute(
            "INSERT INTO events (run_id, n, t_ns, kind, text, capture) "
            "SELECT ?, (SELECT coalesce(max(n), -1) + 1 FROM events WHERE run_id = ?), ?, ?, ?, ?",
            (run_id, run_id, event.t_ns, event.kind, event.text, event.capture),
        )

    def events(self, run_id: str) -> list[Event]:
        """In the order they were logged."""
        rows = self._database.query("SELECT * FROM events WHERE run_id = ? ORDER BY n", (run_id,))
        return [_event(row) for row in rows]

    def events_after(self, last_id: int, *, limit: int) -> list[StoredEvent]:
        """Events of all runs after the one with this id, in the order they were logged."""
        rows = self._database.query("SELECT * FROM events WHERE id > ? ORDER BY id LIMIT ?", (last_id, limit))
        return [StoredEvent(row["id"], row["run_id"], row["n"], _event(row)) for row in rows]

    def newest_event(self) -> int:
        """Id of the last event of all, 0 before the first."""
        return int(self._database.query("SELECT coalesce(max(id), 0) FROM events")[0][0])

    def _matching(self, run_id: str) -> list[str]:
        if run_id == "latest":
            return [row["id"] for row in self._newest("id", 1, {})]
        rows = self._database.query(
            "SELECT id FROM runs WHERE id = ?1 OR (?1 <> '' AND (substr(id, 1, length(?1)) = ?1 OR substr(id, -length(?1)) = ?1)) "
            "ORDER BY id",
            (run_id,),
        )
        ids = [str(row["id"]) for row in rows]
        return [run_id] if run_id in ids else ids

    def _newest(self, columns: str, limit: int, wanted: Mapping[str, object]) -> list[sqlite3.Row]:
        """wanted: terms of WHERE with the value each takes; None: not asked for."""
        given = {term: value for term, value in wanted.items() if value is not None}
        where = f"WHERE {' AND '.join(given)} " if given else ""
        return self._database.query(
            f"SELECT {columns} FROM runs {where}ORDER BY created_ns DESC, id DESC LIMIT ?", (*given.values(), limit)
        )

    def _plan(self, run_id: str, captures: Sequence[PlannedCapture]) -> None:
        rows = [(run_id, c.key, c.role, dump(c.point), c.order, c.repeat, dump(c.plan), CaptureState.PLANNED) for c in captures]
        self._database.execute_many(
            'INSERT INTO captures (run_id, key, role, point, "order", repeat, plan, state, '
            "acquisition, trace, samples, stretches, flags, error) VALUES (?, ?, ?, ?, ?, ?, ?, ?, '{}', '', 0, 0, '[]', '')",
            rows,
        )

    def _changed(self, run_id: str, count: int) -> None:
        if count != 1:
            raise NotFound(f"there is no run {run_id!r} in {self._database.path}")


def _not_resumable(run: RunRow) -> WrongState:
    return WrongState(f"run {run.id} is {run.state}; only an interrupted or failed run can be resumed")


def _event(row: sqlite3.Row) -> Event:
    return Event(t_ns=row["t_ns"], kind=row["kind"], text=row["text"], capture=row["capture"])


def _tags(row: sqlite3.Row) -> tuple[str, ...]:
    return tuple(sorted(load(row["tags"], f"tags of run {row['id']}")))


def _summary(row: sqlite3.Row) -> RunSummary:
    given = {field.name: row[field.name] for field in fields(RunSummary) if field.name != "complete"}
    untold = None if row["untold"] is None else load(row["untold"], f"what is not told of run {row['id']}")
    given |= {"untold": untold, "complete": None if untold is None else not untold}
    made = {str(state): 0 for state in CaptureState} | load(row["captures"], f"captures of run {row['id']}")
    return from_json(RunSummary, given | {"tags": list(_tags(row)), "captures": made})


def _run(row: sqlite3.Row) -> RunRow:
    data: dict[str, Any] = {field.name: row[field.name] for field in fields(RunRow) if field.name != "tags"}
    for name in JSON_COLUMNS:
        data[name] = load(data[name], f"{name} of run {row['id']}")
    return from_json(RunRow, {**data, "tags": list(_tags(row))})


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
