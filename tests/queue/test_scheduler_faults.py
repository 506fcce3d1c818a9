"""The scheduler while the disk refuses or stalls, the bench is stopped, or the daemon is killed."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from labd.errors import WrongState
from labd.queue import scheduler, steps
from labd.queue.steps import JobOutcome
from labd.store.catalogue import Catalogue
from labd.store.jobs import JobState
from labd.store.rows import NewRun, RunState
from tests.queue.scheduler_lab import NOW_NS, SOON_S, Lab, running


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
