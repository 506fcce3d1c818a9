"""The scheduler: one job at a time, in order, and every way in which a job, or the daemon, can end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from labd.bench.control import RunControl
from labd.errors import StoreError
from labd.queue.scheduler import JobOutcome, Scheduler
from labd.store.jobs import JobRow, JobState, NewJob, Place
from labd.store.leases import LeaseHeld
from labd.store.session import CatalogueSession
from labd.stream.hub import Hub
from labd.stream.news import News

SOON_S = 10.0
NOW_NS = 1_795_444_200_000_000_000  # 2026-11-23 14:30 UTC
HOUR_NS = 3600 * 10**9


@dataclass(slots=True)
class Lab:
    """A scheduler whose jobs wait until the test ends them."""

    catalogue: CatalogueSession
    now_ns: int = NOW_NS
    begun: list[str] = field(default_factory=list)
    ends: dict[str, asyncio.Future[JobOutcome]] = field(default_factory=dict)
    controls: dict[str, RunControl] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    scheduler: Scheduler = field(init=False)

    def __post_init__(self) -> None:
        self.scheduler = Scheduler(self.catalogue, bench="demo", run=self.run, news=Hub[News](), now_ns=lambda: self.now_ns)

    async def run(self, job: JobRow, control: RunControl) -> JobOutcome:
        self.begun.append(job.plan_name)
        self.controls[job.plan_name] = control
        end = self.ends[job.plan_name] = asyncio.get_running_loop().create_future()
        self.changed.set()
        aborted = asyncio.create_task(control.stop.wait())
        await asyncio.wait((end, aborted), return_when=asyncio.FIRST_COMPLETED)
        aborted.cancel()
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
    async with CatalogueSession(tmp_path) as catalogue:
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
        with pytest.raises(StoreError, match="does not run now"):
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
            with pytest.raises(StoreError, match="is running; this can be done to a waiting job only"):
                await ask
        await lab.end("a")
