"""Whatever is asked of the queue in whatever order: it is what a list would be, and the same after the catalogue was opened anew."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from labd.errors import LabdError
from labd.store.catalogue import Catalogue
from labd.store.jobs import JobState, NewJob, Place

PRIORITIES = st.sampled_from([-1, 0, 0, 0, 5])
ENDS = st.sampled_from([JobState.FINISHED, JobState.FAILED, JobState.INTERRUPTED])


@dataclass
class Waiting:
    job: str
    priority: int
    urgent: bool = False


class Queue(RuleBasedStateMachine):
    """The model: a list of what waits, sorted by who is urgent, the others by priority, otherwise in the order of places."""

    jobs: Bundle[str] = Bundle("jobs")
    ended: Bundle[str] = Bundle("ended")

    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="queue-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
        self.catalogue = Catalogue.open(self.folder)
        self.places: list[Waiting] = []
        self.states: dict[str, JobState] = {}
        self.why: str | None = None

    def teardown(self) -> None:
        if hasattr(self, "catalogue"):
            self.catalogue.close()
            shutil.rmtree(self.folder)

    @property
    def order(self) -> list[Waiting]:
        return sorted(self.places, key=lambda one: (not one.urgent, 0 if one.urgent else -one.priority))

    @property
    def running(self) -> str | None:
        return next((job for job, state in self.states.items() if state in (JobState.RUNNING, JobState.PAUSED)), None)

    def waits(self, job: str) -> Waiting | None:
        return next((one for one in self.places if one.job == job), None)

    @rule(target=jobs, priority=PRIORITIES)
    def submit(self, priority: int) -> str:
        job = self.catalogue.jobs.submit(NewJob("plan", "text", priority=priority)).id
        self.places.append(Waiting(job, priority))
        self.states[job] = JobState.QUEUED
        return job

    @rule(job=jobs, where=st.sampled_from(list(Place)), other=jobs)
    def move(self, job: str, where: Place, other: str) -> None:
        mine, beside = self.waits(job), self.waits(other)
        if mine is None:
            with pytest.raises(LabdError):
                self.catalogue.jobs.move(job, where, other)
            return
        rest = [one for one in self.order if one.job != job]
        if where in (Place.BEFORE, Place.AFTER) and beside not in rest:
            with pytest.raises(LabdError):
                self.catalogue.jobs.move(job, where, other)
            return
        self.catalogue.jobs.move(job, where, other)
        at = {Place.FIRST: 0, Place.LAST: len(rest)}.get(where)
        if at is None:
            assert beside is not None
            at = rest.index(beside) + (where is Place.AFTER)
        if rest:
            neighbour = rest[at - 1] if where in (Place.LAST, Place.AFTER) else rest[at]
            mine.priority, mine.urgent = neighbour.priority, neighbour.urgent
        self.places = [*rest[:at], mine, *rest[at:]]

    @rule(job=jobs, priority=PRIORITIES, note=st.text(max_size=5))
    def edit(self, job: str, priority: int, note: str) -> None:
        mine = self.waits(job)
        if mine is None:
            with pytest.raises(LabdError):
                self.catalogue.jobs.edit(job, priority=priority)
            return
        assert self.catalogue.jobs.edit(job, priority=priority, note=note).note == note
        mine.priority = priority

    @rule(job=jobs)
    def hasten(self, job: str) -> None:
        mine = self.waits(job)
        if mine is None:
            with pytest.raises(LabdError):
                self.catalogue.jobs.hasten(job)
            return
        self.catalogue.jobs.hasten(job)
        mine.urgent = True
        self.places = [mine, *(one for one in self.places if one is not mine)]

    @rule(target=ended, job=jobs)
    def cancel(self, job: str) -> str | MultipleResults[str]:
        mine = self.waits(job)
        if mine is None:
            with pytest.raises(LabdError):
                self.catalogue.jobs.cancel(job)
            return multiple()
        self.catalogue.jobs.cancel(job)
        self.places.remove(mine)
        self.states[job] = JobState.CANCELLED
        return job

    @precondition(lambda self: self.places)
    @rule()
    def begin(self) -> None:
        first = self.order[0]
        if self.running is not None:
            with pytest.raises(LabdError, match="cannot begin"):
                self.catalogue.jobs.begin(first.job)
            return
        self.catalogue.jobs.begin(first.job)
        self.places.remove(first)
        self.states[first.job] = JobState.RUNNING

    @precondition(lambda self: self.running)
    @rule(paused=st.booleans())
    def pause(self, *, paused: bool) -> None:
        job = self.running
        assert job is not None
        wanted, now = (JobState.PAUSED if paused else JobState.RUNNING), self.states[job]
        if now is wanted:
            with pytest.raises(LabdError):
                self.catalogue.jobs.pause(job, paused=paused)
            return
        self.catalogue.jobs.pause(job, paused=paused)
        self.states[job] = wanted

    @precondition(lambda self: self.running)
    @rule(target=ended, state=ENDS)
    def end(self, state: JobState) -> str:
        job = self.running
        assert job is not None
        self.catalogue.jobs.end(job, state, error="because")
        self.states[job] = state
        return job

    @rule(target=jobs, job=consumes(ended), urgent=st.booleans())
    def requeue(self, job: str, *, urgent: bool) -> str | MultipleResults[str]:
        if self.states[job] is JobState.FINISHED:
            with pytest.raises(LabdError):
                self.catalogue.jobs.requeue(job, urgent=urgent)
            return multiple()
        row = self.catalogue.jobs.requeue(job, urgent=urgent)
        self.states[job] = JobState.QUEUED
        self.places.insert(0 if urgent else len(self.places), Waiting(job, row.priority, urgent))
        return job

    @rule(why=st.sampled_from([None, "lunch"]))
    def pause_queue(self, why: str | None) -> None:
        self.catalogue.jobs.pause_queue(why)
        self.why = why

    @rule()
    def reopen(self) -> None:
        self.catalogue.close()
        self.catalogue = Catalogue.open(self.folder)

    @invariant()
    def is_what_the_model_is(self) -> None:
        if not hasattr(self, "catalogue"):
            return
        assert [(one.id, one.priority, one.urgent) for one in self.catalogue.jobs.waiting()] == [
            (one.job, one.priority, one.urgent) for one in self.order
        ]
        under_way = self.catalogue.jobs.under_way()
        assert (under_way.id if under_way else None) == self.running
        assert self.catalogue.jobs.paused() == self.why
        assert {job: self.catalogue.jobs.get(job).state for job in self.states} == self.states


TestQueue = Queue.TestCase
TestQueue.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
