"""A time limit, also where Python's own forgets what it is for."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from labd.deadline import deadline


async def cancelled_once() -> None:
    """Leaves the calling task with a cancellation that was taken, and is still counted."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(1)
    assert task.cancelling() == 1


async def test_what_takes_too_long_is_ended_with_a_time_out() -> None:
    with pytest.raises(TimeoutError):
        async with deadline(0.01):
            await asyncio.Event().wait()


async def test_a_way_out_of_a_cancelled_task_is_limited_the_same() -> None:
    await cancelled_once()
    with pytest.raises(TimeoutError):
        async with deadline(0.01):
            await asyncio.Event().wait()
    with pytest.raises(TimeoutError):
        async with deadline(10), deadline(0.01):
            await asyncio.Event().wait()


async def test_a_cancellation_from_outside_stays_one() -> None:
    began = asyncio.Event()

    async def limited() -> None:
        async with deadline(10):
            began.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(limited())
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_limit_may_be_set_later() -> None:
    async def limited() -> None:
        async with deadline(None) as limit:
            limit.reschedule(asyncio.get_running_loop().time())
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await limited()
