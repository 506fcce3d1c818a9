"""A small exact bench for persona tests: a stepped clock, a node with a piecewise-constant load, pins, and a VISA client in a thread."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
import pyvisa
from numpy.typing import NDArray
from pyvisa.resources import MessageBasedResource

from labd_virtual.contract import Edge, Integrals
from labd_virtual.persona import ErrorRow, Persona, PersonaSetup
from labd_virtual.wire import Interface

T = TypeVar("T")
_PATIENCE = 5  # turns of the event loop in which a woken task may ask for an earlier instant than the next one
Load = tuple[tuple[int, float], ...]  # (from board time in ns, ampere), ascending


class SteppedClock:
    """Jumps to the earliest awaited instant once everybody had a chance to ask for an earlier one."""

    def __init__(self) -> None:
        self._now = 0
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._serial = itertools.count()
        self._turning = False
        self.limits: dict[str, int] = {}
        self._passive: list[tuple[int, int, Callable[[], None]]] = []

    def now_ns(self) -> int:
        return self._now

    def freeze(self, owner: str) -> None:
        """Nothing moves this clock while a command runs anyway."""

    def thaw(self, owner: str) -> None: ...

    def call_at(self, t_ns: int, action: Callable[[], None]) -> None:
        heapq.heappush(self._passive, (max(t_ns, self._now), next(self._serial), action))

    async def sleep_until(self, t_ns: int) -> None:
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[None] = loop.create_future()
        heapq.heappush(self._sleepers, (t_ns, next(self._serial), woken))
        if not self._turning:
            self._turning = True
            loop.call_soon(self._turn, _PATIENCE)
        await woken

    def _turn(self, loops_left: int) -> None:
        loop = asyncio.get_running_loop()
        if loops_left:
            loop.call_soon(self._turn, loops_left - 1)
            return
        t_ns, _, woken = heapq.heappop(self._sleepers)
        while self._passive and self._passive[0][0] <= t_ns:
            due_ns, _, action = heapq.heappop(self._passive)
            self._now = max(self._now, due_ns)
            action()
        if not woken.cancelled():
            self._now = max(self._now, t_ns)
            woken.set_result(None)
        self._turning = bool(self._sleepers)
        if self._turning:
            loop.call_soon(self._turn, _PATIENCE)

    def set_limit(self, owner: str, t_ns: int | None) -> None:
        if t_ns is None:
            self.limits.pop(owner, None)
        else:
            self.limits[owner] = t_ns

    def hold(self) -> None: ...

    def release(self) -> None: ...

    def pass_s(self, seconds: float) -> None:
        """What the firmware or labd's own sleep does."""
        self._now += round(seconds * 1e9)


