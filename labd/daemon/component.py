"""A part of the daemon that runs beside the others until its place in the stop order comes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

log = logging.getLogger(__name__)


@asynccontextmanager
async def component(work: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    """Run `work` for the length of the `async with`; it is cancelled, and waited for, at the end.

    A part that fails ends the daemon: the body is cancelled and the failure raised in an exception group, so that nobody goes on
    measuring with half a daemon. One that returns by itself has done its work.
    """
    async with asyncio.TaskGroup() as parts:
        task = parts.create_task(work, name=name)
        try:
            yield
        finally:
            task.cancel()
            log.debug("%s is asked to end", name)
