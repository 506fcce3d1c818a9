"""A small instrument behind any of the network interfaces: *IDN?, a block of data, a question that takes its time, a trigger."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np

from labd_virtual.persona import SERVERS
from labd_virtual.scpi_errors import ScpiError
from labd_virtual.scpi_interpreter import Interpreter
from labd_virtual.scpi_message import definite_block
from labd_virtual.wire import Clients, Device, Interface, Server

DATA = np.random.default_rng(1).bytes(5 << 18)  # more than one message of HiSLIP holds, and full of line feeds


class Instrument:
    """Counts triggers; WAIT? answers when it is let."""

    def __init__(self, interface: Interface, clients: Clients = "many") -> None:
        self.scpi = Interpreter("A,B,C,D")
        self.triggers = 0
        self.loop = asyncio.get_running_loop()
        self.let, self.entered = asyncio.Event(), asyncio.Event()
        self.scpi.tree.query("DATA", lambda _: definite_block(DATA))
        self.scpi.tree.query("WAIT", self._wait)
        device = Device(
            self.scpi.execute,
            unterminated=lambda: self.scpi.fail(ScpiError(-420)),
            interrupted=lambda: self.scpi.fail(ScpiError(-410)),
            status=self.scpi.status.value,
            trigger=self._trigger,
            sessions=lambda _: None,
        )
        self.server: Server = SERVERS[interface](device, clients=clients)

    def _trigger(self) -> None:
        self.triggers += 1

    async def _wait(self, _: object) -> str:
        self.entered.set()
        await self.let.wait()
        return "late"

    def errors(self) -> list[int]:
        found = []
        while (code := self.scpi.errors.pop()[0]) != 0:
            found.append(code)
        return found


@asynccontextmanager
async def served(interface: Interface, clients: Clients = "many") -> AsyncIterator[Instrument]:
    instrument = Instrument(interface, clients)
    await instrument.server.start()
    try:
        yield instrument
    finally:
        await instrument.server.close()
