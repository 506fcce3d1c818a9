"""Ends what runs when somebody asks for it, and waits for its way out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from labd.errors import Interrupted, LabdError

T = TypeVar("T")

BY_SIGNAL = "stopped by a signal"


async def stoppable(work: Coroutine[Any, Any, T], stop: asyncio.Event, *, why: Callable[[], str] = lambda: "") -> T:
    """Run `work` until it ends or `stop` is set; then it is cancelled, its way out is awaited, and Interrupted is raised.

    why: asked then for the reason; empty: a signal.
    """
    task = asyncio.create_task(work, name="run")
    waiter = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait((task, waiter), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait((task,))
    finally:
        waiter.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait((task,))
    if task.cancelled() and not stop.is_set():
        raise LabdError("the run ended as if it had been cancelled, but nobody asked for that: a defect of labd's, please report it")
    if task.cancelled():
        raise Interrupted(f"{why() or BY_SIGNAL}; outputs are off, what was captured is stored")
    return task.result()
