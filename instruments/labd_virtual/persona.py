"""What a virtual instrument is: its wiring and errors (`PersonaSetup`), and the parts every SCPI persona shares."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np

from labd_virtual.contract import Clock, Pins, SupplyNode
from labd_virtual.scpi_errors import ScpiError
from labd_virtual.scpi_interpreter import Interpreter
from labd_virtual.wire import Clients, Device, Interface, Server
from labd_virtual.wire_hislip import HislipServer
from labd_virtual.wire_socket import SocketServer
from labd_virtual.wire_vxi11 import Vxi11Server

SenseFault = Literal["ok", "open", "swapped"]
SERVERS: Mapping[Interface, type[Server]] = {"socket": SocketServer, "hislip": HislipServer, "vxi11": Vxi11Server}


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """Limits of error on one range: gain as a fraction of reading, offset in the unit of full_scale (ampere, volt, watt)."""

    quantity: str
    full_scale: float
    gain: float
    offset: float


@dataclass(frozen=True, slots=True)
class PersonaSetup:
    """Everything a persona is told.

    options: as in the bench file (`channel`, `marker_channel`, `fire_pin`, ...). wires: instrument terminal -> board pin (`fire`,
    `marker`, `pin3`, `line1`). accuracy: limits from which `rng` draws this unit's errors. timebase: limit as a fraction.
    lead_ohm: each way. line_delay_s: limit of the delay of a line's edge against the samples. unkind: scale factors or values by name:
    `drift`, `noise`, `range_transient` (factors, default 1), `hum_a` (ampere, default 0.2e-6). clients, interface: see wire.Server. trap:
    one of those that the module of the persona has in `TRAPS`, which this specimen springs: what real instruments do to whoever does not
    know it.
    """

    name: str
    options: Mapping[str, Any]
    clock: Clock
    node: SupplyNode
    pins: Pins
    wires: Mapping[str, str]
    rng: np.random.Generator
    accuracy: tuple[ErrorRow, ...] = ()
    timebase: float = 0.0
    mains_hz: float = 50.0
    lead_ohm: float = 0.0
    line_delay_s: float = 0.0
    sense_fault: SenseFault = "ok"
    fixture_leakage_a: float = 0.0
    unkind: Mapping[str, object] = field(default_factory=dict)
    clients: Clients = "many"
    interface: Interface = "socket"
    trap: str = ""

    def factor(self, name: str, default: float = 1.0) -> float:
        """A number from `unkind`. Raises TypeError when it is none."""
        value = self.unkind.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"{self.name}: unkind {name!r} is {value!r}, expected a number")
        return float(value)


class Persona(Protocol):
    """A running virtual instrument."""

    async def serve(self) -> str:
        """Start listening; returns its VISA resource name."""

    async def close(self) -> None:
        """End sessions and background work."""

    def redraw(self, rng: np.random.Generator) -> None:
        """Draw this unit's errors anew, as if another specimen stood on the bench."""

    def hang(self, on: bool) -> None:  # noqa: FBT001 - one plain switch
        """Existing sessions stop answering; new ones work."""

    def cut(self, on: bool) -> None:  # noqa: FBT001 - one plain switch
        """The network carries nothing in either direction, for existing and new sessions."""

    def output_on(self) -> bool:
        """The instrument's own side of the truth: does it feed the node now?"""


class ScpiPersona:
    """Server, interpreter and background tasks of one SCPI instrument; personas build on it."""

    def __init__(self, setup: PersonaSetup, identity: str, *, queue_capacity: int = 20) -> None:
        self.setup = setup
        self.clock = setup.clock
        self.scpi = Interpreter(identity, queue_capacity=queue_capacity)
        device = Device(
            execute=self.scpi.execute,
            unterminated=lambda: self.scpi.fail(ScpiError(-420)),
            interrupted=lambda: self.scpi.fail(ScpiError(-410)),
            status=self.scpi.status.value,
            trigger=self._device_trigger,
            sessions=self._sessions_changed,
        )
        self._server = SERVERS[setup.interface](device, clients=setup.clients)
        self.scpi.instant = self._instant
        self._tasks: set[asyncio.Task[None]] = set()

    @contextmanager
    def _instant(self) -> Iterator[None]:
        """A trigger and the edge it sends out are one instant in the real instrument; without this, host time would come between them."""
        self.clock.freeze(self.setup.name)
        try:
            yield
        finally:
            self.clock.thaw(self.setup.name)

    async def serve(self) -> str:
        await self._server.start()
        return self._server.resource

    async def close(self) -> None:
        self.host_gone()
        await self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def hang(self, on: bool) -> None:  # noqa: FBT001 - see Persona
        self._server.hang(on)
        if on:
            self.host_gone()

    def cut(self, on: bool) -> None:  # noqa: FBT001 - see Persona
        self._server.cut(on)
        if on:
            self.host_gone()

    def host_gone(self) -> None:
        """Nobody fetches any more: a log must no longer hold stepped time back (it overruns, as on a bench)."""

    def background(self, work: Coroutine[Any, Any, None], what: str) -> None:
        """Run something that the instrument does by itself."""
        task = asyncio.get_running_loop().create_task(work, name=f"{self.setup.name}: {what}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def sleep(self, seconds: float) -> None:
        """Let board time pass."""
        await self.clock.sleep_until(self.clock.now_ns() + round(seconds * 1e9))

    def _device_trigger(self) -> None:
        """As *TRG (IEEE 488.2, 10.37)."""
        with self._instant():
            self.scpi.before()
            self.scpi.trigger()

    def _sessions_changed(self, count: int) -> None:
        if count == 0:
            self.host_gone()
