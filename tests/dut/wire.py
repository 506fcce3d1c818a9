"""A wire in memory with both its ends: what the host holds is a line, what the DUT does with the other end is the test's."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator

from labd.dut.edge_queue import EdgeQueue
from labd.dut.errors import LineFailure
from labd.dut.lines import Edge


class Wire:
    """As `labd.dut.lines.Line`. heard: the levels that the host set, in order."""

    def __init__(self, name: str) -> None:
        self.active = False
        self.heard: list[bool] = []
        self._queue = EdgeQueue(name)
        self._name = name

    def drive(self, *, active: bool, t_ns: int | None = None) -> None:
        """The DUT's end."""
        if active != self.active:
            t_ns = time.monotonic_ns() if t_ns is None else t_ns
            self._queue.put(Edge(active, t_ns, t_ns))
        self.active = active

    def lose(self, count: int) -> None:
        """Edges that the host never hears of."""
        self._queue.lost(f"{count} edges were lost")

    async def set(self, *, active: bool) -> None:
        self.heard.append(active)

    async def get(self) -> bool:
        return self.active

    def edges(self) -> AsyncGenerator[Edge, None]:
        return self._queue.read()

    def forget(self) -> None:
        self._queue.forget()

    async def close(self) -> None:
        self._queue.end(LineFailure(f"{self._name}: closed"))
