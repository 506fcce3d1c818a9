"""What holds up the event loop is told with its place; waiting and other threads are not."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Any

from labd import loop_watch
from labd.loop_watch import watched_loop


def compute(seconds: float) -> None:
    end_s = time.thread_time() + seconds
    while time.thread_time() < end_s:
        pass


async def test_a_callback_that_computes_for_long_is_told_once_with_its_place() -> None:
    told: list[str] = []
    with watched_loop(told.append, longest_s=0.3):
        await asyncio.sleep(0)
        compute(0.7)
    assert len(told) == 1
    assert "held up" in told[0]
    assert "compute" in told[0]


async def test_many_short_callbacks_are_no_long_one() -> None:
    told: list[str] = []
    with watched_loop(told.append, longest_s=0.3):
        for _ in range(40):
            compute(0.02)
            await asyncio.sleep(0)
    assert told == []


async def in_a_thread(work: Callable[[], object]) -> None:
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def worker() -> None:
        work()
        loop.call_soon_threadsafe(done.set)

    threading.Thread(target=worker).start()
    await done.wait()


async def test_a_loop_that_waits_and_a_thread_that_computes_are_no_reason() -> None:
    told: list[str] = []
    with watched_loop(told.append, longest_s=0.2):
        await in_a_thread(lambda: compute(0.5))
    assert told == []


MADE_UP = """
import sqlite3
def look():
    sqlite3.connect(':memory:').close()
async def work():
    look()
"""


def labds_own() -> dict[str, Callable[[], Any]]:
    """Code that seems to be labd's."""
    made_up: dict[str, Callable[[], Any]] = {}
    exec(compile(MADE_UP, f"{loop_watch.PACKAGE}/made_up.py", "exec"), made_up)
    return made_up


def test_a_blocking_call_of_labds_own_code_in_the_loop_is_told() -> None:
    told: list[str] = []
    code = labds_own()

    async def main() -> None:
        with watched_loop(told.append):
            await code["work"]()
            await asyncio.create_task(code["work"]())
        await code["work"]()  # nobody watches any more

    asyncio.run(main())
    assert told == 2 * ["sqlite3.connect in the event loop, which waits for it: made_up.py:4 in look"]


def test_what_blocks_in_a_thread_or_is_the_tests_own_is_not_told() -> None:
    told: list[str] = []
    code = labds_own()

    async def main() -> None:
        with watched_loop(told.append):
            sqlite3.connect(":memory:").close()
            code["look"]()
            await in_a_thread(code["look"])

    asyncio.run(main())
    assert told == []
