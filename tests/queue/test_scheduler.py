"""The scheduler: one job at a time, in order, and every way in which a job, or the daemon, can end."""

from __future__ import annotations

import asyncio

import pytest

from labd.errors import StoreError, WrongState
from labd.queue import scheduler
from labd.queue.recurrence import RecurrenceError
from labd.queue.steps import JobOutcome
from labd.store.jobs import JobState, Place
from labd.store.leases import LeaseHeld
from tests.queue.scheduler_lab import HOUR_NS, NOW_NS, SOON_S, Lab, running


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


async def test_a_run_that_one_job_goes_on_with_is_not_given_to_another(lab: Lab) -> None:
    first = await lab.submit("a")
    async with running(lab):
        await lab.until_begun("a")
        await lab.end("a", JobState.FAILED, "the board does not answer")
        run = (await lab.scheduler.job(first.id)).run_id
        await lab.scheduler.pause_queue("a look at the board")
        other = await lab.submit("b", run_id=run)
        with pytest.raises(WrongState, match=f"job {other.id} \\(queued\\) goes on with run {run} already"):
            await lab.scheduler.resume(first.id)
    assert [job.id for job in await lab.scheduler.jobs() if job.state is JobState.QUEUED] == [other.id]


async def test_a_daemon_that_stops_as_a_nightly_job_ends_leaves_the_next_night_in_the_queue(lab: Lab) -> None:
    await lab.submit("nightly", recurrence="0 2 * * *", zone="UTC", not_before_ns=NOW_NS)
    async with running(lab):
        await lab.until_begun("nightly")
        lab.ends["nightly"].set_result(JobOutcome(JobState.FINISHED, "run of nightly", ""))
    states = sorted((job.state, bool(job.recurrence)) for job in await lab.scheduler.jobs())
    assert states == [(JobState.FINISHED, False), (JobState.QUEUED, True)]


async def test_a_lease_is_ended_by_its_holder_or_by_force_and_that_is_told(lab: Lab) -> None:
    await lab.scheduler.take_lease("ann", NOW_NS + HOUR_NS, "a new board")
    for refused in (lab.scheduler.give_back("bob"), lab.scheduler.refuse_others("bob")):
        with pytest.raises(LeaseHeld, match="reserved by ann for a new board"):
            await refused
    await lab.scheduler.refuse_others("ann")
    await lab.scheduler.give_back("bob", force=True)
    assert await lab.scheduler.lease() is None
