"""The steps of the queue in the catalogue, each one transaction: after a kill it was done whole, or not at all."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from labd.errors import NotFound
from labd.queue.recurrence import RecurrenceError, next_due_ns
from labd.store.catalogue import Catalogue
from labd.store.jobs import JobKind, JobRow, JobState, NewJob
from labd.store.rows import RunRow, RunState

DIED = "the daemon died; goes on with its run"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """What came of a job. run_id: empty where it never came to a run."""

    state: JobState
    run_id: str
    error: str


@dataclass(frozen=True, slots=True)
class Turn:
    """Whose turn it is. job: begun, None when none is due; due_ns: when one may be unless something changes, UTC, None for never."""

    job: JobRow | None
    due_ns: int | None = None


def begin_next(catalogue: Catalogue, *, now_ns: int) -> Turn:
    """Begin the first job that is due. A paused queue begins none; under a lease only its holder's jobs begin."""
    with catalogue.transaction():
        if catalogue.jobs.paused() is not None:
            return Turn(None)
        waiting, lease = catalogue.jobs.waiting(), catalogue.leases.current(now_ns)
        mine = [job for job in waiting if lease is None or job.submitted_by == lease.who]
        due = next((job for job in mine if job.not_before_ns is None or job.not_before_ns <= now_ns), None)
        if due is not None:
            return Turn(catalogue.jobs.begin(due.id, now_ns=now_ns))
    instants = [job.not_before_ns for job in waiting if job.not_before_ns is not None and job.not_before_ns > now_ns]
    instants += [lease.until_ns] if lease is not None else []
    return Turn(None, min(instants, default=None))


def end(catalogue: Catalogue, job: JobRow, outcome: JobOutcome, *, goes_on: bool, now_ns: int) -> None:
    """A job has ended; a recurring one leaves its recurrence to its next occurrence. goes_on: it waits again, before all others."""
    again, lost = (None, "") if goes_on else _next_occurrence(job, now_ns)
    error = "; ".join(part for part in (outcome.error, lost) if part)
    with catalogue.transaction():
        _end_run(catalogue, job, outcome)
        catalogue.jobs.end(job.id, outcome.state, run_id=outcome.run_id, error=error, now_ns=now_ns)
        if goes_on:
            catalogue.jobs.requeue(job.id, urgent=True, error=error)
        elif again is not None:
            catalogue.jobs.submit(again, now_ns=now_ns)
            catalogue.jobs.recurs_no_more(job.id)


def recover(catalogue: Catalogue, *, bench: str, now_ns: int) -> list[str]:
    """What a kill left under way: runs become interrupted (their ids are returned); a job goes on with its run, before all others, or ends
    as its run has, or because somebody had aborted it."""
    with catalogue.transaction():
        orphans = catalogue.runs.interrupt_orphans(bench)
        job = catalogue.jobs.under_way()
        if job is not None:
            run = _run_of(catalogue, job)
            if run is not None and job.kind is JobKind.PLAN and _ended_in(run, job):  # a search makes many runs
                end(catalogue, job, JobOutcome(JobState(run.state), run.id, run.error), goes_on=False, now_ns=now_ns)
            else:
                outcome = JobOutcome(JobState.INTERRUPTED, "" if run is None else run.id, job.error or DIED)
                end(catalogue, job, outcome, goes_on=not job.error, now_ns=now_ns)
    return orphans


def _end_run(catalogue: Catalogue, job: JobRow, outcome: JobOutcome) -> None:
    """A run that the disk let say nothing of its end has ended all the same."""
    run = _run_of(catalogue, job)
    if run is not None and run.state is RunState.RUNNING:
        failed = outcome.state is JobState.FAILED
        catalogue.runs.end(run.id, RunState.FAILED if failed else RunState.INTERRUPTED, error=outcome.error)


def _ended_in(run: RunRow, job: JobRow) -> bool:
    """Whether a run came to its end since its job began: only the job's own end was cut off. One to go on with ended before."""
    over = run.state in (RunState.FINISHED, RunState.FAILED)
    return over and run.ended_ns is not None and job.started_ns is not None and run.ended_ns >= job.started_ns


def _run_of(catalogue: Catalogue, job: JobRow) -> RunRow | None:
    made = catalogue.runs.newest(limit=1, job=job.id)
    if made or not job.run_id:
        return made[0] if made else None
    try:
        return catalogue.runs.get(job.run_id)
    except NotFound:  # deleted meanwhile
        return None


def _next_occurrence(job: JobRow, now_ns: int) -> tuple[NewJob | None, str]:
    """None for a job that does not recur; with a text for one that cannot any more, such as one whose zone this machine has lost."""
    if not job.recurrence:
        return None, ""
    try:
        due_ns = next_due_ns(job.recurrence, job.zone, now_ns)
    except RecurrenceError as error:
        log.error("job %s does not come again: %s", job.id, error)
        return None, f"does not come again: {error}"
    same = NewJob(**{name: getattr(job, name) for name in NewJob.__dataclass_fields__})
    return replace(same, run_id="", not_before_ns=due_ns), ""
