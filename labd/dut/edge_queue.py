"""Edges on their way from the kernel or a thread to who reads them; what is lost on the way is told in its place."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator

from labd.dut.errors import LineFailure
from labd.dut.lines import Edge
from labd.errors import DataLost

KEPT = 10_000


class EdgeQueue:
    """Of one line; filled and read in the event loop. name: of the line, for messages. waiting: how many edges nobody has read."""

    def __init__(self, name: str) -> None:
        self._name = name
        # size: 10000 edges; policy: the oldest is lost; counter: told by the DataLost that the reader gets in their place
        self._edges: deque[Edge | DataLost] = deque()
        self._dropped = 0
        self._untold = 0  # gaps whose sentence was dropped
        self._fault: LineFailure | None = None
        self._news = asyncio.Event()

    @property
    def waiting(self) -> int:
        return len(self._edges)

    def put(self, edge: Edge) -> None:
        self._add(edge)

    def forget(self) -> None:
        """Nobody wants what nobody has read until now."""
        self._edges.clear()
        self._dropped = self._untold = 0

    def lost(self, text: str) -> None:
        """Edges are missing here; the sentence says how many, and why."""
        self._add(DataLost(f"{self._name}: {text}"))

    def end(self, fault: LineFailure) -> None:
        """Nothing comes any more."""
        self._fault = fault
        self._news.set()

    async def read(self) -> AsyncGenerator[Edge, None]:
        """Without end. Raises DataLost, and LineFailure once the line is closed and what came before is read."""
        while True:
            if self._dropped or self._untold:
                raise self._unread()
            if self._edges:
                item = self._edges.popleft()
                if isinstance(item, DataLost):
                    raise item
                yield item
            elif self._fault is not None:
                raise self._fault
            else:
                self._news.clear()
                await self._news.wait()

    def _unread(self) -> DataLost:
        dropped, untold = self._dropped, self._untold
        self._dropped = self._untold = 0
        told = [f"{dropped} edges came that nobody read in time (the newest {KEPT} are kept)"] if dropped else []
        told += [f"edges were lost in {untold} places that nobody read of in time"] if untold else []
        return DataLost(f"{self._name}: {'; '.join(told)}")

    def _add(self, item: Edge | DataLost) -> None:
        if len(self._edges) >= KEPT:
            is_gap = isinstance(self._edges.popleft(), DataLost)
            self._untold += is_gap
            self._dropped += not is_gap
        self._edges.append(item)
        self._news.set()
