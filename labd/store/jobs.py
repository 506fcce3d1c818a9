"""The jobs of the queue: plans and other work that wait for the bench, go on on it, or have had their turn."""

from __future__ import annotations

import enum
import json
import secrets
import sqlite3
import time
from dataclasses import dataclass, fields
from typing import Any

from labd.errors import NotFound, WrongState
from labd.store.database import Database
from labd.store.jsonform import dump, from_json


class JobState(enum.StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    CANCELLED = "cancelled"


class JobKind(enum.StrEnum):
    """What a job does. PLAN: the run of its plan. ACCURACY: a data set, sent to the board. SEARCH: a use case's candidates,
    one after the other."""

    PLAN = "plan"
    ACCURACY = "accuracy"
    SEARCH = "search"


class AfterFailure(enum.StrEnum):
    """What a run does when a capture has failed for good."""

    CONTINUE = "continue"
    STOP = "stop"


class Place(enum.StrEnum):
    FIRST = "first"
    LAST = "last"
    BEFORE = "before"
    AFTER = "after"


UNDER_WAY = (JobState.RUNNING, JobState.PAUSED)


@dataclass(frozen=True, slots=True)
class NewJob:
    """What somebody submits. priority: higher goes first. not_before_ns: UTC. recurrence: five cron fields in zone (IANA), or empty.

    retries: of a failed capture. attended: somebody stays with the bench. run_id: of an interrupted run to go on with.
    asked: of a kind without a plan, what it is to do, as JSON; plan_text is empty then.
    """

    plan_name: str
    plan_text: str
    priority: int = 0
    not_before_ns: int | None = None
    recurrence: str = ""
    zone: str = ""
    after_failure: AfterFailure = AfterFailure.CONTINUE
    retries: int = 0
    attended: bool = False
    submitted_by: str = ""
    note: str = ""
    tags: tuple[str, ...] = ()
    run_id: str = ""
    estimate_s: float | None = None
    kind: JobKind = JobKind.PLAN
    asked: str = ""


@dataclass(frozen=True, slots=True)
class JobRow:
    """One job as stored. urgent: goes before every other, and leaves their order as it is. position: among urgent
    jobs, or among jobs of its priority.

    run_id: the run it has made, or goes on with. error: why it failed or was ended; of one under way, why it is being aborted.
    kind, asked: as in NewJob; made: what a job without a plan has made, the id of an accuracy run or a search.
    """

    id: str
    state: JobState
    urgent: bool
    priority: int
    position: int
    plan_name: str
    plan_text: str
    created_ns: int
    started_ns: int | None
    ended_ns: int | None
    not_before_ns: int | None
    recurrence: str
    zone: str
    after_failure: AfterFailure
    retries: int
    attended: bool
    submitted_by: str
    note: str
    tags: tuple[str, ...]
    run_id: str
    error: str
    estimate_s: float | None
    kind: JobKind = JobKind.PLAN
    asked: str = ""
    made: str = ""


# What `edit` may change while a job waits.
EDITABLE = frozenset(
    {
        "plan_name",
        "plan_text",
        "priority",
        "not_before_ns",
        "recurrence",
        "zone",
        "after_failure",
        "retries",
        "attended",
        "note",
        "tags",
        "estimate_s",
    }
)
ORDER = "urgent DESC, CASE urgent WHEN 0 THEN priority END DESC, position, created_ns, id"  # among urgent ones priority says nothing
FLAGS = ("urgent", "attended")


class Jobs:
    """Order of the queue: urgent ones first, by position; then the others by priority, and by position."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def submit(self, new: NewJob, *, now_ns: int | None = None) -> JobRow:
        """Behind the jobs of its priority."""
        job_id = f"j{secrets.token_hex(4)}"
        created_ns = time.time_ns() if now_ns is None else now_ns
        given = {field.name: getattr(new, field.name) for field in fields(NewJob)}
        values = _columns(given) | {"id": job_id, "state": JobState.QUEUED, "urgent": 0, "created_ns": created_ns, "error": ""}
        with self._database.transaction():
            values["position"] = self._last_position() + 1
            marks = ", ".join("?" * len(values))
            self._database.execute(f"INSERT INTO jobs ({', '.join(values)}) VALUES ({marks})", tuple(values.values()))
        return self.get(job_id)

    def get(self, job_id: str) -> JobRow:
        """Raises NotFound."""
        rows = self._database.query("SELECT * FROM jobs WHERE id = ?", (job_id,))
        if not rows:
            raise NotFound(f"there is no job {job_id!r} in the queue of {self._database.path}")
        return _job(rows[0])

    def waiting(self) -> list[JobRow]:
        """Queued jobs in the order in which they will run, as far as their start times let them."""
        return [_job(row) for row in self._database.query(f"SELECT * FROM jobs WHERE state = ? ORDER BY {ORDER}", (JobState.QUEUED,))]

    def under_way(self) -> JobRow | None:
        rows = self._database.query("SELECT * FROM jobs WHERE state IN (?, ?)", UNDER_WAY)
        return _job(rows[0]) if rows else None

    def ended(self, *, limit: int = 100) -> list[JobRow]:
        """The last ones first."""
        rows = self._database.query(
            "SELECT * FROM jobs WHERE state NOT IN (?, ?, ?) ORDER BY ended_ns DESC, id LIMIT ?", (JobState.QUEUED, *UNDER_WAY, limit)
        )
        return [_job(row) for row in rows]

    def move(self, job_id: str, where: Place, other: str = "") -> JobRow:
        """Change a waiting job's place; it takes the priority of the one it is put beside, or of the first or last. Raises WrongState."""
        with self._database.transaction():
            job = self._waiting(job_id)
            rest = [row for row in self.waiting() if row.id != job_id]
            at = _index(rest, where, other)
            beside = rest[at - 1] if where in (Place.LAST, Place.AFTER) and rest else rest[at] if at < len(rest) else None
            rest.insert(at, job)
            for position, row in enumerate(rest):
                self._database.execute("UPDATE jobs SET position = ? WHERE id = ?", (position, row.id))
            if beside is not None:
                self._database.execute(
                    "UPDATE jobs SET priority = ?, urgent = ? WHERE id = ?", (beside.priority, int(beside.urgent), job_id)
                )
        return self.get(job_id)

    def edit(self, job_id: str, **changes: Any) -> JobRow:
        """Change what a waiting job says. Raises WrongState for a job that does not wait any more, ValueError for a key it has not."""
        if unknown := set(changes) - EDITABLE:
            raise ValueError(f"a job has no {', '.join(sorted(unknown))} to edit")
        with self._database.transaction():
            self._waiting(job_id)
            self._set(job_id, _columns(changes))
        return self.get(job_id)

    def hasten(self, job_id: str) -> JobRow:
        """Next of all, now; the others keep their order."""
        with self._database.transaction():
            self._waiting(job_id)
            self._set(job_id, {"urgent": 1, "not_before_ns": None, "position": self._first_position() - 1})
        return self.get(job_id)

    def cancel(self, job_id: str, *, why: str = "", now_ns: int | None = None) -> JobRow:
        """Of a waiting job. Raises WrongState."""
        with self._database.transaction():
            self._waiting(job_id)
            self._end(job_id, JobState.CANCELLED, "", why, now_ns)
        return self.get(job_id)

    def begin(self, job_id: str, *, now_ns: int | None = None) -> JobRow:
        """queued -> running. Raises WrongState while another job is under way: one at a time."""
        with self._database.transaction():
            self._waiting(job_id)
            if (other := self.under_way()) is not None:
                raise WrongState(f"job {job_id} cannot begin: job {other.id} is {other.state}")
            self._set(job_id, {"state": JobState.RUNNING, "started_ns": _now(now_ns), "ended_ns": None, "error": ""})
        return self.get(job_id)

    def put_back(self, job_id: str) -> None:
        """running -> queued, at its place: it was begun and nothing has been done for it."""
        self._database.execute(
            "UPDATE jobs SET state = ?, started_ns = NULL WHERE id = ? AND state = ?", (JobState.QUEUED, job_id, JobState.RUNNING)
        )

    def learn(self, job_id: str, *, run_id: str = "", made: str = "") -> None:
        self._set(job_id, {name: value for name, value in (("run_id", run_id), ("made", made)) if value})

    def recurs_no_more(self, job_id: str) -> None:
        """Its next occurrence has its recurrence now: whoever resumes this one has one job more, not two series."""
        self._set(job_id, {"recurrence": "", "zone": ""})

    def pause(self, job_id: str, *, paused: bool) -> None:
        """Between running and paused. Raises WrongState."""
        before, after = (JobState.RUNNING, JobState.PAUSED) if paused else (JobState.PAUSED, JobState.RUNNING)
        if self._database.execute("UPDATE jobs SET state = ? WHERE id = ? AND state = ?", (after, job_id, before)) != 1:
            raise WrongState(f"job {job_id} is {self.get(job_id).state}, not {before}")

    def abort(self, job_id: str, why: str) -> None:
        """Write down why a job under way is about to be ended, the first time; nothing for one that has ended meanwhile."""
        asked = "UPDATE jobs SET error = ? WHERE id = ? AND state IN (?, ?) AND error = ''"
        self._database.execute(asked, (why, job_id, *UNDER_WAY))

    def end(self, job_id: str, state: JobState, *, run_id: str = "", error: str = "", now_ns: int | None = None) -> JobRow:
        """running or paused -> finished, failed or interrupted."""
        with self._database.transaction():
            job = self.get(job_id)
            if job.state not in UNDER_WAY:
                raise WrongState(f"job {job_id} is {job.state} and cannot become {state}")
            self._end(job_id, state, run_id or job.run_id, error, now_ns)
        return self.get(job_id)

    def resume(self, job_id: str) -> JobRow:
        """As somebody wants it: `requeue`, and raises WrongState too for one whose run another job goes on with."""
        with self._database.transaction():
            run_id = self.get(job_id).run_id
            if run_id and (other := job_to_go_on(self._database, run_id)) is not None and other["id"] != job_id:
                raise WrongState(f"job {other['id']} ({other['state']}) goes on with run {run_id} already")
            return self.requeue(job_id, urgent=False)

    def requeue(self, job_id: str, *, urgent: bool, error: str = "") -> JobRow:
        """Behind the jobs of its priority, or before all others, to go on with its run where it has one. Raises WrongState for one that
        waits or has finished."""
        with self._database.transaction():
            job = self.get(job_id)
            if job.state in (JobState.QUEUED, JobState.FINISHED):
                raise WrongState(f"job {job_id} is {job.state}; only one that was interrupted, failed or cancelled can be resumed")
            position = self._first_position() - 1 if urgent else self._last_position() + 1
            again = {"state": JobState.QUEUED, "urgent": int(urgent), "position": position, "ended_ns": None}
            self._set(job_id, again | {"error": error})
        return self.get(job_id)

    def paused(self) -> str | None:
        """Why the queue is paused, None while it is not."""
        row = self._database.query("SELECT paused, why FROM queue")[0]
        return str(row["why"]) if row["paused"] else None

    def pause_queue(self, why: str | None) -> None:
        """None lets it go on."""
        self._database.execute("UPDATE queue SET paused = ?, why = ?", (int(why is not None), why or ""))

    def _waiting(self, job_id: str) -> JobRow:
        job = self.get(job_id)
        if job.state is not JobState.QUEUED:
            raise WrongState(f"job {job_id} is {job.state}; this can be done to a waiting job only")
        return job

    def _end(self, job_id: str, state: JobState, run_id: str, error: str, now_ns: int | None) -> None:
        self._set(job_id, {"state": state, "ended_ns": _now(now_ns), "run_id": run_id, "error": error, "urgent": 0})

    def _set(self, job_id: str, values: dict[str, object]) -> None:
        if values:
            columns = ", ".join(f"{name} = ?" for name in values)
            self._database.execute(f"UPDATE jobs SET {columns} WHERE id = ?", (*values.values(), job_id))

    def _first_position(self) -> int:
        found = self._database.query("SELECT coalesce(min(position), 0) FROM jobs WHERE state = ?", (JobState.QUEUED,))
        return int(found[0][0])

    def _last_position(self) -> int:
        return int(self._database.query("SELECT coalesce(max(position), 0) FROM jobs")[0][0])


def job_to_go_on(database: Database, run_id: str) -> sqlite3.Row | None:
    """Id and state of the job that goes on with a run, or waits to."""
    asked = "SELECT id, state FROM jobs WHERE run_id = ? AND state IN (?, ?, ?) LIMIT 1"
    return next(iter(database.query(asked, (run_id, JobState.QUEUED, *UNDER_WAY))), None)


def _index(rest: list[JobRow], where: Place, other: str) -> int:
    if where is Place.FIRST:
        return 0
    if where is Place.LAST:
        return len(rest)
    at = next((n for n, row in enumerate(rest) if row.id == other), None)
    if at is None:
        raise NotFound(f"there is no waiting job {other!r} to put a job {where}")
    return at if where is Place.BEFORE else at + 1


def _columns(values: dict[str, Any]) -> dict[str, object]:
    found: dict[str, object] = dict(values)
    if "tags" in found:
        found["tags"] = dump(list(values["tags"]))
    return found | {name: int(found[name]) for name in FLAGS if name in found}  # type: ignore[call-overload]  # a bool


def _job(row: sqlite3.Row) -> JobRow:
    data: dict[str, Any] = {field.name: row[field.name] for field in fields(JobRow)}
    flags = {name: bool(data[name]) for name in FLAGS}
    return from_json(JobRow, data | flags | {"tags": json.loads(data["tags"])})


def _now(now_ns: int | None) -> int:
    return time.time_ns() if now_ns is None else now_ns
