"""The scheduler: one job at a time, in order, and every way in which a job, or the daemon, can end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest

from labd.bench.control import RunControl
from labd.errors import StoreError, WrongState
from labd.queue import scheduler, steps
from labd.queue.recurrence import RecurrenceError
from labd.queue.scheduler import Scheduler
from labd.queue.steps import JobOutcome
from labd.store.catalogue import Catalogue
from labd.store.jobs import JobRow, JobState, NewJob, Place
from labd.store.leases import LeaseHeld
from labd.store.rows import NewRun, RunState
from labd.store.session import CatalogueSession
from labd.stream.hub import Hub
from labd.stream.news import News

T = TypeVar("T")

SOON_S = 10.0
NOW_NS = 1_795_444_200_000_000_000  # 2026-11-23 14:30 UTC
HOUR_NS = 3600 * 10**9


class Disk(CatalogueSession):
    """A catalogue whose disk refuses, or holds up, what a test wants it to. stalls: which step from now on, 0 for none.

    attempts: what was refused so far.
    """

    refuses = False
    stalls = 0
    attempts = 0

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.refused = asyncio.Event()
        self.goes_on = threading.Event()

    async def do(self, work: Callable[[Catalogue], T]) -> T:
        self.stalls -= 1
        if self.stalls == 0:
            return await self._stalled(work)
        if self.refuses:
            self.attempts += 1
            self.refused.set()
            raise StoreError("the disk is full")
        return await super().do(work)

    async def _stalled(self, work: Callable[[Catalogue], T]) -> T:
        """Given up while the thread is in it, and done late: when the disk goes on."""
        loop, begun = asyncio.get_running_loop(), asyncio.Event()

        def late(catalogue: Catalogue) -> T:
            loop.call_soon_threadsafe(begun.set)
            self.goes_on.wait(timeout=SOON_S)
            return work(catalogue)

        asked = asyncio.create_task(super().do(late))
        await begun.wait()
        asked.cancel()
        await asyncio.wait((asked,))
        self.refused.set()
        raise StoreError("the disk did not answer within 60 s")

    @asynccontextmanager
    async def held_up(self) -> AsyncIterator[None]:
        """What is asked inside waits until the end."""
        let_go = threading.Event()
        first = asyncio.create_task(super().do(lambda _catalogue: let_go.wait()))
        await asyncio.sleep(0)
        try:
            yield
        finally:
            let_go.set()
            await first


@dataclass(slots=True)
class Lab:
    """A scheduler whose jobs wait until the test ends them. way_out: cleared, a job that is aborted takes its time."""

    catalogue: Disk
    now_ns: int = NOW_NS
    begun: list[str] = field(default_factory=list)
    ends: dict[str, asyncio.Future[JobOutcome]] = field(default_factory=dict)
    controls: dict[str, RunControl] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    way_out: asyncio.Event = field(default_factory=asyncio.Event)
    scheduler: Scheduler = field(init=False)

    def __post_init__(self) -> None:
        self.way_out.set()
        self.scheduler = Scheduler(self.catalogue, bench="demo", run=self.run, news=Hub[News](), now_ns=lambda: self.now_ns)

    async def run(self, job: JobRow, control: RunControl) -> JobOutcome:
        self.begun.append(job.plan_name)
        self.controls[job.plan_name] = control
        end = self.ends[job.plan_name] = asyncio.get_running_loop().create_future()
        self.changed.set()
        aborted = asyncio.create_task(control.stop.wait())
        await asyncio.wait((end, aborted), return_when=asyncio.FIRST_COMPLETED)
        aborted.cancel()
        await self.way_out.wait()
        return end.result() if end.done() else JobOutcome(JobState.INTERRUPTED, f"run of {job.plan_name}", control.reason)

    async def until_begun(self, *names: str) -> None:
        async with asyncio.timeout(SOON_S):
            while self.begun != list(names):
                self.changed.clear()
                await self.changed.wait()

    async def end(self, name: str, state: JobState = JobState.FINISHED, error: str = "") -> None:
        self.ends[name].set_result(JobOutcome(state, f"run of {name}", error))
        async with asyncio.timeout(SOON_S):
            await self.scheduler.until_idle()

    async def submit(self, name: str, **given: Any) -> JobRow:
        return await self.scheduler.submit(NewJob(name, "plan", **given))

    async def states(self) -> dict[str, JobState]:
        return {job.plan_name: job.state for job in await self.scheduler.jobs()}


@asynccontextmanager
async def running(lab: Lab) -> AsyncIterator[Lab]:
    """As long as the daemon is there."""
    task = asyncio.create_task(lab.scheduler.run(), name="scheduler")
    try:
        yield lab
    finally:
        task.cancel()
        await asyncio.wait((task,))
    if not task.cancelled():
        task.result()


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    catalogue = Disk(tmp_path)
    async with catalogue:
        yield Lab(catalogue)


async def test_jobs_run_one_after_the_other_in_their_order(lab: Lab) -> None:
    for name in ("a", "b", "c"):
        await lab.submit(name)
    async with running(lab):
        await lab.until_begun("a")
        assert await lab.states() == {"a": JobState.RUNNING, "b": JobState.QUEUED, "c": JobState.QUEUED}
        await lab.end("a")
        await lab.until_begun("a", "b")
        await lab.end("b")
        await lab.until_begun("a", "b", "c")
        await lab.end("c")
    job = next(job for job in await lab.scheduler.jobs() if job.plan_name == "a")
    assert (job.state, job.run_id) == (JobState.FINISHED, "run of a")


async def test_a_job_that_fails_or_raises_does_not_keep_the_next_one(lab: Lab) -> None:
    for name in ("a", "b", "c"):
        await lab.submit(name)
    async with running(lab):
        await lab.until_begun("a")
        await lab.end("a", JobState.FAILED, "the board does not answer")
        await lab.until_begun("a", "b")
        lab.ends["b"].set_exception(ZeroDivisionError("a mistake"))
        await lab.until_begun("a", "b", "c")
        await lab.end("c")
    jobs = {job.plan_name: job for job in await lab.scheduler.jobs()}
    assert jobs["a"].error == "the board does not answer"
    assert "ZeroDivisionError: a mistake" in jobs["b"].error
    assert jobs["c"].state is JobState.FINISHED


async def test_priority_goes_before_place_and_run_now_before_both(lab: Lab) -> None:
    for name, priority in (("a", 0), ("b", 5), ("c", 0), ("d", 5)):
        await lab.submit(name, priority=priority)
    waiting = [job for job in await lab.scheduler.jobs() if job.state is JobState.QUEUED]
    assert [job.plan_name for job in waiting] == ["b", "d", "a", "c"]
    await lab.scheduler.run_now(waiting[-1].id)
    assert [job.plan_name for job in await lab.scheduler.jobs()] == ["c", "b", "d", "a"]


async def test_moving_takes_effect_between_priorities_too(lab: Lab) -> None:
    ids = {name: (await lab.submit(name, priority=priority)).id for name, priority in (("a", 0), ("b", 5), ("c", 0))}
    await lab.scheduler.move(ids["c"], Place.FIRST)
    assert [job.plan_name for job in await lab.scheduler.jobs()] == ["c", "b", "a"]
    await lab.scheduler.move(ids["b"], Place.LAST)
    assert [job.plan_name for job in await lab.scheduler.jobs()] == ["c", "a", "b"]
    await lab.scheduler.move(ids["b"], Place.BEFORE, ids["a"])
    assert [job.plan_name for job in await lab.scheduler.jobs()] == ["c", "b", "a"]


async def test_pausing_and_aborting_reach_the_run(lab: Lab) -> None:
    job = await lab.submit("a")
    async with running(lab):
        await lab.until_begun("a")
        await lab.scheduler.pause(job.id)
        assert lab.controls["a"].paused
        assert (await lab.scheduler.job(job.id)).state is JobState.PAUSED
        await lab.scheduler.resume(job.id)
        await asyncio.wait_for(lab.controls["a"].until_going_on(), timeout=SOON_S)
        aborted = await lab.scheduler.abort(job.id, "enough")
        assert (aborted.state, aborted.error) == (JobState.INTERRUPTED, "enough")
        again = await lab.scheduler.resume(job.id)
        assert (again.state, again.run_id) == (JobState.QUEUED, "run of a")
        await lab.until_begun("a", "a")
        await lab.end("a")
        with pytest.raises(WrongState, match="does not run now"):
            await lab.scheduler.pause(job.id)


async def test_a_daemon_that_stops_ends_its_job_in_order_and_goes_on_with_it_first(lab: Lab) -> None:
    for name in ("a", "b"):
        await lab.submit(name)
    async with running(lab):
        await lab.until_begun("a")
    first, second = await lab.scheduler.jobs()
    assert (first.plan_name, first.state, first.run_id, first.error) == ("a", JobState.QUEUED, "run of a", "the daemon stops")
    assert second.plan_name == "b"
    lab.begun.clear()
    async with running(lab):
        await lab.until_begun("a")
        await lab.end("a")
        await lab.until_begun("a", "b")
        await lab.end("b")


async def test_a_job_that_somebody_aborted_stays_ended_though_the_daemon_stops_on_its_way_out(lab: Lab) -> None:
    job = await lab.submit("a")
    lab.way_out.clear()
    async with running(lab):
        await lab.until_begun("a")
        aborted = asyncio.create_task(lab.scheduler.abort(job.id, "enough"))
        await asyncio.wait_for(lab.controls["a"].stop.wait(), timeout=SOON_S)
        asyncio.get_running_loop().call_soon(lab.way_out.set)  # after the daemon's stop
    ended = await aborted
    assert (ended.state, ended.error) == (JobState.INTERRUPTED, "enough")


async def test_a_job_that_somebody_aborted_stays_ended_though_the_daemon_was_killed_before_it_was_written(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "ABORT_S", SOON_S)
    job = await lab.submit("a")
    lab.way_out.clear()
    async with running(lab):
        await lab.until_begun("a")
        aborted = asyncio.create_task(lab.scheduler.abort(job.id, "enough"))
        await asyncio.wait_for(lab.controls["a"].stop.wait(), timeout=SOON_S)
        lab.catalogue.refuses = True  # from here on nothing reaches the catalogue, as after a kill
        lab.way_out.set()
        await asyncio.wait_for(lab.catalogue.refused.wait(), timeout=SOON_S)
    with pytest.raises(StoreError):
        await aborted
    lab.catalogue.refuses = False
    assert await lab.states() == {"a": JobState.RUNNING}
    lab.begun.clear()
    await lab.submit("b")
    async with running(lab):
        await lab.until_begun("b")
        ended = await lab.scheduler.job(job.id)
        assert (ended.state, ended.error) == (JobState.INTERRUPTED, "enough")
        await lab.end("b")


@pytest.mark.parametrize("stalls", [False, True])
async def test_a_disk_that_refuses_or_stalls_keeps_no_job_from_being_aborted(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, *, stalls: bool
) -> None:
    monkeypatch.setattr(scheduler, "AGAIN_S", 0.0)
    monkeypatch.setattr(scheduler, "ABORT_S", 0.0)
    job = await lab.submit("a")
    async with running(lab):
        await lab.until_begun("a")
        if stalls:
            async with lab.catalogue.held_up():
                aborted = asyncio.create_task(lab.scheduler.abort(job.id, "enough"))
                await asyncio.wait_for(lab.controls["a"].stop.wait(), timeout=SOON_S)
        else:
            lab.catalogue.refuses = True
            aborted = asyncio.create_task(lab.scheduler.abort(job.id, "enough"))
            await asyncio.wait_for(lab.controls["a"].stop.wait(), timeout=SOON_S)
            lab.catalogue.refuses = False
        assert (await asyncio.wait_for(aborted, timeout=SOON_S)).state is JobState.INTERRUPTED


async def test_what_a_killed_daemon_was_running_goes_first(lab: Lab) -> None:
    for name in ("a", "b"):
        await lab.submit(name)
    job = (await lab.scheduler.jobs())[1]
    await lab.catalogue.do(lambda catalogue: catalogue.jobs.begin(job.id))  # and then kill -9
    async with running(lab):
        await lab.until_begun("b")
        await lab.end("b")
        await lab.until_begun("b", "a")
        await lab.end("a")


async def test_a_paused_queue_stays_paused_over_a_restart(lab: Lab) -> None:
    await lab.scheduler.pause_queue("emergency stop by ann")
    await lab.submit("a")
    async with running(lab):
        await asyncio.sleep(0)
        assert (await lab.scheduler.status()).why_paused == "emergency stop by ann"
    async with running(lab):
        assert lab.begun == []
        await lab.scheduler.resume_queue()
        await lab.until_begun("a")
        await lab.end("a")


async def test_a_job_does_not_begin_before_its_time(lab: Lab) -> None:
    await lab.submit("later", not_before_ns=NOW_NS + HOUR_NS)
    await lab.submit("now")
    async with running(lab):
        await lab.until_begun("now")
        lab.now_ns += HOUR_NS
        await lab.end("now")
        await lab.until_begun("now", "later")
        await lab.end("later")


async def test_a_recurring_job_comes_again_and_missed_times_run_once(lab: Lab) -> None:
    job = await lab.submit("nightly", recurrence="0 2 * * *", zone="Europe/Berlin")
    assert job.not_before_ns == NOW_NS + int(10.5 * HOUR_NS)  # 1:00 UTC
    lab.now_ns += 5 * 24 * HOUR_NS  # the daemon was off for five days
    async with running(lab):
        await lab.until_begun("nightly")
        await lab.end("nightly")
    again = next(job for job in await lab.scheduler.jobs() if job.state is JobState.QUEUED)
    assert again.id != job.id
    assert again.run_id == ""
    assert again.not_before_ns is not None
    assert 0 < again.not_before_ns - lab.now_ns < 24 * HOUR_NS


async def test_a_lease_keeps_the_jobs_of_others_waiting_until_it_ends(lab: Lab) -> None:
    await lab.scheduler.take_lease("ann", NOW_NS + HOUR_NS, "a new board")
    await lab.submit("of bob", submitted_by="bob")
    await lab.submit("of ann", submitted_by="ann")
    with pytest.raises(LeaseHeld, match="reserved by ann for a new board"):
        await lab.scheduler.take_lease("bob", NOW_NS + HOUR_NS, "")
    async with running(lab):
        await lab.until_begun("of ann")
        lab.now_ns += HOUR_NS + 1
        await lab.end("of ann")
        await lab.until_begun("of ann", "of bob")
        await lab.end("of bob")
        assert await lab.scheduler.lease() is None


async def test_only_waiting_jobs_can_be_changed(lab: Lab) -> None:
    job = await lab.submit("a")
    edited = await lab.scheduler.edit(job.id, priority=3, note="for the paper")
    assert (edited.priority, edited.note) == (3, "for the paper")
    async with running(lab):
        await lab.until_begun("a")
        for ask in (lab.scheduler.edit(job.id, priority=1), lab.scheduler.cancel(job.id), lab.scheduler.move(job.id, Place.FIRST)):
            with pytest.raises(WrongState, match="is running; this can be done to a waiting job only"):
                await ask
        await lab.end("a")


async def test_two_jobs_hastened_run_in_the_opposite_order_the_last_one_first(lab: Lab) -> None:
    ids = {name: (await lab.submit(name)).id for name in ("a", "b", "c", "d")}
    for name in ("c", "b"):
        await lab.scheduler.run_now(ids[name])
    assert [job.plan_name for job in await lab.scheduler.jobs()] == ["b", "c", "a", "d"]


async def test_the_job_hastened_last_is_next_whatever_its_priority(lab: Lab) -> None:
    ids = {name: (await lab.submit(name, priority=priority)).id for name, priority in (("a", 0), ("b", 5), ("c", 0))}
    for name in ("b", "c"):
        await lab.scheduler.run_now(ids[name])
    assert [job.plan_name for job in await lab.scheduler.jobs()] == ["c", "b", "a"]


async def test_what_a_killed_daemon_was_running_goes_before_a_job_that_was_hastened(lab: Lab) -> None:
    killed, hastened = await lab.submit("a"), await lab.submit("b", priority=5)
    await lab.catalogue.do(lambda catalogue: catalogue.jobs.begin(killed.id))  # and then kill -9
    await lab.scheduler.run_now(hastened.id)
    async with running(lab):
        await lab.until_begun("a")
        await lab.end("a")
        await lab.until_begun("a", "b")
        await lab.end("b")


async def test_no_job_begins_after_the_bench_was_stopped_even_one_whose_turn_had_come(lab: Lab) -> None:
    await lab.submit("a")
    async with lab.catalogue.held_up():
        going = asyncio.create_task(lab.scheduler.run(), name="scheduler")
        await asyncio.sleep(0)  # the scheduler has asked whose turn it is
        lab.scheduler.hold("emergency stop by ann")
        await asyncio.wait_for(lab.scheduler.until_over(), timeout=SOON_S)
    status = await lab.scheduler.status()
    assert (status.paused, status.why_paused, status.job) == (True, "emergency stop by ann", "")
    await lab.scheduler.pause_queue("emergency stop by ann")
    async with asyncio.timeout(SOON_S):
        while await lab.states() != {"a": JobState.QUEUED}:  # noqa: ASYNC110  its turn had come: it is put back, which no event tells
            await asyncio.sleep(0)
    assert lab.begun == []
    await lab.scheduler.resume_queue()
    await lab.until_begun("a")
    await lab.end("a")
    going.cancel()
    await asyncio.wait((going,))


async def test_a_stop_of_the_bench_while_the_queue_is_being_resumed_holds(lab: Lab) -> None:
    why = "emergency stop by ann"
    lab.scheduler.hold(why)
    await lab.scheduler.pause_queue(why)
    await lab.submit("a")
    async with running(lab):
        async with lab.catalogue.held_up():
            resumed = asyncio.create_task(lab.scheduler.resume_queue())
            await asyncio.sleep(0)  # it waits for the disk
            lab.scheduler.hold(why)
        with pytest.raises(WrongState, match=f"the queue stays paused: {why}"):
            await resumed
        assert await lab.catalogue.do(lambda catalogue: catalogue.jobs.paused()) == why
        assert (await lab.scheduler.status()).paused
        assert lab.begun == []
        await lab.scheduler.resume_queue()
        await lab.until_begun("a")
        await lab.end("a")


async def test_stopping_the_bench_reaches_the_run_while_the_disk_refuses(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "AGAIN_S", 0.0)
    await lab.submit("a")
    async with running(lab):
        await lab.until_begun("a")
        lab.catalogue.refuses = True
        lab.scheduler.hold("emergency stop by ann")
        await asyncio.wait_for(lab.scheduler.until_over(), timeout=SOON_S)
        assert lab.controls["a"].reason == "emergency stop by ann"
        lab.catalogue.refuses = False
        await asyncio.wait_for(lab.scheduler.until_idle(), timeout=SOON_S)
        assert await lab.states() == {"a": JobState.INTERRUPTED}


async def test_a_disk_that_refuses_ends_neither_the_queue_nor_what_a_job_came_to(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "AGAIN_S", 0.0)
    for name in ("a", "b"):
        await lab.submit(name)
    async with running(lab):
        await lab.until_begun("a")
        lab.catalogue.refuses = True
        lab.ends["a"].set_result(JobOutcome(JobState.FINISHED, "run of a", ""))
        await asyncio.wait_for(lab.catalogue.refused.wait(), timeout=SOON_S)
        lab.catalogue.refuses = False
        await lab.until_begun("a", "b")
        assert await lab.states() == {"a": JobState.FINISHED, "b": JobState.RUNNING}
        await lab.end("b")


async def test_a_job_that_a_stalled_disk_begins_late_runs(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "AGAIN_S", 0.0)
    for name in ("a", "b"):
        await lab.submit(name)
    lab.catalogue.stalls = 2  # the first step looks for what a kill left
    async with running(lab):
        await asyncio.wait_for(lab.catalogue.refused.wait(), timeout=SOON_S)
        lab.catalogue.goes_on.set()
        await lab.until_begun("a")
        await lab.end("a")
        await lab.until_begun("a", "b")
        await lab.end("b")


async def test_a_job_that_a_stalled_disk_ends_late_keeps_no_other_waiting_and_its_abort_is_answered(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "AGAIN_S", 0.0)
    nightly = await lab.submit("nightly", recurrence="0 2 * * *", zone="UTC", not_before_ns=NOW_NS)
    await lab.submit("b")
    async with running(lab):
        await lab.until_begun("nightly")
        aborted = asyncio.create_task(lab.scheduler.abort(nightly.id, "enough"))
        await asyncio.wait_for(lab.controls["nightly"].stop.wait(), timeout=SOON_S)
        lab.catalogue.stalls = 1
        await asyncio.wait_for(lab.catalogue.refused.wait(), timeout=SOON_S)
        lab.catalogue.goes_on.set()
        assert (await asyncio.wait_for(aborted, timeout=SOON_S)).state is JobState.INTERRUPTED
        await lab.until_begun("nightly", "b")
        await lab.end("b")
    assert [job.state for job in await lab.scheduler.jobs() if job.recurrence] == [JobState.QUEUED]


async def test_a_job_cancelled_while_the_scheduler_looks_for_one_ends_nothing_else(lab: Lab) -> None:
    first, _ = await lab.submit("a"), await lab.submit("b")
    async with running(lab):
        async with lab.catalogue.held_up():
            cancelled = asyncio.create_task(lab.scheduler.cancel(first.id))
            await asyncio.sleep(0)
        await asyncio.wait((cancelled,))
        name = "b" if cancelled.exception() is None else "a"  # whoever came first
        await lab.until_begun(name)
        await lab.end(name)


async def test_a_recurrence_that_means_nothing_is_refused_with_a_start_time_too(lab: Lab) -> None:
    with pytest.raises(RecurrenceError, match="every night at two"):
        await lab.submit("a", recurrence="every night at two", zone="UTC", not_before_ns=NOW_NS)
    job = await lab.submit("a", recurrence="0 2 * * *", zone="UTC", not_before_ns=NOW_NS + HOUR_NS)
    assert job.not_before_ns == NOW_NS + HOUR_NS
    with pytest.raises(RecurrenceError, match="Mars/Olympus"):
        await lab.scheduler.edit(job.id, zone="Mars/Olympus")
    moved = await lab.scheduler.edit(job.id, zone="Europe/Berlin")
    assert moved.not_before_ns == NOW_NS + int(10.5 * HOUR_NS)


async def test_a_zone_that_does_not_exist_is_refused_without_a_recurrence_too(lab: Lab) -> None:
    with pytest.raises(RecurrenceError, match="'Mars/Olympus': there is no such time zone"):
        await lab.submit("a", zone="Mars/Olympus")
    job = await lab.submit("a", zone="UTC")
    with pytest.raises(RecurrenceError, match="'Mars/Olympus': there is no such time zone"):
        await lab.scheduler.edit(job.id, zone="Mars/Olympus")
    assert [job.zone for job in await lab.scheduler.jobs()] == ["UTC"]


async def test_a_job_that_recurs_no_more_does_not_wait_for_its_next_occurrence(lab: Lab) -> None:
    job = await lab.submit("a", recurrence="30 2 * * *", zone="Europe/Berlin")
    assert job.not_before_ns is not None
    once = await lab.scheduler.edit(job.id, recurrence="")
    assert (once.recurrence, once.not_before_ns) == ("", None)


async def test_a_start_time_that_somebody_chose_stays_when_a_job_recurs_no_more(lab: Lab) -> None:
    job = await lab.submit("a", recurrence="0 2 * * *", zone="UTC", not_before_ns=NOW_NS + HOUR_NS)
    once = await lab.scheduler.edit(job.id, recurrence="")
    assert once.not_before_ns == NOW_NS + HOUR_NS
    other = await lab.submit("b", recurrence="0 2 * * *", zone="UTC")
    later = await lab.scheduler.edit(other.id, recurrence="", not_before_ns=NOW_NS + 2 * HOUR_NS)
    assert later.not_before_ns == NOW_NS + 2 * HOUR_NS


async def test_resuming_an_occurrence_that_failed_makes_no_second_series(lab: Lab) -> None:
    await lab.submit("nightly", recurrence="0 2 * * *", zone="UTC", not_before_ns=NOW_NS)
    async with running(lab):
        await lab.until_begun("nightly")
        await lab.end("nightly", JobState.FAILED, "the board does not answer")
        failed = next(job for job in await lab.scheduler.jobs() if job.state is JobState.FAILED)
        await lab.scheduler.resume(failed.id)
        await lab.until_begun("nightly", "nightly")
        await lab.end("nightly")
    recurring = [job for job in await lab.scheduler.jobs() if job.recurrence]
    assert [job.state for job in recurring] == [JobState.QUEUED]


async def test_a_daemon_that_stops_as_a_nightly_job_ends_leaves_the_next_night_in_the_queue(lab: Lab) -> None:
    await lab.submit("nightly", recurrence="0 2 * * *", zone="UTC", not_before_ns=NOW_NS)
    async with running(lab):
        await lab.until_begun("nightly")
        lab.ends["nightly"].set_result(JobOutcome(JobState.FINISHED, "run of nightly", ""))
    states = sorted((job.state, bool(job.recurrence)) for job in await lab.scheduler.jobs())
    assert states == [(JobState.FINISHED, False), (JobState.QUEUED, True)]


async def test_a_run_whose_end_the_disk_refused_ends_with_its_job(lab: Lab) -> None:
    job = await lab.submit("a")
    async with running(lab):
        await lab.until_begun("a")
        run = await lab.catalogue.do(lambda c: c.runs.create(NewRun("demo", "", "a", "", job=job.id), [], now_ns=NOW_NS))
        lab.ends["a"].set_result(JobOutcome(JobState.FAILED, "", "database or disk is full"))
        await asyncio.wait_for(lab.scheduler.until_idle(), timeout=SOON_S)
    ended = await lab.catalogue.do(lambda c: c.runs.get(run.id))
    assert (ended.state, ended.error) == (RunState.FAILED, "database or disk is full")


@pytest.mark.parametrize("state", [RunState.FINISHED, RunState.FAILED])
async def test_a_job_whose_run_had_ended_when_the_daemon_was_killed_ends_as_its_run_did(lab: Lab, state: RunState) -> None:
    job = await lab.submit("a")

    def killed(catalogue: Catalogue) -> str:
        catalogue.jobs.begin(job.id, now_ns=NOW_NS)
        run = catalogue.runs.create(NewRun("demo", "", "a", "", job=job.id), [], now_ns=NOW_NS)
        catalogue.runs.end(run.id, state, error="all of it", now_ns=NOW_NS + 1)
        return run.id

    run_id = await lab.catalogue.do(killed)
    await lab.catalogue.do(partial(steps.recover, bench="demo", now_ns=NOW_NS + 2))
    ended = await lab.scheduler.job(job.id)
    assert (ended.state, ended.run_id, ended.error) == (JobState(state), run_id, "all of it")


async def test_a_lease_is_ended_by_its_holder_or_by_force_and_that_is_told(lab: Lab) -> None:
    await lab.scheduler.take_lease("ann", NOW_NS + HOUR_NS, "a new board")
    for refused in (lab.scheduler.give_back("bob"), lab.scheduler.refuse_others("bob")):
        with pytest.raises(LeaseHeld, match="reserved by ann for a new board"):
            await refused
    await lab.scheduler.refuse_others("ann")
    await lab.scheduler.give_back("bob", force=True)
    assert await lab.scheduler.lease() is None
