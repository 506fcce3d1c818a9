"""The process that computes: what it is asked comes back, its end is told by name, and the next task finds another."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from labd import logs
from labd.analyse.worker import Worker, WorkerLost
from labd.errors import FileError, NotFound, StoreError

LONG_S = 30.0


def double(value: int) -> int:
    return 2 * value


def pid() -> int:
    return os.getpid()


def noisy() -> str:
    sys.stdout.write("a library talks\n")
    sys.stdout.flush()
    return "an answer"


def shout(size: int) -> int:
    sys.stderr.write("a library warns\n" + "w" * size + "\nand ends\n")
    sys.stderr.flush()
    return size


def die_complaining() -> None:
    sys.stderr.write("w" * 1_000_000 + "\nno more memory\n")
    sys.stderr.flush()
    os.kill(os.getpid(), signal.SIGKILL)


def hang() -> None:
    time.sleep(LONG_S)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def refuse() -> None:
    raise FileError("bench.toml", "limits.voltage", 'expected a voltage such as "3.3 V"')


def fail() -> None:
    raise ZeroDivisionError("an estimator's mistake")


@pytest.fixture
async def worker() -> AsyncIterator[Worker]:
    async with Worker() as found:
        yield found


async def test_tasks_are_done_one_after_the_other_in_one_process(worker: Worker) -> None:
    assert await asyncio.gather(*(worker.call(double, n) for n in range(20))) == [2 * n for n in range(20)]
    first, second = await worker.call(pid), await worker.call(pid)
    assert first == second == worker.pid != os.getpid()


async def test_what_a_library_prints_is_not_taken_for_an_answer(worker: Worker) -> None:
    assert await worker.call(noisy) == "an answer"


async def test_a_task_that_says_more_than_a_pipe_holds_is_done_and_the_log_has_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with Worker() as worker:
        assert await worker.call(shout, 10**6, deadline_s=LONG_S) == 10**6
        assert await worker.call(shout, 10**6, deadline_s=LONG_S) == 10**6
    said = [record.getMessage().removeprefix("the process that computes says: ") for record in caplog.records]
    assert (said.count("a library warns"), said.count("and ends")) == (2, 2)
    assert max(map(len, said)) < 1000


class Masked(logging.Filter):
    """As the daemon's log has it."""

    def filter(self, record: logging.LogRecord) -> bool:
        return logs.masked(record)


async def test_what_the_process_says_is_not_told_of_the_run_that_it_was_started_for(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with caplog.filtering(Masked()), logs.about(bench="b"):
        async with Worker() as worker:
            with logs.about(run="first"):
                await worker.call(pid)
            await worker.call(shout, 1)
    assert {(record.__dict__["bench"], record.__dict__.get("run")) for record in caplog.records} == {("b", None)}


async def test_the_last_words_of_a_process_that_dies_are_told(worker: Worker) -> None:
    with pytest.raises(WorkerLost, match=r"ended during die_complaining: exit -9, no more memory$"):
        await worker.call(die_complaining, deadline_s=LONG_S)


async def test_an_error_of_labd_comes_back_as_itself(worker: Worker) -> None:
    with pytest.raises(FileError, match=r"limits\.voltage") as caught:
        await worker.call(refuse)
    assert caught.value.exit_code == FileError.exit_code
    with pytest.raises(NotFound, match="no such trace"):
        await worker.finish_trace(Path("/nowhere/0000-floor.parquet"))


async def test_any_other_error_is_named_with_the_task(worker: Worker) -> None:
    with pytest.raises(StoreError, match="fail: ZeroDivisionError: an estimator's mistake"):
        await worker.call(fail)
    assert await worker.call(double, 1) == 2


async def test_a_process_that_dies_fails_its_task_by_name_and_the_next_task_gets_another(worker: Worker) -> None:
    with pytest.raises(WorkerLost, match="ended during die: exit -9"):
        await worker.call(die)
    assert await worker.call(double, 4) == 8


async def test_a_task_beyond_its_deadline_takes_the_process_with_it(worker: Worker) -> None:
    before = await worker.call(pid)
    with pytest.raises(TimeoutError):
        await worker.call(hang, deadline_s=0.05)
    assert await worker.call(pid) != before


async def test_a_cancelled_task_is_not_answered_to_the_next_one(worker: Worker) -> None:
    await worker.call(pid)
    task = asyncio.create_task(worker.call(hang))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await worker.call(double, 3) == 6


async def test_leaving_ends_the_process_although_it_hangs() -> None:
    async with Worker() as worker:
        number = await worker.call(pid)
        task = asyncio.create_task(worker.call(hang))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)
