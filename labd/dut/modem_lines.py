"""A serial port's modem lines: RTS and DTR out of the host, CTS and DSR into it.

They are driven whatever the DUT's supply is, also after the port was closed: an adapter floats none of them. So they need an isolator, or a
resistor and the bench file's word for it. Nothing stamps them in an interrupt: they are looked at, and an edge lies between two looks.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from types import TracebackType
from typing import Literal, TypeVar

import serial

from labd import host
from labd.dut.edge_queue import EdgeQueue
from labd.dut.errors import LineFailure
from labd.dut.lines import Edge
from labd.stream.session import InstrumentSession, SessionAbandoned, SessionStuck

T = TypeVar("T")

LOOK_S = 0.001  # as often as a full-speed USB adapter tells anything
CALL_S = 5.0
OUTPUTS, INPUTS = ("rts", "dtr"), ("cts", "dsr")

ModemName = Literal["rts", "dtr", "cts", "dsr"]


class ModemLines:
    """Async context manager around an open port, which it does not close. name: of the port, for messages."""

    def __init__(self, port: serial.SerialBase, name: str) -> None:
        self._port = port
        self._name = name
        self._session = InstrumentSession(f"modem lines of {name}")
        self._stack = AsyncExitStack()
        self._queues = {line: EdgeQueue(f"{name}, {line.upper()}") for line in INPUTS}
        self._ends = threading.Event()
        self._watching = False
        self._known: dict[str, tuple[bool, int]] = {}  # level of an input, and when the last look at it began (monotonic ns)

    async def __aenter__(self) -> ModemLines:
        """Raises LineFailure where the port has no modem lines."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._session)
            stack.callback(self._close)
            before_ns = time.monotonic_ns()
            self._known = {line: (level, before_ns) for line, level in (await self._do(self._levels)).items()}
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._stack.aclose()

    def line(self, name: ModemName) -> ModemLine:
        """Raises LineFailure for a line that ports do not have."""
        if name not in (*OUTPUTS, *INPUTS):
            raise LineFailure(f"{self._name}: a serial port has the outputs rts and dtr and the inputs cts and dsr, got {name!r}")
        return ModemLine(self, name)

    async def set(self, name: ModemName, *, active: bool) -> None:
        if name not in OUTPUTS:
            raise LineFailure(f"{self._name}: {name.upper()} is an input of the host; it can drive RTS and DTR")
        await self._do(lambda: setattr(self._port, name, active))

    async def get(self, name: ModemName) -> bool:
        before_ns = time.monotonic_ns()
        level = bool(await self._do(lambda: getattr(self._port, name)))
        if name in INPUTS:
            self._known[name] = (level, before_ns)
        return level

    def edges(self, name: ModemName) -> AsyncGenerator[Edge, None]:
        """The first call for a port begins to look at it, every millisecond, until the lines are closed; what has changed since the level
        was read last is its first edge."""
        if name not in INPUTS:
            raise LineFailure(f"{self._name}: {name.upper()} is an output of the host; CTS and DSR give edges")
        if not self._watching:
            self._watching = True
            loop = asyncio.get_running_loop()
            threading.Thread(target=self._watch, args=(loop, dict(self._known)), name=f"looks at {self._name}", daemon=True).start()
        return self._queues[name].read()

    def forget(self, name: ModemName) -> None:
        if name in INPUTS:
            self._queues[name].forget()

    def _levels(self) -> dict[str, bool]:
        """Raises OSError."""
        return {line: bool(getattr(self._port, line)) for line in INPUTS}

    def _watch(self, loop: asyncio.AbstractEventLoop, known: Mapping[str, tuple[bool, int]]) -> None:
        """The thread that looks."""
        with suppress(RuntimeError):  # the loop has ended without closing the lines
            try:
                self._look_on(loop, known)
            except (OSError, serial.SerialException) as error:
                fault = LineFailure(f"{self._name}: its modem lines cannot be read: {_why(error)}")
                for queue in self._queues.values():
                    loop.call_soon_threadsafe(queue.end, fault)

    def _look_on(self, loop: asyncio.AbstractEventLoop, known: Mapping[str, tuple[bool, int]]) -> None:
        counted = {line: Counted() for line in INPUTS}
        levels = {line: level for line, (level, _) in known.items()}
        looked_ns = {line: t_ns for line, (_, t_ns) in known.items()}
        while not self._ends.wait(LOOK_S):
            began_ns = time.monotonic_ns()
            found, counts = self._levels(), self._counts()
            now_ns = time.monotonic_ns()
            for number, line in enumerate(INPUTS):
                changed = found[line] != levels[line]
                if counts is not None and (lost := counted[line].lost(counts[number], changed=changed)):
                    text = f"{lost} edges between two looks, {LOOK_S * 1e3:g} ms apart: the pulse is too short for a modem line, use a GPIO"
                    loop.call_soon_threadsafe(self._queues[line].lost, text)
                if changed:
                    loop.call_soon_threadsafe(self._queues[line].put, Edge(found[line], looked_ns[line], now_ns))
                looked_ns[line] = began_ns
            levels = found

    def _counts(self) -> tuple[int, int] | None:
        try:
            return host.modem_counts(self._port.fileno())
        except OSError:  # io.UnsupportedOperation: no descriptor is behind it (Windows)
            return None

    async def _do(self, work: Callable[[], T]) -> T:
        try:
            return await self._session.call(work, deadline_s=CALL_S)
        except (OSError, serial.SerialException) as error:
            raise LineFailure(f"{self._name}: {_why(error)}") from error
        except (SessionAbandoned, SessionStuck) as error:
            raise LineFailure(f"{self._name}: {error}") from error

    def _close(self) -> None:
        self._ends.set()
        for queue in self._queues.values():
            queue.end(LineFailure(f"{self._name}: its lines are closed"))


class ModemLine:
    """One of the lines, as `labd.dut.lines.Line`. Closing it ends nothing: the port drives its lines until it is closed itself."""

    def __init__(self, lines: ModemLines, name: ModemName) -> None:
        self._lines = lines
        self._name = name

    async def set(self, *, active: bool) -> None:
        await self._lines.set(self._name, active=active)

    async def get(self) -> bool:
        return await self._lines.get(self._name)

    def edges(self) -> AsyncGenerator[Edge, None]:
        return self._lines.edges(self._name)

    def forget(self) -> None:
        self._lines.forget(self._name)

    async def close(self) -> None:
        """Inactive, where it is an output."""
        if self._name in OUTPUTS:
            await self._lines.set(self._name, active=False)


class Counted:
    """The driver's count of a line's changes against those that were seen: two more in the driver are a pulse that nobody saw."""

    def __init__(self) -> None:
        self._ahead = 0
        self._count: int | None = None

    def lost(self, count: int, *, changed: bool) -> int:
        """How many edges were missed up to this look. Level and count are not read in one: one ahead may be seen at the next look; a
        driver that counts nothing falls behind, and is not believed."""
        if self._count is not None:
            self._ahead = max(0, self._ahead + count - self._count - changed)
        self._count = count
        missed = self._ahead // 2 * 2
        self._ahead -= missed
        return missed


def _why(error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number == 25:  # ENOTTY
        return "it has no modem lines (a pseudo-terminal has none); take a port of an adapter that wires them"
    return " ".join((getattr(error, "strerror", None) or str(error)).split()) or type(error).__name__
