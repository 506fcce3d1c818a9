"""What a job of the daemon meets before its first capture."""

from __future__ import annotations

from pathlib import Path

import pytest

from labd.analyse.worker import Worker
from labd.bench.control import RunControl
from labd.daemon.around import Surroundings
from labd.daemon.guarding import journal_of
from labd.daemon.jobs import BenchUse
from labd.guard.journal import Journal
from labd.guard.link import GuardLink
from labd.store.jobs import JobKind, JobState, NewJob
from labd.store.session import CatalogueSession
from tests.cli.bench_apart import write_plan
from tests.daemon.real_bench import real_bench
from tests.guard.guarded_bench import guard_process


@pytest.mark.parametrize("stopped", [True, False])
async def test_a_job_whose_bench_nobody_guards_or_that_is_held_off_fails_and_no_other_begins(tmp_path: Path, stopped: bool) -> None:
    bench = real_bench(tmp_path)
    plan = write_plan(tmp_path / "plan.toml").read_text("utf-8")
    alarms: list[str] = []

    async def alarm(text: str) -> None:
        alarms.append(text)

    if stopped:
        async with Journal(journal_of(bench)) as book:
            await book.note("stopped", bench.name, "emergency stop by ann")
    with guard_process(tmp_path) as guard:
        if not stopped:
            guard.end()
        async with CatalogueSession(tmp_path / "store") as catalogue, Worker() as worker, GuardLink(guard.socket) as link:
            use = BenchUse(bench.path, Surroundings(catalogue, worker, link))
            use.alarm = alarm
            job = await catalogue.do(lambda c: c.jobs.submit(NewJob("p", plan)))
            outcome = await use.run(job, RunControl())
    assert outcome.state is JobState.FAILED
    assert alarms == [outcome.error]
    assert ("emergency stop by" if stopped else "no guard serves") in outcome.error


async def test_an_accuracy_job_whose_run_has_its_result_is_done(tmp_path: Path) -> None:
    """What it asks for is not there any more, and no guard serves: nothing is done again."""
    bench, ended = real_bench(tmp_path), "20260101-000000-words"
    (tmp_path / "store/accuracy" / ended).mkdir(parents=True)
    (tmp_path / "store/accuracy" / ended / "result.json").write_text("{}")
    asked = '{"dataset": "0000000000000000", "model": "", "fresh": true, "verify_every": 0}'
    async with CatalogueSession(tmp_path / "store") as catalogue, Worker() as worker, GuardLink(tmp_path / "guard.sock") as link:
        use = BenchUse(bench.path, Surroundings(catalogue, worker, link))
        new = NewJob("accuracy on words", "", kind=JobKind.ACCURACY, asked=asked)
        job = await catalogue.do(lambda c: c.jobs.submit(new))
        before = await use.run(job, RunControl())
        await catalogue.do(lambda c: c.jobs.learn(job.id, made=ended))
        after = await use.run(await catalogue.do(lambda c: c.jobs.get(job.id)), RunControl())
    assert before.state is JobState.FAILED
    assert (after.state, after.error) == (JobState.FINISHED, "")
