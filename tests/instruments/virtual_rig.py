"""A persona of the virtual bench on a real socket, and a driver in a thread that talks to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from labd_instruments.checks import Clock
from labd_instruments.contract import Instrument
from labd_instruments.loader import open_driver
from labd_virtual.persona import Persona
from tests.virtual.persona_fakes import Bench

T = TypeVar("T")


class Rig:
    """A driver of any kind (typed as Any: each test knows which protocols it uses), its persona and their bench."""

    def __init__(self, driver: Instrument, persona: Persona, bench: Bench, resource: str) -> None:
        self.driver: Any = driver
        self.persona = persona
        self.bench = bench
        self.resource = resource

    async def do(self, function: Callable[..., T], *args: object) -> T:
        """Call something synchronous in a thread, as the daemon does."""
        return await asyncio.wait_for(asyncio.to_thread(function, *args), 20.0)


@asynccontextmanager
async def rig(driver: str, persona: Persona, bench: Bench, **options: object) -> AsyncIterator[Rig]:
    resource = await persona.serve()
    clock = Clock("bench clock", lambda: bench.clock.now_ns() * 1e-9, 0.0)
    try:
        opened = await asyncio.to_thread(lambda: open_driver(driver, "smu", resource, options, clock=clock))
        try:
            made = Rig(opened, persona, bench, resource)
            await made.do(opened.reset)
            yield made
        finally:
            await asyncio.to_thread(opened.close)
    finally:
        await persona.close()
