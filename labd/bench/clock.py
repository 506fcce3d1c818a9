"""How a run waits: on the wall clock beside real instruments, on the virtual bench's clock in stepped time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from labd_instruments.checks import HOST_CLOCK, Clock

T = TypeVar("T")

LEAST_BEHIND_S = 0.1  # what drivers allow the clock of a bench in real time, and what every host is late by now and then
TOO_SLOW = "machine too slow for real time"


@dataclass(frozen=True, slots=True)
class Pace:
    """How a virtual bench in real time kept up with this machine's clock. behind_s: at worst; late: how often its board told what it does
    later than that can be placed."""

    behind_s: float = 0.0
    late: int = 0

    @property
    def kept(self) -> bool:
        return self.behind_s <= LEAST_BEHIND_S and not self.late

    @property
    def text(self) -> str:
        return f"this machine was too slow for real time: {self.behind_s:.2g} s behind"


class BenchClock(Protocol):
    """Time on the bench. `for_drivers` is what drivers count records against."""

    for_drivers: Clock
    stepped: bool

    async def sleep(self, seconds: float) -> None:
        """Let `seconds` of bench time pass."""

    async def pace(self) -> Pace:
        """How time was kept since this was last asked. A real bench, and one in stepped time, always keeps it. Raises InstrumentFailure."""

    def frozen(self) -> AbstractAsyncContextManager[None]:
        """On a bench in stepped time nothing happens inside: labd's own thinking takes no board time. A real bench goes on."""


class WallClock:
    """Real benches: time passes by itself."""

    stepped = False
    for_drivers = HOST_CLOCK

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def pace(self) -> Pace:
        return Pace()

    @asynccontextmanager
    async def frozen(self) -> AsyncIterator[None]:
        yield


async def in_steps(clock: BenchClock, work: Coroutine[Any, Any, T], step_s: float) -> T:
    """Finish `work` on a frozen clock: bench time passes a step at a time, so that it is at most one step late when `work` ends.

    A real bench needs none of this.
    """
    if not clock.stepped:
        return await work
    task = asyncio.create_task(work, name="in steps")
    try:
        while not task.done():
            await asyncio.sleep(0)
            await clock.sleep(step_s)
    finally:
        if not task.done():
            task.cancel()
    return await task
