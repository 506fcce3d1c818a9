"""How a run waits: on the wall clock beside real instruments, on the virtual bench's clock in stepped time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol


class BenchClock(Protocol):
    """Time on the bench. Outside `running` a stepped bench stands still, so that labd's own thinking takes no board time."""

    stepped: bool

    async def sleep(self, seconds: float) -> None:
        """Let `seconds` of bench time pass."""

    def running(self) -> AbstractAsyncContextManager[None]:
        """Bench time passes inside, while somebody on the bench waits for it."""


class WallClock:
    """Real benches: time passes by itself."""

    stepped = False

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        yield