class LoadNode:
    """A stiff source with a piecewise-constant load current; the exact integrals are sums of rectangles.

    `volts` holds at all times (1 V until told otherwise); drives are recorded with their board time.
    """

    def __init__(self, clock: SteppedClock, load: Load = ((0, 0.0),), *, volts: float = 3.0, interface: Interface = "socket") -> None:
        self._clock, self.load, self.volts = clock, load, volts
        self.drives: list[tuple[int, float, float, float, bool]] = []
        self.clamped_ns: int | None = None

    def drive(self, *, emf_v: float, resistance_ohm: float, clamp_a: float, connected: bool) -> None:
        self.drives.append((self._clock.now_ns(), emf_v, resistance_ohm, clamp_a, connected))

    def current(self, t_ns: NDArray[np.int64]) -> NDArray[np.float64]:
        starts = np.array([t for t, _ in self.load])
        amps = np.array([a for _, a in self.load])
        found: NDArray[np.float64] = amps[np.searchsorted(starts, t_ns, side="right") - 1]
        return found

    def voltage(self, t_ns: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.full(len(t_ns), self.volts)

    def integrals(self, t_ns: NDArray[np.int64]) -> Integrals:
        assert len(t_ns) == 0 or t_ns.max() <= self._clock.now_ns(), "asked for the future"
        assert np.all(np.diff(t_ns) >= 0), "instants must ascend"
        charge, square = self._integral(t_ns, 1), self._integral(t_ns, 2)
        return Integrals(charge, square, self.volts * t_ns.astype(np.float64) * 1e-9, self.volts * charge)

    def clamped_since(self) -> int | None:
        return self.clamped_ns

    def _integral(self, t_ns: NDArray[np.int64], power: int) -> NDArray[np.float64]:
        total = np.zeros(len(t_ns))
        for k, (start, amps) in enumerate(self.load):
            end = self.load[k + 1][0] if k + 1 < len(self.load) else 2**62
            total += amps**power * np.clip(t_ns - start, 0, end - start) * 1e-9
        return total


class Wires:
    """Pins with scripted edges; drives from outside are recorded."""

    def __init__(self, clock: SteppedClock) -> None:
        self._clock = clock
        self.scripted: dict[str, list[Edge]] = {}
        self.driven: list[tuple[int, str, int]] = []

    def edges(self, pin: str, start_ns: int, end_ns: int) -> list[Edge]:
        return [e for e in self.scripted.get(pin, []) if start_ns <= e.t_ns < end_ns]

    def level_integral(self, pin: str, t_ns: NDArray[np.int64], *, late_ns: tuple[int, int] = (0, 0)) -> NDArray[np.float64]:
        assert late_ns == (0, 0)
        total, level, since = np.zeros(len(t_ns)), 0, 0
        for edge in [*self.scripted.get(pin, []), Edge(2**62, 0)]:
            total += 3.0 * level * np.clip(t_ns - since, 0, edge.t_ns - since) * 1e-9
            level, since = edge.level, edge.t_ns
        return total

    def drive(self, pin: str, level: int) -> None:
        self.driven.append((self._clock.now_ns(), pin, level))


class Bench:
    """Everything a persona is wired to."""

    def __init__(self, load: Load = ((0, 0.0),), *, volts: float = 3.0, interface: Interface = "socket") -> None:
        self.clock = SteppedClock()
        self.node = LoadNode(self.clock, load, volts=volts)
        self.pins = Wires(self.clock)
        self._interface = interface

    def setup(self, **changes: Any) -> PersonaSetup:
        values: dict[str, Any] = {
            "name": "smu",
            "options": {},
            "clock": self.clock,
            "node": self.node,
            "pins": self.pins,
            "wires": {},
            "interface": self._interface,
            "rng": np.random.default_rng(1),
            "unkind": {"noise": 0.0, "hum_a": 0.0, "drift": 0.0, "range_transient": 0.0},
        }
        return PersonaSetup(**(values | changes))


def rows(table: Mapping[str, tuple[tuple[float, float, float], ...]]) -> tuple[ErrorRow, ...]:
    """`{"current": ((full_scale, gain, offset), ...)}` as rows."""
    return tuple(ErrorRow(quantity, *row) for quantity, entries in table.items() for row in entries)


def open_visa(name: str) -> MessageBasedResource:
    resource = pyvisa.ResourceManager("@py").open_resource(name, read_termination="\n", write_termination="\n", timeout=5000)
    assert isinstance(resource, MessageBasedResource)
    return resource


async def converse(persona: Persona, talk: Callable[[MessageBasedResource], T]) -> T:
    """Serve `persona`, run `talk` against it with stock PyVISA in a thread, and close."""
    name = await persona.serve()
    try:
        return await with_visa(name, talk)
    finally:
        await persona.close()


async def error_after(persona: Persona, command: str) -> str:
    """What its error queue says after a command."""

    def talk(r: MessageBasedResource) -> str:
        r.write(command)
        return r.query("SYST:ERR?")

    return await converse(persona, talk)


async def with_visa(name: str, talk: Callable[[MessageBasedResource], T]) -> T:
    def session() -> T:
        resource = open_visa(name)
        try:
            return talk(resource)
        finally:
            resource.close()

    return await asyncio.wait_for(asyncio.to_thread(session), 30)
