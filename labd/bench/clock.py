"""How a run waits: on the wall clock beside real instruments, on the virtual bench's clock in stepped time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from labd_instruments.checks import HOST_CLOCK, Clock


class BenchClock(Protocol):
    """Time on the bench. `for_drivers` is what drivers count records against."""

    for_drivers: Clock
    stepped: bool

    async def sleep(self, seconds: float) -> None:
        """Let `seconds` of bench time pass."""

    def frozen(self) -> AbstractAsyncContextManager[None]:
        """On a bench in stepped time nothing happens inside: labd's own thinking takes no board time. A real bench goes on."""


class WallClock:
    """Real benches: time passes by itself."""

    stepped = False
    for_drivers = HOST_CLOCK

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    @asynccontextmanager
    async def frozen(self) -> AsyncIterator[None]:
        yield
