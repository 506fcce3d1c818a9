"""A time limit for a block of awaits, right on every Python that labd runs on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def deadline(seconds: float | None) -> AsyncIterator[asyncio.Timeout]:
    """`asyncio.timeout(seconds)`, also in a task that has been cancelled before. Raises TimeoutError.

    Python before 3.11.4 (Debian 12 has 3.11.2) raises CancelledError instead where an earlier cancellation is still counted: on every
    way out of a cancelled task, and after a task group that swallowed its own (cpython issue 102780).
    """
    task = asyncio.current_task()
    assert task is not None
    before = task.cancelling()
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            yield limit
    except asyncio.CancelledError as error:
        if limit.expired() and task.cancelling() <= before:
            raise TimeoutError from error
        raise
