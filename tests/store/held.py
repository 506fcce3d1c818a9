"""A thread of the catalogue that is inside a call."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from labd.store.catalogue import Catalogue


@asynccontextmanager
async def held(run: Callable[[Callable[[Catalogue], bool]], Awaitable[bool]]) -> AsyncIterator[None]:
    """The thread behind `do` or `read` of a session takes no other call for the length of the `async with`."""
    loop, begun, go_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def waits(_: Catalogue) -> bool:
        loop.call_soon_threadsafe(begun.set)
        return go_on.wait(timeout=30)

    task = asyncio.ensure_future(run(waits))
    await begun.wait()
    try:
        yield
    finally:
        go_on.set()
        await task
