"""The instrument session: one thread, deadlines, cancellation, abandonment."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from labd.stream.session import InstrumentSession, SessionAbandoned, SessionStuck

LONG_S = 20.0


def _double(value: int) -> int:
    return 2 * value


def _fail(text: str) -> None:
    raise LookupError(text)


async def test_all_calls_run_in_one_thread_that_is_not_the_loops() -> None:
    async with InstrumentSession("smu") as session:
        names = {await session.call(threading.get_ident, deadline_s=LONG_S) for _ in range(5)}
    assert len(names) == 1
    assert threading.get_ident() not in names


async def test_results_and_exceptions_come_back_to_the_caller() -> None:
    async with InstrumentSession("smu") as session:
        assert await session.call(_double, 21, deadline_s=LONG_S) == 42
        with pytest.raises(LookupError, match="no such range"):
            await session.call(_fail, "no such range", deadline_s=LONG_S)
        with pytest.raises(TimeoutError, match="link"):
            await session.call(_raise_timeout, deadline_s=LONG_S)


def _raise_timeout() -> None:
    raise TimeoutError("link")


async def test_stop_iteration_does_not_hang_the_caller() -> None:
    async with InstrumentSession("smu") as session:
        with pytest.raises(RuntimeError, match="StopIteration"):
            await session.call(next, iter(()), deadline_s=LONG_S)


async def test_a_missed_deadline_names_instrument_and_call_and_marks_the_session_stuck() -> None:
    release = threading.Event()
    async with InstrumentSession("smu") as session:
        with pytest.raises(SessionStuck, match=r"smu: wait did not return within 0\.05 s"):
            await session.call(release.wait, LONG_S, deadline_s=0.05)
        assert session.stuck
        release.set()
        assert await session.call(_double, 1, deadline_s=LONG_S) == 2
        assert not session.stuck


async def test_a_call_given_up_before_it_began_never_runs() -> None:
    release = threading.Event()
    switched_on = threading.Event()
    async with InstrumentSession("smu") as session:
        with pytest.raises(SessionStuck):
            await session.call(release.wait, LONG_S, deadline_s=0.01)
        with pytest.raises(SessionStuck, match=r"set never began .* the thread is in wait since"):
            await session.call(switched_on.set, deadline_s=0.01)
        release.set()
        await session.call(_double, 1, deadline_s=LONG_S)
    assert not switched_on.is_set()


async def test_cancelling_the_caller_leaves_the_thread_alone() -> None:
    inside, release, finished = threading.Event(), threading.Event(), threading.Event()

    def read() -> None:
        inside.set()
        release.wait(LONG_S)
        finished.set()

    async with InstrumentSession("smu") as session:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(session.call(read, deadline_s=LONG_S), name="reader")
            await asyncio.to_thread(inside.wait, LONG_S)
            task.cancel()
        assert session.stuck
        assert not finished.is_set()
        release.set()
        await session.call(_double, 1, deadline_s=LONG_S)
        assert finished.is_set()
        assert not session.stuck


async def test_abandon_fails_waiting_calls_and_refuses_new_ones() -> None:
    inside, release = threading.Event(), threading.Event()

    def read() -> None:
        inside.set()
        release.wait(LONG_S)

    async with InstrumentSession("smu") as session:
        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(_outcome(session.call(read, deadline_s=LONG_S)), name="first")
            await asyncio.to_thread(inside.wait, LONG_S)
            second = tasks.create_task(_outcome(session.call(_double, 1, deadline_s=LONG_S)), name="second")
            await asyncio.sleep(0)
            session.abandon()
            release.set()
        assert first.result() is None
        assert isinstance(second.result(), SessionAbandoned)
        with pytest.raises(SessionAbandoned, match="_double was called after"):
            await session.call(_double, 1, deadline_s=LONG_S)


async def _outcome(call: object) -> object:
    try:
        await call  # type: ignore[misc]
    except SessionAbandoned as error:
        return error
    return None


async def test_closing_a_stuck_session_abandons_it() -> None:
    release = threading.Event()
    session = InstrumentSession("smu")
    async with session:
        with pytest.raises(SessionStuck):
            await session.call(release.wait, LONG_S, deadline_s=0.01)
        await session.close(deadline_s=0.01)
    assert session.abandoned
    release.set()


def test_a_hanging_read_does_not_delay_the_exit_of_the_interpreter() -> None:
    program = """
import asyncio, threading
from labd.stream.session import InstrumentSession
async def main():
    session = InstrumentSession("smu")
    await session.__aenter__()
    try:
        await session.call(threading.Event().wait, 3600.0, deadline_s=0.05)
    except Exception as error:
        print(error)
asyncio.run(main())
"""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": f"{root}:{root / 'instruments'}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "did not return within 0.05 s" in done.stdout
