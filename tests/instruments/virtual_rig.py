"""A persona of the virtual bench on a real socket, and a driver in a thread that talks to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from labd_instruments.block import Block
from labd_instruments.checks import Clock
from labd_instruments.contract import Instrument, Reading, StreamSetup
from labd_instruments.loader import open_driver
from labd_virtual.persona import SERVERS, Persona
from labd_virtual.wire import Interface
from tests.virtual.persona_fakes import Bench, SteppedClock

T = TypeVar("T")
MOST_LOOKS = 200


@dataclass(frozen=True, slots=True)
class Wired:
    """How a driver and its persona are set up for what every driver is asked: `WIRED` of `test_DRIVER_against_virtual.py`.

    options: of both. wires: as in PersonaSetup. supply_v, load_a: what a source feeds, or what flows through a meter. ranges: fixed, which
    the instrument has. aperture_s: of a mean. stream_dt_s, capture_dt_s: of what streams and captures. fires: whether a capture
    fires the board (`fire_dut`), where the bus triggers it no other way. sinks, senses: whether its output may be asked to sink when off,
    and to be sensed at the board. most: V and A that a bench with it may allow its board. tables: ranges of the persona by quantity, all
    without error. stranger: what another instrument says at the opening, as a dialogue. interfaces: those of the network that the real one
    has. ammeter: it measures current alone, so that a run takes the voltage from the source.
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
    sinks: bool = True
    senses: bool = True
    most: tuple[float, float] = (3.6, 0.2)
    stranger: str = "> *IDN?\n< ACME,Toaster,1,2"
    interfaces: tuple[Interface, ...] = tuple(SERVERS)
    ammeter: bool = False


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

    async def stream(self, setup: StreamSetup, blocks: list[Block], *, steps: int, step_s: float) -> None:
        """Collects what a stream delivers while so many steps of board time pass; it runs on."""
        await self.do(self.driver.configure_stream, setup)
        await self.do(self.driver.start_stream)
        for _ in range(steps):
            self.bench.clock.pass_s(step_s)
            while (block := await self.do(self.driver.read_block)) is not None:
                blocks.append(block)

    async def next_mean(self, *, step_s: float = 0.02) -> Reading:
        """The next steady reading, looked for after each step of board time."""
        for _ in range(MOST_LOOKS):
            reading: Reading | None = await self.do(self.driver.read_mean)
            if reading is not None:
                return reading
            self.bench.clock.pass_s(step_s)
        raise AssertionError(f"no new reading in {MOST_LOOKS} looks")


class Hesitant:
    """A link of a host that hesitates for 0.1 s of board time before the next block it asks for, when it is told to."""

    def __init__(self, link: Any, clock: SteppedClock) -> None:
        self._link, self._clock, self.hesitates = link, clock, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)

    def query_definite_block(self, command: str, dtype: str) -> Any:
        if self.hesitates:
            self.hesitates = False
            self._clock.pass_s(0.1)
        return self._link.query_definite_block(command, dtype)


def column(blocks: Sequence[Block], name: str) -> Any:
    """One column of blocks in a row, [n]."""
    return np.concatenate([getattr(b, name) for b in blocks])


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
