"""A persona of the virtual bench on a real socket, and a driver in a thread that talks to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from labd_instruments.checks import Clock
from labd_instruments.contract import Instrument
from labd_instruments.loader import open_driver
from labd_virtual.persona import Persona
from tests.virtual.persona_fakes import Bench

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wired:
    """How a driver and its persona are set up for what every driver is asked: `WIRED` of `test_DRIVER_against_virtual.py`.

    options: of both. wires: as in PersonaSetup. supply_v, load_a: what a source feeds, or what flows through a meter. ranges: fixed, which
    the instrument has. aperture_s: of a mean. stream_dt_s, capture_dt_s: of what streams and captures. fires: whether a capture
    fires the board (`fire_dut`), where the bus triggers it no other way. tables: ranges of the persona by quantity, all without error.
    stranger: what another instrument says at the opening, as a dialogue.
    """

    options: Mapping[str, object]
    wires: Mapping[str, str]
    current_range_a: float | None
    voltage_range_v: float
    tables: Mapping[str, tuple[float, ...]]
    supply_v: float = 3.0
    load_a: float = 10e-3
    aperture_s: float = 0.1
    stream_dt_s: float = 0.0
    capture_dt_s: float = 0.0
    fires: bool = False
    stranger: str = "> *IDN?\n< ACME,Toaster,1,2"


class Rig:
    """A driver of any kind (typed as Any: each test knows which protocols it uses), its persona and their bench."""

    def __init__(self, driver_name: str, driver: Instrument, persona: Persona, bench: Bench, resource: str) -> None:
        self.driver_name = driver_name
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
            made = Rig(driver, opened, persona, bench, resource)
            await made.do(opened.reset)
            yield made
        finally:
            await asyncio.to_thread(opened.close)
    finally:
        await persona.close()
