"""Runs the queue's jobs, one at a time, and takes what people ask of it; every step is in the catalogue before it is done."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Generic, TypeVar

from labd.bench.control import RunControl
from labd.deadline import deadline
from labd.errors import LabdError, StoreError, WrongState
from labd.queue import steps
from labd.queue.recurrence import is_due, next_due_ns, zone_of
from labd.queue.steps import JobOutcome
from labd.store.catalogue import Catalogue
from labd.store.jobs import UNDER_WAY, JobKind, JobRow, JobState, NewJob, Place
from labd.store.leases import Lease
from labd.store.session import CatalogueSession
from labd.stream.hub import Hub
from labd.stream.news import News, NewsKind

LONGEST_WAIT_S = 60.0  # then the clock is looked at again: it may have been set
ABORT_S = 1.0  # for the disk to take that a job is aborted
AGAIN_S = 5.0  # after a step that the catalogue refused
STOPPING = "the daemon stops"

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """What is paused, what runs, how many wait. why_paused: empty when it is not; job: under way, empty where none is."""

    paused: bool
    why_paused: str
    waiting: int
    job: str
    job_paused: bool
    lease: Lease | None


@dataclass(slots=True)
class _Running:
    """over: its run has come to an end, outputs off; the catalogue may not know yet."""

    job: JobRow
    control: RunControl
    over: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class _Once(Generic[T]):
    """A step that is not done a second time: a disk that stalls may do it after the session has given it up, and the step that follows
    in the same thread then answers with what came of it."""

    step: Callable[[Catalogue], T]
    done: list[T] = field(default_factory=list)

    def __call__(self, catalogue: Catalogue) -> T:
        if not self.done:
            self.done.append(self.step(catalogue))
        return self.done[0]


Runner = Callable[[JobRow, RunControl], Awaitable[JobOutcome]]


class Scheduler:
    """`run` is the one task that starts jobs; the other methods may be called at any time.

    A job that a kill or a stop of the daemon ended goes first when the daemon is back, and goes on with its run. Missed occurrences of a
    recurring job run once, however many there were. now_ns: the clock of start times and leases, UTC.
    """

    def __init__(
        self, catalogue: CatalogueSession, *, bench: str, run: Runner, news: Hub[News], now_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._catalogue = catalogue
        self._bench = bench
        self._run = run
        self._news = news
        self._now_ns = now_ns
        self._changed = asyncio.Event()
        self._running: _Running | None = None
        self._held = ""  # why no job may begin, whatever the catalogue says: a disk that refuses must not keep a bench from being stopped
        self._holds = 0  # how often: the same person may stop the bench twice, in the same words
        self._idle = asyncio.Event()
        self._idle.set()

    async def run(self) -> None:
        """For ever; on cancellation the job under way ends in order and waits for the next start.

        A step that the catalogue refuses (a full disk, one that hangs) is told and done again: nobody has to start the daemon anew.
        """
        for run_id in await self._stored(partial(steps.recover, bench=self._bench, now_ns=self._now_ns())):
            log.warning("run %s was interrupted: the process that ran it died", run_id)
        while True:
            self._changed.clear()
            turn = await self._stored(lambda catalogue: steps.begin_next(catalogue, now_ns=self._now_ns()))
            if turn.job is None:
                with suppress(TimeoutError):
                    async with deadline(self._wait_s(turn.due_ns)):
                        await self._changed.wait()
            elif self._held:  # since the step began
                await self._stored(partial(_put_back, turn.job.id, self._held))
            else:
                await self._one(turn.job)

    # what people ask

    async def submit(self, new: NewJob) -> JobRow:
        """Raises RecurrenceError."""
        if new.recurrence:
            due_ns = next_due_ns(new.recurrence, new.zone, self._now_ns())
            new = new if new.not_before_ns is not None else replace(new, not_before_ns=due_ns)
        elif new.zone:
            zone_of(new.zone)
        return await self._did("submitted", lambda c: c.jobs.submit(new, now_ns=self._now_ns()))

    async def jobs(self, *, ended: int = 20) -> list[JobRow]:
        """The one under way, those that wait in their order, and the last that have ended."""

        def listed(catalogue: Catalogue) -> list[JobRow]:
            under_way = catalogue.jobs.under_way()
            return [*([under_way] if under_way else []), *catalogue.jobs.waiting(), *catalogue.jobs.ended(limit=ended)]

        return await self._catalogue.read(listed)

    async def job(self, job_id: str) -> JobRow:
        """Raises NotFound."""
        return await self._catalogue.do(lambda c: c.jobs.get(job_id))

    async def move(self, job_id: str, where: Place, other: str = "") -> JobRow:
        return await self._did(f"moved {where}", lambda c: c.jobs.move(job_id, where, other))

    async def edit(self, job_id: str, **changes: Any) -> JobRow:
        """A job that recurs no more waits no longer for its next occurrence. Raises WrongState for a job that does not wait,
        RecurrenceError."""
        if changes.get("zone"):
            zone_of(changes["zone"])
        if "recurrence" in changes or "zone" in changes:
            job = await self.job(job_id)
            recurrence, zone = changes.get("recurrence", job.recurrence), changes.get("zone", job.zone)
            if recurrence:
                changes.setdefault("not_before_ns", next_due_ns(recurrence, zone, self._now_ns()))
            elif job.not_before_ns is not None and is_due(job.recurrence, job.zone, job.not_before_ns):
                changes.setdefault("not_before_ns", None)
        return await self._did("edited", lambda c: c.jobs.edit(job_id, **changes))

    async def cancel(self, job_id: str) -> JobRow:
        return await self._did("cancelled", lambda c: c.jobs.cancel(job_id, now_ns=self._now_ns()))

    async def run_now(self, job_id: str) -> JobRow:
        """Next, when the job under way has ended; the others keep their order."""
        return await self._did("runs next", lambda c: c.jobs.hasten(job_id))

    async def pause(self, job_id: str) -> JobRow:
        """The running job waits before its next capture, or candidate, outputs off. Raises NotFound, WrongState."""
        running = await self._the_running(job_id)
        if running.job.kind is JobKind.ACCURACY:
            raise WrongState(
                f"job {job_id} is no run of captures to pause between: `labd abort {job_id}` ends it, and resumed it goes on where it was"
            )
        await self._catalogue.do(lambda c: c.jobs.pause(job_id, paused=True))
        running.control.pause()
        return await self._did("paused", lambda c: c.jobs.get(job_id))

    async def resume(self, job_id: str) -> JobRow:
        """A paused job goes on; one that was interrupted, failed or cancelled waits again, to do what its run lacks. Raises WrongState."""
        if self._running is not None and self._running.job.id == job_id:
            await self._catalogue.do(lambda c: c.jobs.pause(job_id, paused=False))
            self._running.control.go_on()
            return await self._did("goes on", lambda c: c.jobs.get(job_id))
        return await self._did("waits again", lambda c: c.jobs.resume(job_id))

    async def resume_run(self, made: Callable[[Catalogue], NewJob]) -> JobRow:
        """A job that does what an interrupted run lacks. made: of the run and its jobs, looked at in the step that submits it, so that
        nobody else's comes in between."""
        return await self._did("submitted", lambda c: c.jobs.submit(made(c), now_ns=self._now_ns()))

    async def abort(self, job_id: str, why: str = "aborted") -> JobRow:
        """End the job under way now: outputs off, captures so far kept. Returns when it has ended. Raises NotFound, WrongState.

        That it was asked is in the catalogue first, so that a daemon that is killed on the way out does not run the job again; but a disk
        that refuses, or takes longer than ABORT_S, keeps no board powered.
        """
        running = await self._the_running(job_id)
        try:
            async with deadline(ABORT_S):
                await self._catalogue.do(lambda c: c.jobs.abort(job_id, why))
        except (TimeoutError, StoreError) as error:
            log.warning("job %s is aborted before the catalogue knows of it: %s", job_id, error or f"no answer within {ABORT_S:g} s")
        finally:
            running.control.abort(why)
        if self._running is running:
            await self._idle.wait()
        return await self.job(job_id)

    def hold(self, why: str) -> None:
        """From now on no job begins, and whatever runs is aborted; returns at once, and asks no disk. `pause_queue` makes it last."""
        self._held = why
        self._holds += 1
        if self._running is not None:
            self._running.control.abort(why)

    async def until_over(self) -> None:
        """Nothing runs, or what ran has ended, outputs off."""
        if self._running is not None:
            await self._running.over.wait()

    async def until_idle(self) -> None:
        """And the catalogue knows."""
        await self._idle.wait()

    async def pause_queue(self, why: str) -> None:
        """No further job begins, also after a restart; the one under way goes on."""
        await self._catalogue.do(lambda c: c.jobs.pause_queue(why))
        self._tell(NewsKind.QUEUE, f"the queue is paused: {why}")

    async def resume_queue(self) -> None:
        """Raises WrongState where the bench is stopped before this is done: the stop holds."""
        holds = self._holds
        await self._catalogue.do(lambda c: c.jobs.pause_queue(None))
        if self._holds != holds:
            why = self._held
            await self.pause_queue(why)
            raise WrongState(f"the queue stays paused: {why}, while it was being resumed; resume it again when it may go on")
        self._held = ""
        self._tell(NewsKind.QUEUE, "the queue goes on")

    async def lease(self) -> Lease | None:
        return await self._catalogue.read(lambda c: c.leases.current(self._now_ns()))

    async def take_lease(self, who: str, until_ns: int, purpose: str) -> Lease:
        """Until then only jobs that `who` submitted begin. Raises LeaseHeld."""
        lease = await self._catalogue.do(lambda c: c.leases.take(who, until_ns=until_ns, purpose=purpose, now_ns=self._now_ns()))
        self._tell(NewsKind.LEASE, f"reserved by {who}", who=who, until_ns=until_ns, purpose=purpose)
        return lease

    async def give_back(self, who: str, *, force: bool = False) -> None:
        """Raises LeaseHeld for somebody else's lease, unless forced, which is told."""
        held = await self._catalogue.do(lambda c: c.leases.give_back(who, now_ns=self._now_ns(), force=force))
        if held is not None:
            taken = "" if held.who == who else f", ended by {who}"
            self._tell(NewsKind.LEASE, f"the lease of {held.who} is over{taken}", who="")

    async def refuse_others(self, who: str) -> None:
        """Raises LeaseHeld while somebody else has reserved the bench."""
        await self._catalogue.do(lambda c: c.leases.refuse_others(who, now_ns=self._now_ns()))

    async def status(self) -> QueueStatus:
        paused, waiting, lease = await self._catalogue.do(
            lambda c: (c.jobs.paused(), len(c.jobs.waiting()), c.leases.current(self._now_ns()))
        )
        running = self._running
        return QueueStatus(
            paused=paused is not None or bool(self._held),
            why_paused=paused or self._held,
            waiting=waiting,
            job=running.job.id if running else "",
            job_paused=running.control.paused if running else False,
            lease=lease,
        )

    # what it does

    def _wait_s(self, due_ns: int | None) -> float:
        soonest_s = LONGEST_WAIT_S if due_ns is None else (due_ns - self._now_ns()) * 1e-9
        return max(0.01, min(soonest_s, LONGEST_WAIT_S))

    async def _one(self, job: JobRow) -> None:
        running = _Running(job, RunControl())
        self._running = running
        self._idle.clear()
        self._tell(NewsKind.QUEUE, f"{job.plan_name} begins", job=job.id)
        try:
            outcome, stopped = await self._outcome(running)
            running.over.set()
            goes_on = stopped and outcome.state is JobState.INTERRUPTED and running.control.reason == STOPPING
            end = partial(steps.end, job=job, outcome=outcome, goes_on=goes_on, now_ns=self._now_ns())
            await (self._catalogue.do(end) if stopped else self._stored(end))
        finally:
            self._running = None
            self._idle.set()
        self._tell(NewsKind.QUEUE, f"{job.plan_name}: {outcome.state}{f', {outcome.error}' if outcome.error else ''}", job=job.id)
        if stopped:
            raise asyncio.CancelledError

    async def _stored(self, step: Callable[[Catalogue], T]) -> T:
        """Until the catalogue has it."""
        once = _Once(step)
        while True:
            try:
                return await self._catalogue.do(once)
            except LabdError as error:
                log.error("the queue stands still, and tries again in %g s: %s", AGAIN_S, error)
                self._news.publish(News(self._now_ns(), NewsKind.ALARM, f"the queue stands still: {error}"))
                await asyncio.sleep(AGAIN_S)

    async def _outcome(self, running: _Running) -> tuple[JobOutcome, bool]:
        """What the job came to, and whether the daemon stops: then it is aborted, and its way out is waited for."""
        task = asyncio.ensure_future(self._run(running.job, running.control))
        stopped = False
        while not task.done():
            try:
                await asyncio.wait((task,))
            except asyncio.CancelledError:
                stopped = True
                running.control.abort(STOPPING)
                running.control.go_on()
        error = task.exception() if not task.cancelled() else asyncio.CancelledError()
        if error is not None:
            log.error("job %s failed", running.job.id, exc_info=error)
            return JobOutcome(JobState.FAILED, "", f"a fault of labd's own: {type(error).__name__}: {error}"), stopped
        return task.result(), stopped

    async def _the_running(self, job_id: str) -> _Running:
        if self._running is not None and self._running.job.id == job_id:
            return self._running
        job = await self.job(job_id)
        ended = f"; `labd cancel {job_id}` takes it out of the queue" if job.state is JobState.QUEUED else ""
        raise WrongState(f"job {job_id} is {job.state}, it does not run now{ended}")

    async def _did(self, what: str, work: Callable[[Catalogue], JobRow]) -> JobRow:
        job = await self._catalogue.do(work)
        self._tell(NewsKind.QUEUE, f"{job.plan_name} {what}", job=job.id)
        return job

    def _tell(self, kind: NewsKind, text: str, *, job: str = "", **data: object) -> None:
        self._changed.set()
        self._news.publish(News(self._now_ns(), kind, text, job=job, data=data))


def _put_back(job_id: str, why: str, catalogue: Catalogue) -> None:
    """A job that was begun while the bench was stopped; the queue is paused in the same step, so that it does not come at once again."""
    with catalogue.transaction():
        catalogue.jobs.put_back(job_id)
        catalogue.jobs.pause_queue(why)


def is_open(job: JobRow) -> bool:
    """Whether a job still waits or is under way."""
    return job.state is JobState.QUEUED or job.state in UNDER_WAY
