"""READY, GO and GATE: the DUT says that it waits, the host lets it run, the DUT shows for how long it works."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass

from labd.deadline import deadline
from labd.dut.errors import NotReady
from labd.dut.lines import Edge, Line
from labd.errors import DataLost

READY_S = 5.0


@dataclass(frozen=True, slots=True)
class Gate:
    """One window: the DUT held GATE active from one edge to the other."""

    start: Edge
    end: Edge

    @property
    def length_s(self) -> float:
        """Between the latest instants that the edges may have."""
        return (self.end.t_ns - self.start.t_ns) * 1e-9


@dataclass(frozen=True, slots=True)
class Handshake:
    """ready, gate: inputs of the host; go: its output. The DUT takes GO only while it shows READY."""

    ready: Line
    go: Line
    gate: Line

    async def wait_ready(self, *, timeout_s: float = READY_S) -> None:
        """Return once READY is active. Raises NotReady."""
        try:
            async with deadline(timeout_s):
                while not await self.ready.get():
                    await self._ready_changed()
        except TimeoutError:
            raise NotReady(
                f"the DUT did not raise READY within {timeout_s:g} s; check that it has its supply and has booted, that this is its "
                "READY line, and the line's level (active_low)"
            ) from None

    async def _ready_changed(self) -> None:
        """The level is what counts: edges that nobody has read, or that were lost, are a reason to look."""
        with suppress(DataLost):
            async with aclosing(self.ready.edges()) as edges:
                await anext(edges)

    @asynccontextmanager
    async def going(self, *, timeout_s: float = READY_S) -> AsyncIterator[None]:
        """GO is active inside, once the DUT was ready; inactive afterwards on every way out. Raises NotReady."""
        await self.wait_ready(timeout_s=timeout_s)
        try:
            await self.go.set(active=True)
            yield
        finally:
            await self.go.set(active=False)

    async def gates(self, count: int, *, since_ns: int, timeout_s: float) -> list[Gate]:
        """The first `count` windows that begin after since_ns (host's monotonic clock, before GO). Raises NotReady for fewer, DataLost for
        edges that are missing."""
        found: list[Gate] = []
        start: Edge | None = None
        try:
            async with deadline(timeout_s), aclosing(self.gate.edges()) as edges:
                async for edge in edges:
                    if edge.t_ns < since_ns:
                        continue
                    if edge.rising == (start is not None):
                        raise DataLost(f"GATE {'rose' if edge.rising else 'fell'} twice: an edge between was too short to be seen")
                    if start is None:
                        start = edge
                        continue
                    found.append(Gate(start, edge))
                    start = None
                    if len(found) == count:
                        return found
        except TimeoutError:
            pass
        state = "stayed active" if start is not None else "stayed inactive"
        raise NotReady(
            f"GATE showed {len(found)} of {count} windows within {timeout_s:g} s and then {state}; check the line, or give it more time"
        )
